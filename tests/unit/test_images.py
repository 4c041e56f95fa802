"""Whatever picture people have comes out upright and RGB; anything else gets a sentence."""

import io
import random
import resource
import struct
import sys
import time
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from tests.hostile import pictures
from whatsit.errors import (
    ImageTooLarge,
    ImageTooManyPixels,
    ImageUnreadable,
    ImageUnsupported,
    InputError,
)
from whatsit.images.decode import decode_image, encode_preview

RED, GREEN, BLUE, YELLOW = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
CORNER_COLOURS = (RED, GREEN, BLUE, YELLOW)

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIC")

# How a camera that was turned would have stored the picture, by EXIF orientation.
STORED_AS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}

# A warning of Pillow is only logged by the service, so here it must not act as an error.
as_in_the_service = pytest.mark.filterwarnings("ignore")


def encode(image: Image.Image, image_format: str, **options: Any) -> bytes:
    encoded = io.BytesIO()
    if image_format == "HEIC":
        heif = pytest.importorskip("pillow_heif", reason="pillow-heif encodes the HEIC pictures.")
        heif.from_pillow(image).save(encoded, **options)
    else:
        image.copy().save(encoded, image_format, **options)  # saving leaves traces in an image
    return encoded.getvalue()


def plain(mode: str = "RGB", colour: Any = "red", size: tuple[int, int] = (40, 30)) -> Image.Image:
    return Image.new(mode, size, colour)


def row(mode: str, values: Sequence[Any], palette: Sequence[int] = ()) -> Image.Image:
    """One line of pixels."""
    image = Image.new(mode, (len(values), 1))
    if palette:
        image.putpalette([*palette, *[0] * (768 - len(palette))])
    for column, value in enumerate(values):
        image.putpixel((column, 0), value)
    return image


def four_corners() -> Image.Image:
    """Red and green above blue and yellow: every turn of it looks different."""
    image = Image.new("RGB", (48, 32))
    for corner, colour in zip([(0, 0), (24, 0), (0, 16), (24, 16)], CORNER_COLOURS, strict=True):
        image.paste(colour, (*corner, corner[0] + 24, corner[1] + 16))
    return image


def noise(width: int = 40, height: int = 30) -> Image.Image:
    pixels = np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def pixels_of(image_bytes: bytes) -> list[tuple[int, ...]]:
    """All pixels, line by line."""
    decoded = decode_image(image_bytes)
    assert decoded.pixels.mode == "RGB"
    return [tuple(map(int, pixel)) for pixel in np.asarray(decoded.pixels).reshape(-1, 3)]


def is_near(pixel: Any, colour: tuple[int, ...], tolerance: int = 12) -> bool:
    # Lossy formats shift a plain colour by a few levels.
    return max(abs(int(a) - b) for a, b in zip(pixel, colour, strict=True)) <= tolerance


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of chunks that nobody may ever have put together: kind and content of each."""
    picture = b"\x89PNG\r\n\x1a\n"
    for kind, content in chunks:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        picture += struct.pack(">I", len(content)) + kind + content + checksum
    return picture


# Upright


@pytest.mark.parametrize("orientation", STORED_AS)
@pytest.mark.parametrize(
    ("image_format", "options"),
    [
        ("JPEG", {}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_deflate"}),
        ("AVIF", {}),
        ("HEIC", {}),
    ],
    ids=["jpeg", "png", "webp", "tiff", "tiff-deflate", "avif", "heic"],
)
def test_a_turned_picture_comes_out_upright(image_format, options, orientation):
    stored_as = STORED_AS[orientation]
    stored = four_corners() if stored_as is None else four_corners().transpose(stored_as)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation

    decoded = decode_image(encode(stored, image_format, exif=exif.tobytes(), **options))

    assert (decoded.width, decoded.height) == decoded.pixels.size == (48, 32)
    corners = [decoded.pixels.getpixel(at) for at in [(12, 8), (36, 8), (12, 24), (36, 24)]]
    assert all(map(is_near, corners, CORNER_COLOURS)), corners


def test_a_turned_picture_keeps_its_size_when_decoded_smaller():
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    picture = encode(plain(size=(2400, 1600)), "JPEG", exif=exif)

    decoded = decode_image(picture, shorter_side=100)

    assert (decoded.width, decoded.height) == (1600, 2400)
    assert decoded.pixels.size == (200, 300)


def test_a_turned_picture_that_is_square_only_when_decoded_smaller_keeps_its_size():
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    picture = encode(plain(size=(3000, 2999)), "JPEG", exif=exif)

    decoded = decode_image(picture, shorter_side=256)

    assert (decoded.width, decoded.height) == (2999, 3000)
    assert decoded.pixels.size == (750, 750)


def exif_that_can_not_be_written_again() -> bytes:
    """Orientation 6, and a tag that holds a fraction where a whole number belongs."""
    tags = struct.pack(">HHII", 0x0103, 5, 1, 38) + struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0)
    header = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 2)
    return header + tags + struct.pack(">III", 0, 72, 1)


@pytest.mark.parametrize(
    "exif",
    [b"Exif\0\0nonsense", b"Exif\0\0II*\0\xff\xff\xff\xff"],
    ids=["nonsense", "pointing-nowhere"],
)
@as_in_the_service
def test_unreadable_exif_is_no_reason_to_refuse_a_picture(exif):
    decoded = decode_image(encode(plain(), "JPEG", exif=exif))

    assert (decoded.width, decoded.height) == (40, 30)


@as_in_the_service
def test_one_odd_exif_tag_does_not_leave_a_turned_picture_on_its_side():
    exif = exif_that_can_not_be_written_again()

    decoded = decode_image(encode(plain(), "JPEG", exif=exif))

    assert (decoded.width, decoded.height) == decoded.pixels.size == (30, 40)


# Modes


@pytest.mark.parametrize(
    ("image", "image_format", "options", "expected"),
    [
        pytest.param(row("1", [0, 255]), "PNG", {}, [BLACK, WHITE], id="1-png"),
        pytest.param(row("1", [0, 255]), "TIFF", {}, [BLACK, WHITE], id="1-tiff"),
        pytest.param(row("L", [0, 9, 255]), "PNG", {}, [BLACK, (9, 9, 9), WHITE], id="L"),
        pytest.param(
            row("L", [10, 9]), "PNG", {"transparency": 10}, [WHITE, (9, 9, 9)], id="L-tRNS"
        ),
        pytest.param(
            row("LA", [(0, 0), (0, 128), (9, 255)]),
            "PNG",
            {},
            [WHITE, (127, 127, 127), (9, 9, 9)],
            id="LA",
        ),
        pytest.param(row("P", [0, 1], [*RED, *BLUE]), "PNG", {}, [RED, BLUE], id="P"),
        pytest.param(
            row("P", [0, 1], [*RED, *BLUE]),
            "PNG",
            {"transparency": 0},
            [WHITE, BLUE],
            id="P-index",
        ),
        pytest.param(
            row("P", [0, 1, 2], [*RED, *BLUE, *GREEN]),
            "PNG",
            {"transparency": b"\x00\x80"},
            [WHITE, (127, 127, 255), GREEN],
            id="P-bytes",
        ),
        pytest.param(
            row("P", [0, 1], [*RED, *BLUE]), "GIF", {"transparency": 0}, [WHITE, BLUE], id="P-gif"
        ),
        pytest.param(
            row("PA", [(0, 255), (1, 0)], [*RED, *BLUE]), "TIFF", {}, [RED, WHITE], id="PA"
        ),
        pytest.param(row("RGB", [RED, (1, 2, 3)]), "PNG", {}, [RED, (1, 2, 3)], id="RGB"),
        pytest.param(
            row("RGB", [(1, 2, 3), RED]),
            "PNG",
            {"transparency": (1, 2, 3)},
            [WHITE, RED],
            id="RGB-tRNS",
        ),
        pytest.param(
            row("RGBA", [(255, 0, 0, 0), (255, 0, 0, 128), (255, 0, 0, 255)]),
            "PNG",
            {},
            [WHITE, (255, 127, 127), RED],
            id="RGBA-png",
        ),
        pytest.param(
            row("RGBA", [(0, 0, 255, 0), (0, 0, 255, 255)]),
            "WEBP",
            {"lossless": True},
            [WHITE, BLUE],
            id="RGBA-webp",
        ),
        pytest.param(plain("CMYK", (0, 255, 255, 0), (1, 1)), "TIFF", {}, [RED], id="CMYK-tiff"),
    ],
)
def test_every_mode_becomes_rgb_with_alpha_over_white(image, image_format, options, expected):
    picture = encode(image, image_format, **options)
    assert Image.open(io.BytesIO(picture)).mode == image.mode

    assert pixels_of(picture) == expected


@pytest.mark.parametrize(
    ("image", "image_format"),
    [(plain("CMYK", (0, 255, 255, 0)), "JPEG"), (plain().convert("YCbCr"), "TIFF")],
    ids=["CMYK-jpeg", "YCbCr-tiff"],
)
def test_printers_and_video_colours_become_rgb(image, image_format):
    picture = encode(image, image_format)
    assert Image.open(io.BytesIO(picture)).mode == image.mode

    assert all(is_near(pixel, RED) for pixel in pixels_of(picture))


@pytest.mark.parametrize(
    ("values", "dtype", "mode", "image_format", "expected"),
    [
        pytest.param([0, 32768, 65535], "<u2", "I;16", "PNG", [0, 128, 255], id="16-bit-png"),
        pytest.param([0, 32768, 65535], "<u2", "I;16", "TIFF", [0, 128, 255], id="16-bit-tiff"),
        pytest.param([0, 32768, 65535], ">u2", "I;16B", "TIFF", [0, 128, 255], id="big-endian"),
        pytest.param([0, 257, 2570], "<u2", "I;16", "PNG", [0, 1, 10], id="dark-stays-dark"),
        pytest.param([0, 32768, 65535], "<i4", "I", "TIFF", [0, 128, 255], id="32-bit-of-16"),
        pytest.param([0, 2**30, 2**31 - 1], "<i4", "I", "TIFF", [0, 128, 255], id="32-bit"),
        pytest.param([-1000, 0, 65535], "<i4", "I", "TIFF", [0, 0, 255], id="32-bit-negative"),
        pytest.param([0, 0.5, 1], "<f4", "F", "TIFF", [0, 128, 255], id="0-to-1"),
        pytest.param([0, 0.25, 0.5], "<f4", "F", "TIFF", [0, 64, 128], id="dark-0-to-1"),
        pytest.param([0, 100, 200], "<f4", "F", "TIFF", [0, 100, 200], id="0-to-255"),
        pytest.param([0, 500, 1000], "<f4", "F", "TIFF", [0, 128, 255], id="wider"),
        pytest.param([-1, 0, 1], "<f4", "F", "TIFF", [0, 128, 255], id="negative"),
        pytest.param([-7, -7], "<f4", "F", "TIFF", [0, 0], id="one-value"),
        pytest.param([np.nan, 0.5, 1], "<f4", "F", "TIFF", [0, 128, 255], id="nan-is-black"),
        pytest.param([np.nan, np.nan], "<f4", "F", "TIFF", [0, 0], id="only-nan"),
        pytest.param([0, 0.5, 1, np.inf], "<f4", "F", "TIFF", [0, 128, 255, 255], id="infinite"),
        pytest.param([-np.inf, 0, 100], "<f4", "F", "TIFF", [0, 0, 100], id="less-than-all"),
        pytest.param([-3e38, 0, 3e38], "<f4", "F", "TIFF", [0, 128, 255], id="whole-range"),
    ],
)
def test_greys_of_any_depth_are_brought_to_eight_bit(values, dtype, mode, image_format, expected):
    image = Image.fromarray(np.array([values], dtype=dtype))
    picture = encode(image, image_format)
    assert Image.open(io.BytesIO(picture)).mode == mode

    assert pixels_of(picture) == [(grey, grey, grey) for grey in expected]


def test_the_transparent_grey_of_a_16_bit_png_is_white():
    picture = png(
        (b"IHDR", struct.pack(">IIBBBBB", 4, 1, 16, 0, 0, 0, 0)),
        (b"tRNS", struct.pack(">H", 1000)),
        (b"IDAT", zlib.compress(b"\0" + struct.pack(">HHHH", 1000, 1001, 0, 65280))),
        (b"IEND", b""),
    )

    assert pixels_of(picture) == [WHITE, (4, 4, 4), BLACK, (254, 254, 254)]


# Formats


@pytest.mark.parametrize("image_format", FORMATS)
def test_a_format_is_read_and_named(image_format):
    decoded = decode_image(encode(plain(), image_format))

    assert (decoded.format, decoded.width, decoded.height) == (image_format, 40, 30)
    assert is_near(decoded.pixels.getpixel((20, 15)), RED)


@pytest.mark.parametrize(
    ("image_format", "named"),
    [(kind, kind) for kind in ("GIF", "PNG", "WEBP", "AVIF", "TIFF")] + [("MPO", "JPEG")],
)
def test_the_first_of_several_frames_counts(image_format, named):
    later = [plain(colour="blue"), plain(colour="green")]

    decoded = decode_image(encode(plain(), image_format, save_all=True, append_images=later))

    assert decoded.format == named
    assert is_near(decoded.pixels.getpixel((20, 15)), RED)


@pytest.mark.parametrize("image_format", FORMATS)
def test_one_pixel_is_a_picture(image_format):
    decoded = decode_image(encode(plain(size=(1, 1)), image_format), shorter_side=256)

    assert (decoded.width, decoded.height) == decoded.pixels.size == (1, 1)


@pytest.mark.parametrize("size", [(4000, 1), (1, 4000), (9000, 3)])
@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_a_very_elongated_picture_keeps_its_size(image_format, size):
    decoded = decode_image(encode(plain(size=size), image_format), shorter_side=256)

    assert (decoded.width, decoded.height) == decoded.pixels.size == size


# Reduced decoding


@pytest.mark.parametrize(
    ("size", "reduced"),
    [
        ((3000, 2000), (1500, 1000)),
        ((2000, 3000), (1000, 1500)),
        ((4096, 2048), (1024, 512)),
        ((4096, 2047), (2048, 1024)),
        ((1024, 1023), (1024, 1023)),
        ((512, 512), (512, 512)),
    ],
)
def test_a_large_jpeg_is_decoded_smaller_but_never_below_twice_the_wanted_side(size, reduced):
    decoded = decode_image(encode(plain(size=size), "JPEG"), shorter_side=256)

    assert (decoded.width, decoded.height) == size
    assert decoded.pixels.size == reduced


def test_a_jpeg_is_decoded_whole_unless_a_side_is_wanted():
    assert decode_image(encode(plain(size=(3000, 2000)), "JPEG")).pixels.size == (3000, 2000)


# Refusals


@pytest.mark.parametrize(
    "image_bytes",
    [b"\0", b"hello, I am not a picture", b"\0" * 5000, random.Random(1).randbytes(5000)],
    ids=["one-byte", "text", "zeros", "random"],
)
def test_what_is_no_picture_is_unreadable(image_bytes):
    with pytest.raises(ImageUnreadable):
        decode_image(image_bytes)


def test_an_empty_file_is_called_empty():
    with pytest.raises(ImageUnreadable, match="has 0 bytes"):
        decode_image(b"")


def zip_archive() -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("cat.txt", "meow")
    return archive.getvalue()


@pytest.mark.parametrize(
    ("image_bytes", "kind"),
    [
        (b'<svg xmlns="http://www.w3.org/2000/svg"></svg>', "SVG"),
        (b'<?xml version="1.0"?>\n<!-- drawn -->\n<SVG></SVG>', "SVG"),
        (b"%PDF-1.7\n1 0 obj", "PDF"),
        (zip_archive(), "ZIP"),
        (encode(plain(size=(16, 16)), "ICO"), "Windows icon"),
        (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2mp41" + bytes(64), "video"),
        (b"\x1a\x45\xdf\xa3" + bytes(64), "WebM"),
        (b"8BPS\0\1" + bytes(64), "Photoshop"),
        (encode(plain(), "PPM"), "pixmap"),
        (encode(plain(), "JPEG2000"), "JPEG 2000"),
        (b"\xff\x0a" + bytes(64), "JPEG XL"),
    ],
    ids=["svg", "xml", "pdf", "zip", "ico", "mp4", "webm", "psd", "ppm", "jp2", "jxl"],
)
def test_a_file_of_another_kind_is_called_by_its_name(image_bytes, kind):
    with pytest.raises(ImageUnsupported, match=kind):
        decode_image(image_bytes)


ENCODINGS = [
    *((image_format, {}) for image_format in FORMATS),
    ("JPEG", {"progressive": True}),
    ("WEBP", {"lossless": True}),
    ("TIFF", {"compression": "tiff_deflate"}),
    ("TIFF", {"compression": "jpeg"}),
]


@pytest.mark.parametrize(("image_format", "options"), ENCODINGS)
@as_in_the_service
def test_a_picture_cut_short_anywhere_is_an_input_error(image_format, options):
    whole = encode(noise(), image_format, **options)

    for end in range(1, len(whole) * 9 // 10, max(1, len(whole) // 60)):
        with pytest.raises(InputError):
            decode_image(whole[:end])


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("image_format", FORMATS)
@as_in_the_service
def test_a_part_of_a_picture_is_unreadable(image_format, share):
    whole = encode(noise(800, 600), image_format)

    with pytest.raises(ImageUnreadable, match="damaged"):
        decode_image(whole[: int(len(whole) * share)])


@pytest.mark.parametrize(("image_format", "options"), ENCODINGS)
@as_in_the_service
def test_a_damaged_picture_is_read_or_an_input_error(image_format, options):
    whole = encode(noise(), image_format, **options)
    dice = random.Random(image_format)

    for _ in range(40):
        damaged = bytearray(whole)
        for _ in range(dice.choice([1, 2, 8])):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        try:
            decoded = decode_image(bytes(damaged), shorter_side=16)
        except InputError:
            continue
        assert decoded.pixels.mode == "RGB"


# Limits


def png_announcing(side: int) -> bytes:
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return png((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))))


def gif_announcing(side: int) -> bytes:
    picture = bytearray(encode(plain(), "GIF"))
    picture[6:10] = struct.pack("<HH", side, side)
    return bytes(picture)


def bmp_announcing(side: int) -> bytes:
    picture = bytearray(encode(plain(), "BMP"))
    picture[18:26] = struct.pack("<ii", side, side)
    return bytes(picture)


def jpeg_announcing(side: int) -> bytes:
    picture = bytearray(encode(plain(), "JPEG"))
    frame = picture.index(b"\xff\xc0")
    picture[frame + 5 : frame + 9] = struct.pack(">HH", side, side)
    return bytes(picture)


def tiff_announcing(side: int) -> bytes:
    picture = bytearray(encode(plain(), "TIFF"))
    (directory,) = struct.unpack_from("<I", picture, 4)
    (count,) = struct.unpack_from("<H", picture, directory)
    for entry in range(directory + 2, directory + 2 + 12 * count, 12):
        (tag,) = struct.unpack_from("<H", picture, entry)
        if tag in (256, 257):  # width, height
            struct.pack_into("<HHII", picture, entry, tag, 4, 1, side)
    return bytes(picture)


def webp_announcing(side: int) -> bytes:
    moving = encode(plain(), "WEBP", save_all=True, append_images=[plain(colour="blue")])
    picture = bytearray(moving)
    canvas = picture.index(b"VP8X") + 12
    picture[canvas : canvas + 6] = (side - 1).to_bytes(3, "little") * 2
    return bytes(picture)


ANNOUNCING: list[Callable[[int], bytes]] = [
    png_announcing,
    gif_announcing,
    bmp_announcing,
    jpeg_announcing,
    tiff_announcing,
    webp_announcing,
]


def peak_bytes() -> int:
    """The most memory this process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@pytest.mark.parametrize("side", [9_000, 12_000, 30_000])
@pytest.mark.parametrize("announcing", ANNOUNCING)
@as_in_the_service
def test_a_bomb_is_refused_by_its_header_alone(announcing, side):
    bomb = announcing(side)
    started, peak_before = time.perf_counter(), peak_bytes()

    with pytest.raises(ImageTooManyPixels, match=r"limit is 50 megapixels .*WHATSIT_MAX_PIXELS"):
        decode_image(bomb)

    assert time.perf_counter() - started < 20
    # Decoded, the smallest of them has 243 MB.
    assert peak_bytes() - peak_before < 50_000_000


def test_the_limit_of_pixels_itself_is_allowed():
    picture = encode(plain(size=(100, 80)), "PNG")

    assert decode_image(picture, max_pixels=8_000).width == 100
    with pytest.raises(ImageTooManyPixels) as caught:
        decode_image(picture, max_pixels=7_999)
    assert (caught.value.limit_pixels, caught.value.pixels) == (7_999, 8_000)


def test_the_limit_of_bytes_itself_is_allowed():
    picture = encode(plain(), "PNG")

    assert decode_image(picture, max_bytes=len(picture)).width == 40
    with pytest.raises(ImageTooLarge) as caught:
        decode_image(picture, max_bytes=len(picture) - 1)
    assert caught.value.limit_bytes == len(picture) - 1


def test_too_many_bytes_are_told_with_the_limit_and_its_setting():
    with pytest.raises(ImageTooLarge, match=r"20 MB \(WHATSIT_MAX_UPLOAD_BYTES\)"):
        decode_image(bytes(20_000_001))


@pytest.mark.parametrize(
    ("limit", "pixels", "sentence"),
    [
        (50_000_000, 61_000_000, "has 61 megapixels; the limit is 50 megapixels "),
        (50_000_000, 50_300_000, "has 50.3 megapixels; the limit is 50 megapixels "),
        (50_000_000, 50_000_001, "has 50.1 megapixels; the limit is 50 megapixels "),
        (2_500_000, 10**12, "has 1,000,000 megapixels; the limit is 2.5 megapixels "),
        (500_000, 600_000, "has 600,000 pixels; the limit is 500,000 pixels "),
        (1_234_567, 1_234_568, "has 1,234,568 pixels; the limit is 1,234,567 pixels "),
        (50_000_000, None, "has too many pixels; the limit is 50 megapixels "),
    ],
)
def test_too_many_pixels_are_always_told_as_more_than_the_limit(limit, pixels, sentence):
    assert sentence in ImageTooManyPixels(limit, pixels).detail


@pytest.mark.parametrize(
    ("limit", "told"),
    [(100_000, "100,000 bytes"), (1_500_000, "1.5 MB"), (20_000_001, "20,000,001 bytes")],
)
def test_a_limit_of_bytes_is_told_exactly(limit, told):
    assert f"larger than {told} (" in ImageTooLarge(limit).detail


@pytest.mark.parametrize(
    "image_bytes",
    [b"", b"text", b"%PDF-1.7", encode(noise(), "PNG")[:500], png_announcing(30_000)],
    ids=["empty", "text", "pdf", "cut", "bomb"],
)
def test_a_refusal_names_no_path_and_no_inner_thing(image_bytes):
    with pytest.raises(InputError) as caught:
        decode_image(image_bytes)

    assert not any(sign in caught.value.detail for sign in ("/", "\\", " at 0x", "PIL", "Error"))
    assert caught.value.detail.endswith(".")


# What files are put together of


@pytest.mark.parametrize(
    "image_bytes",
    [
        pytest.param(lambda: pictures.many_scans(101, 64), id="passes"),
        pytest.param(lambda: pictures.jpeg_with(b"\xff\xfe\0\2" * 60_000), id="segments"),
        pytest.param(lambda: pictures.small_png(pictures.chunk(b"teXt") * 110_000), id="chunks"),
        pytest.param(lambda: pictures.gif_with(b"!\xfe" + b"\1a" * 210_000 + b"\0"), id="blocks"),
        pytest.param(lambda: pictures.shared_strips(60_000), id="strips"),
        pytest.param(lambda: pictures.long_entry(320, 210_000), id="colours"),
        pytest.param(lambda: pictures.greedy_tiff(1_001, 100), id="entries"),
    ],
)
def test_a_file_in_more_pieces_than_any_picture_needs_is_refused(image_bytes):
    with pytest.raises(ImageUnreadable, match=r"Save it again"):
        decode_image(image_bytes())


@pytest.mark.parametrize(
    ("image_bytes", "size"),
    [
        pytest.param(lambda: pictures.many_scans(50, 64), (64, 64), id="passes"),
        pytest.param(lambda: pictures.shared_strips(4_000), (1, 4_000), id="strips"),
        pytest.param(
            lambda: pictures.small_png(pictures.chunk(b"teXt") * 9_000), (96, 64), id="chunks"
        ),
    ],
)
def test_a_file_in_many_pieces_is_a_picture_still(image_bytes, size):
    decoded = decode_image(image_bytes())

    assert (decoded.width, decoded.height) == size


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP", b"tEXt"])
def test_what_a_png_says_beside_its_picture_is_not_even_looked_at(kind):
    bomb = b"Comment\0\0" + pictures.bomb(50_000_000)

    assert decode_image(pictures.small_png(pictures.chunk(kind, bomb))).width == 96


def test_the_orientation_that_imagemagick_wrote_as_text_counts():
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    digits = (b"Exif\0\0" + exif.tobytes().removeprefix(b"Exif\0\0")).hex().encode()
    text = b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n      %d\n%b\n" % (99, digits))

    decoded = decode_image(pictures.small_png(pictures.chunk(b"zTXt", text)))

    assert (decoded.width, decoded.height) == (64, 96)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_the_orientation_in_xmp_counts_where_exif_has_none(image_format):
    xmp = b'<rdf:Description tiff:Orientation="8"/>'
    if image_format == "PNG":
        text = b"XML:com.adobe.xmp\0\0\0\0\0" + xmp
        picture = pictures.small_png(pictures.chunk(b"iTXt", text))
    elif image_format == "TIFF":
        picture = encode(plain(size=(96, 64)), "TIFF", tiffinfo={700: xmp})
    else:
        picture = encode(plain(size=(96, 64)), image_format, xmp=xmp)

    assert decode_image(picture).pixels.size == (64, 96)


@pytest.mark.parametrize("compression", [6, 34712, 34887, 34925, 50001, 50002])
def test_a_tiff_compressed_in_a_rare_way_is_refused_by_name(compression):
    with pytest.raises(ImageUnsupported, match="a TIFF picture compressed with"):
        decode_image(pictures.compressed_tiff(compression))


def test_a_bigtiff_whose_directory_lies_at_the_end_of_the_world_is_damaged():
    with pytest.raises(ImageUnreadable, match="header is damaged"):
        decode_image(b"II+\0\x08\0\0\0" + bytes(7) + b"\x80")


@pytest.mark.parametrize("image_format", ["AVIF", "HEIC"])
def test_a_frame_that_is_larger_than_announced_is_damage(image_format):
    with pytest.raises(ImageUnreadable):
        decode_image(pictures.large_frame(image_format, 64))


@pytest.mark.parametrize("image_format", ["AVIF", "HEIC"])
def test_many_frames_hidden_behind_one_are_damage(image_format):
    whole = encode(plain(), image_format)
    # The only item reaches to the end of the file; its frame is repeated, and its length raised.
    start = whole.index(b"mdat") + 4
    frame = whole[start:]
    places = whole.index(b"iloc")
    length = struct.pack(">I", len(frame))
    at = whole.index(length, places)
    file = whole[:at] + struct.pack(">I", len(frame) * 100) + whole[at + 4 : start] + frame * 100
    assert decode_image(whole).width == 40

    with pytest.raises(ImageUnreadable, match="header is damaged"):
        decode_image(file)


# Memory


@pytest.mark.parametrize(
    ("mode", "image_format", "options"),
    [
        ("RGB", "PNG", {}),
        ("RGBA", "PNG", {}),
        ("LA", "PNG", {}),
        ("P", "GIF", {}),
        ("I;16", "PNG", {}),
        ("F", "TIFF", {"compression": "tiff_deflate"}),
        ("RGB", "WEBP", {"lossless": True, "method": 0, "quality": 0}),
        ("RGB", "AVIF", {"speed": 10}),
    ],
)
def test_a_large_picture_is_made_smaller_piece_by_piece(mode, image_format, options):
    small = pictures.photo(mode, 128, 128)
    large = small.resize((4_096, 4_096), Image.Resampling.NEAREST)
    picture = encode(large, image_format, **options)

    decoded = decode_image(picture, shorter_side=64)

    assert (decoded.width, decoded.height) == (4_096, 4_096)
    assert decoded.pixels.size == (128, 128)
    expected = np.asarray(decode_image(encode(small, "TIFF" if mode == "F" else "PNG")).pixels)
    difference = np.abs(np.asarray(decoded.pixels, np.int16) - expected)
    # Lossy formats shift colours by a few levels, at the edges by more.
    assert difference.mean() < (6 if image_format == "AVIF" else 1.5)


def test_a_large_picture_on_its_side_is_made_smaller_and_upright():
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    picture = encode(plain(size=(5_000, 4_000)), "PNG", exif=exif.tobytes())

    decoded = decode_image(picture, shorter_side=100)

    assert (decoded.width, decoded.height) == (4_000, 5_000)
    assert decoded.pixels.size == (200, 250)


@pytest.mark.parametrize(
    ("picture", "kind"),
    [
        (lambda: pictures.flat_webp(6_000, 5_000), "a WebP"),
        (lambda: pictures.flat_png(1_000, 49_000, 8, 6), "a PNG"),
        (lambda: pictures.bmp(7_000, 7_000, 1, b""), "a run-length encoded BMP"),
    ],
    ids=["webp", "png", "bmp"],
)
def test_a_picture_of_a_costly_kind_is_refused_from_fewer_pixels_on(picture, kind):
    with pytest.raises(ImageTooManyPixels, match=rf"megapixels for {kind} \(WHATSIT") as caught:
        decode_image(picture(), shorter_side=292)

    assert caught.value.pixels is not None
    assert caught.value.pixels > (caught.value.limit_pixels or 0)


@pytest.mark.parametrize(("width", "height"), [(100_001, 2), (2, 100_001)])
def test_a_picture_of_very_long_or_very_many_lines_is_refused(width, height):
    with pytest.raises(ImageUnreadable, match="no side may have more than 100,000"):
        decode_image(pictures.flat_png(width, height, 1, 0))


# Previews


def test_a_preview_is_a_small_upright_jpeg_without_exif():
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Make] = "a camera"
    picture = encode(plain(size=(1200, 800)), "JPEG", exif=exif)

    preview = encode_preview(picture, 300, max_pixels=1_000_000)

    shown = Image.open(io.BytesIO(preview))
    assert (shown.format, shown.size) == ("JPEG", (200, 300))
    assert not shown.getexif()
    assert b"a camera" not in preview


def test_a_preview_drops_the_comment_of_a_jpeg():
    picture = encode(plain(), "JPEG", comment=b"my secret")

    assert b"my secret" not in encode_preview(picture, 20, max_pixels=1_000_000)


def test_a_preview_of_a_small_picture_keeps_its_size():
    preview = encode_preview(encode(plain("RGBA"), "PNG"), 300, max_pixels=1_000_000)

    assert Image.open(io.BytesIO(preview)).size == (40, 30)


def test_a_preview_refuses_what_decoding_refuses():
    with pytest.raises(ImageTooManyPixels):
        encode_preview(encode(plain(), "PNG"), 300, max_pixels=1_199)
