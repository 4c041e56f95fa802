"""Pictures for tests that need many: known ones, new ones, and the same ones in other bytes."""

import io
import random

from PIL import Image, ImageEnhance, ImageOps, PngImagePlugin

from whatsit.data import example_pictures

_BITMAP_SIZE = (64, 48)


def known_pictures() -> dict[str, bytes]:
    """Twenty JPEG pictures with answers of their own, the same in every run, by name."""
    pictures: dict[str, bytes] = {}
    for name, image_bytes in example_pictures().items():
        image = Image.open(io.BytesIO(image_bytes)).convert("RGB")
        image.thumbnail((320, 320))
        variants = {
            "plain": image,
            "mirrored": ImageOps.mirror(image),
            "grey": ImageOps.grayscale(image).convert("RGB"),
            "dark": ImageEnhance.Brightness(image).enhance(0.5),
            "close": image.crop((40, 30, image.width - 50, image.height - 20)),
        }
        pictures |= {f"{name} {variant}": _jpeg(each) for variant, each in variants.items()}
    return pictures


def new_picture(number: int) -> bytes:
    """A JPEG picture whose pixels no other number has: an example, cropped and painted over."""
    dice = random.Random(number)
    examples = list(example_pictures().values())
    image = Image.open(io.BytesIO(examples[number % len(examples)])).convert("RGB")
    image.thumbnail((320, 320))
    left, top = dice.randrange(40), dice.randrange(30)
    image = image.crop((left, top, image.width - dice.randrange(40), image.height - 5))
    colour = (dice.randrange(256), dice.randrange(256), dice.randrange(256))
    x, y = dice.randrange(image.width - 90), dice.randrange(image.height - 90)
    image.paste(colour, (x, y, x + 60, y + 60))
    return _jpeg(image)


def with_comment(jpeg: bytes, comment: str) -> bytes:
    """The same pixels in other bytes: a comment behind the JPEG's first marker."""
    return _with_segment(jpeg, b"\xff\xfe", comment.encode())


def with_exif(jpeg: bytes, description: str) -> bytes:
    """The same pixels in other bytes: an EXIF block that describes the picture."""
    exif = Image.Exif()
    exif[0x010E] = description
    return _with_segment(jpeg, b"\xff\xe1", exif.tobytes())


def small_bitmap(number: int) -> bytes:
    """A small BMP picture whose pixels no other number has, made in microseconds."""
    width, height = _BITMAP_SIZE
    # Written into the middle, because the edges are cropped away; a byte a channel of two pixels.
    start = len(_BITMAP) - (width * height // 2 + width // 2) * 3
    colours = b"".join((number >> shift & 255).to_bytes() * 6 for shift in (0, 8, 16))
    return _BITMAP[:start] + colours + _BITMAP[start + len(colours) :]


def large_png(megapixels: int) -> bytes:
    """A PNG picture that takes long to decode, about 8 ms a megapixel."""
    side = round((megapixels * 1e6) ** 0.5)
    image = Image.open(io.BytesIO(example_pictures()["bee"])).convert("RGB")
    encoded = io.BytesIO()
    # Enlarged without smoothing, its file stays small.
    image.resize((side, side), Image.Resampling.NEAREST).save(encoded, "PNG", compress_level=3)
    return encoded.getvalue()


def png_with_text(image: Image.Image, text: str, compress_level: int = 6) -> bytes:
    """A PNG picture with a text chunk."""
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("Comment", text)
    encoded = io.BytesIO()
    image.save(encoded, "PNG", pnginfo=chunks, compress_level=compress_level)
    return encoded.getvalue()


def _with_segment(jpeg: bytes, marker: bytes, content: bytes) -> bytes:
    return jpeg[:2] + marker + (len(content) + 2).to_bytes(2) + content + jpeg[2:]


def _jpeg(image: Image.Image) -> bytes:
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=88)
    return encoded.getvalue()


def _bitmap() -> bytes:
    encoded = io.BytesIO()
    image = Image.open(io.BytesIO(example_pictures()["bee"])).convert("RGB").resize(_BITMAP_SIZE)
    image.save(encoded, "BMP")
    return encoded.getvalue()


_BITMAP = _bitmap()
