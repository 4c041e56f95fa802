"""Image bytes -> an upright RGB image, or a sentence why not.

Formats are recognised by content, never by name. The number of pixels is read from the header
and refused before anything is decoded.
"""

import io
from dataclasses import dataclass
from importlib import import_module

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from whatsit.errors import (
    ImageTooLarge,
    ImageTooManyPixels,
    ImageUnreadable,
    ImageUnsupported,
    InputError,
)

DEFAULT_MAX_UPLOAD_BYTES = 20_000_000
DEFAULT_MAX_PIXELS = 50_000_000

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF")
_PILLOW_PLUGINS = ("Jpeg", "Mpo", "Png", "WebP", "Gif", "Bmp", "Tiff", "Avif")
_SIXTEEN_BIT = ("I", "I;16", "I;16B", "I;16L", "I;16N")
# A JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, straight from the DCT coefficients. Keeping
# twice the wanted size leaves the final antialiased resize enough to work with: of 300 photographs
# of 3 megapixels, 299 kept their best label, and decoding took half as long (`make bench-draft`).
_DRAFT_OVERSAMPLING = 2
# What sets a picture upright, by EXIF orientation.
_TURNS: dict[object, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ON_ITS_SIDE = (5, 6, 7, 8)
_DAMAGED = "The picture is damaged or cut short and can't be decoded. Send the whole file."


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """An upright RGB image.

    Attributes:
        pixels: Mode RGB, upright; smaller than the original if it was decoded at reduced size.
        width: Pixels of the original, upright.
        height: Pixels of the original, upright.
        format: Name of the file format, such as ``JPEG`` or ``HEIC``.
    """

    pixels: Image.Image
    width: int
    height: int
    format: str


def decode_image(
    image_bytes: bytes,
    *,
    shorter_side: int | None = None,
    max_bytes: int = DEFAULT_MAX_UPLOAD_BYTES,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> DecodedImage:
    """Decode a picture that nobody vouches for.

    The first frame of an animation, transparent parts over white, 16-bit and floating-point
    greys brought to 8 bit, EXIF orientation applied.

    Args:
        image_bytes: JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF.
        shorter_side: What the caller will resize the shorter side to, pixels. Large JPEGs are
            then decoded at a fraction of their size, never below twice this.
        max_bytes: Refuse more bytes than this.
        max_pixels: Refuse more pixels (width x height) than this, before decoding.

    Raises:
        ImageTooLarge: More than `max_bytes`.
        ImageTooManyPixels: The header announces more than `max_pixels`.
        ImageUnsupported: A kind of document or picture that is not read here.
        ImageUnreadable: Not a picture, an empty one, or one that is cut short or damaged.
    """
    if len(image_bytes) > max_bytes:
        raise ImageTooLarge(max_bytes)
    if not image_bytes:
        raise ImageUnreadable("There are no bytes in this picture. Send the whole file.")
    image = _open(image_bytes, max_pixels)
    width, height = image.size
    if width * height > max_pixels:
        raise ImageTooManyPixels(max_pixels, width * height)
    if width < 1 or height < 1:
        raise ImageUnreadable("This picture has no pixels. Send another one.")
    image_format = _format_name(image)
    try:
        if shorter_side is not None and image.format in ("JPEG", "MPO"):
            wanted = _DRAFT_OVERSAMPLING * shorter_side
            image.draft(None, (wanted, wanted))
        image.load()
        orientation = _orientation(image)
        pixels = _to_rgb(_upright(image, orientation))
    except Exception as error:
        raise ImageUnreadable(_DAMAGED) from error
    if orientation in _ON_ITS_SIDE:
        width, height = height, width
    return DecodedImage(pixels, width, height, image_format)


def encode_preview(image_bytes: bytes, max_side: int, *, max_pixels: int) -> bytes:
    """A small upright JPEG of a picture, without its metadata, for showing in a browser.

    Args:
        image_bytes: As for `decode_image`, which raises the same errors here.
        max_side: Longer side of the preview, pixels; smaller pictures keep their size.
        max_pixels: As for `decode_image`.
    """
    image = decode_image(
        image_bytes, shorter_side=max_side, max_bytes=len(image_bytes), max_pixels=max_pixels
    ).pixels
    image.thumbnail((max_side, max_side))
    image.info.clear()  # a JPEG's comment would be saved again
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=85)
    return encoded.getvalue()


def _open(image_bytes: bytes, max_pixels: int) -> Image.Image:
    try:
        load_decoders()
        return Image.open(io.BytesIO(image_bytes), formats=_FORMATS)
    except UnidentifiedImageError as error:
        raise _refusal(image_bytes) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooManyPixels(max_pixels) from error
    except Exception as error:
        raise ImageUnreadable(
            "The picture's header is damaged. Send the file as it was saved."
        ) from error


def load_decoders() -> None:
    """Load every decoder now, so that the first picture of a rare format does not wait for it."""
    if "HEIF" not in Image.OPEN:
        import pi_heif

        for name in _PILLOW_PLUGINS:
            import_module(f"PIL.{name}ImagePlugin")
        pi_heif.register_heif_opener()


def _format_name(image: Image.Image) -> str:
    # A phone's multi-picture file is a JPEG to its owner.
    return {"MPO": "JPEG", "HEIF": "HEIC"}.get(image.format or "", image.format or "unknown")


def _orientation(image: Image.Image) -> object:
    # Only this tag counts: Pillow's own `exif_transpose` stumbles over any odd one beside it.
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # noqa: BLE001 - unreadable EXIF is no reason to refuse a readable picture
        return None


def _upright(image: Image.Image, orientation: object) -> Image.Image:
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode in _SIXTEEN_BIT or image.mode == "F":
        image = _to_eight_bit(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        canvas = Image.new("RGBA", rgba.size, "white")
        canvas.alpha_composite(rgba)
        return canvas.convert("RGB")
    return image.convert("RGB")


def _to_eight_bit(image: Image.Image) -> Image.Image:
    values = np.asarray(image, dtype=np.float32)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if image.mode in _SIXTEEN_BIT:
        # Full range is 65535 by format; only wider values (32-bit greys) need their own scale.
        low, high = 0.0, max(65535.0, high)
    elif low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    elif low >= 0 and high <= 255:
        low, high = 0.0, 255.0
    scale = 255.0 / ((high - low) or 1.0)
    within = np.clip(np.nan_to_num(values, nan=low), low, high)
    grey = (within * scale - low * scale).round().astype(np.uint8)
    if (transparent := image.info.get("transparency")) is not None:
        grey[values == transparent] = 255
    return Image.fromarray(grey)


# What people send by mistake, told apart from noise so that the sentence helps them.
_KNOWN_STRANGERS: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "a PDF document"),
    (b"8BPS", "a Photoshop file"),
    (b"PK\x03\x04", "a ZIP archive or office document"),
    (b"\x00\x00\x01\x00", "a Windows icon"),
    (b"\x00\x00\x02\x00", "a Windows cursor"),
    (b"\x1a\x45\xdf\xa3", "a Matroska or WebM video"),
    (b"%!PS", "a PostScript file"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\x00\x00\x00\x0cJXL \x0d\x0a\x87\x0a", "a JPEG XL picture"),
    (b"\x00\x00\x00\x0cjP  \x0d\x0a\x87\x0a", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"qoif", "a QOI picture"),
    (b"P4", "a portable bitmap"),
    (b"P5", "a portable greymap"),
    (b"P6", "a portable pixmap"),
)
# A container of one of these kinds is a picture that is read here, if it is whole.
_HEIF_BRANDS = frozenset(
    {b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"}
)


def _refusal(image_bytes: bytes) -> InputError:
    head = image_bytes[:1024]
    for magic, kind in _KNOWN_STRANGERS:
        if head.startswith(magic):
            return ImageUnsupported(kind)
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS:
        return ImageUnreadable(_DAMAGED)
    if head[4:8] == b"ftyp":
        return ImageUnsupported("a video or a picture in an unusual container")
    if b"<svg" in head.lower():
        return ImageUnsupported("an SVG drawing")
    return ImageUnreadable(
        "This is not a picture that can be recognised as one. "
        "Send a JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF file."
    )
