"""Pictures that somebody made to break a decoder, and odd ones that nobody meant ill with.

Everything is made here, from fixed seeds. Cases are made one at a time, when they are asked for:
together they would take gigabytes.
"""

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import pillow_heif
from PIL import Image, features

from whatsit.data import example_pictures

ANSWERED = "answered"
UNREADABLE, UNSUPPORTED = "image_unreadable", "image_unsupported"
TOO_LARGE, TOO_MANY_PIXELS = "image_too_large", "image_too_many_pixels"
ANY = ""


@dataclass(frozen=True)
class HostilePicture:
    """A picture, and what the service has to say about it.

    Attributes:
        name: Unique.
        make: Its bytes.
        outcomes: ``answered`` or codes of refusals, separated by spaces; empty if any of them will
            do.
    """

    name: str
    make: Callable[[], bytes]
    outcomes: str = ANY


def hostile_pictures() -> Iterator[HostilePicture]:
    """All of them."""
    for group in (
        _modes,
        _damaged,
        _pngs,
        _jpegs,
        _gifs,
        _webps,
        _bmps,
        _tiffs,
        _containers,
        _at_the_limit,
        _strips,
        _strangers,
    ):
        yield from group()


# Making pictures


def encode(image: Image.Image, image_format: str, **options: Any) -> bytes:
    """The bytes of an image in one format."""
    encoded = io.BytesIO()
    if image_format == "HEIC":
        pillow_heif.from_pillow(image).save(encoded, **options)
    else:
        image.copy().save(encoded, image_format, **options)
    return encoded.getvalue()


@cache
def photo(mode: str = "RGB", width: int = 96, height: int = 64) -> Image.Image:
    """A part of a photograph."""
    image = Image.open(io.BytesIO(example_pictures()["cat"])).convert("RGB")
    image = image.resize((width, height))
    if mode == "I;16":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    if mode in ("LA", "RGBA", "PA"):
        image.putalpha(image.getchannel(0))
    if mode == "PA":
        return image.convert("RGB").convert("PA")
    if mode == "P":
        return image.quantize(64)
    if mode == "LAB":
        return Image.frombytes("LAB", image.size, image.tobytes())
    return image.convert(mode)


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of chunks: kind and content of each."""
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def chunk(kind: bytes, content: bytes = b"") -> bytes:
    """One chunk of a PNG."""
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def header(width: int, height: int, depth: int = 8, colour: int = 2, lace: int = 0) -> bytes:
    """The content of a PNG's first chunk."""
    return struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, lace)


_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def flat_png(width: int, height: int, depth: int = 8, colour: int = 2, *more: bytes) -> bytes:
    """A small file that really inflates to so many black pixels; `more` are chunks before them."""
    row = bytes(1 + (width * _CHANNELS[colour] * depth + 7) // 8)
    packer = zlib.compressobj(1)
    at_once = max(1, 1_000_000 // len(row))
    data = b"".join(
        packer.compress(row * min(at_once, height - done)) for done in range(0, height, at_once)
    )
    first = chunk(b"IHDR", header(width, height, depth, colour))
    rest = chunk(b"IDAT", data + packer.flush()) + chunk(b"IEND")
    return b"\x89PNG\r\n\x1a\n" + first + b"".join(more) + rest


def small_png(*before: bytes, after: bytes = b"", behind: bytes = b"") -> bytes:
    """A good PNG with further chunks: before, between and behind its pixels."""
    whole = encode(photo(), "PNG")
    return whole[:33] + b"".join(before) + whole[33:-12] + after + whole[-12:] + behind


def jpeg_with(segments: bytes, **options: Any) -> bytes:
    """A good JPEG with further segments in front."""
    whole = encode(photo(), "JPEG", **options)
    return whole[:2] + segments + whole[2:]


def segment(marker: int, content: bytes) -> bytes:
    """One segment of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def directory(*entries: tuple[int, int, int, int], order: str = "<", following: int = 0) -> bytes:
    """A TIFF directory: tag, type, count and value of each entry."""
    packed = b"".join(struct.pack(order + "HHII", *entry) for entry in entries)
    return struct.pack(order + "H", len(entries)) + packed + struct.pack(order + "I", following)


def tiff(*entries: tuple[int, int, int, int], data: bytes = b"", following: int = 0) -> bytes:
    """A TIFF: its data lies at 8, its directory behind that."""
    head = b"II*\0" + struct.pack("<I", 8 + len(data))
    return head + data + directory(*entries, following=following)


def plain_entries(width: int, height: int, **changed: int) -> list[tuple[int, int, int, int]]:
    """What describes a grey picture in one strip; a change names its tag: ``_259=5``."""
    values = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: height}
    values |= {279: width * height % 2**32}
    values |= {int(tag[1:]): value for tag, value in changed.items()}
    return [(tag, 4, 1, value) for tag, value in sorted(values.items())]


def greedy_directory(count: int, size: int) -> bytes:
    """EXIF whose entries all claim the same bytes, `size` of them each."""
    entries = [(40_000 + number, 7, size - 8, 8) for number in range(count)]
    body = b"II*\0\x08\0\0\0" + directory(*entries)
    return body + bytes(max(0, size - len(body)))


# Modes and formats


def _modes() -> Iterator[HostilePicture]:
    written: list[tuple[str, str, dict[str, Any]]] = [
        *((mode, "PNG", {}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
        ("P", "PNG", {"transparency": 3}),
        ("P", "PNG", {"transparency": bytes(range(64))}),
        ("L", "PNG", {"transparency": 9}),
        ("RGB", "PNG", {"transparency": (1, 2, 3)}),
        *((mode, "JPEG", {}) for mode in ("1", "L", "RGB", "CMYK", "YCbCr")),
        ("RGB", "JPEG", {"progressive": True}),
        ("RGB", "JPEG", {"optimize": True}),
        ("RGB", "JPEG", {"restart_marker_blocks": 1}),
        *(("RGB", "JPEG", {"subsampling": name}) for name in ("4:4:4", "4:2:2", "4:2:0")),
        ("RGB", "JPEG", {"keep_rgb": True}),
        ("CMYK", "JPEG", {"progressive": True}),
        ("L", "JPEG", {"progressive": True}),
        *((mode, "WEBP", options) for mode in ("RGB", "RGBA") for options in ({}, LOSSLESS)),
        *((mode, "GIF", {}) for mode in ("1", "L", "P", "RGB", "RGBA")),
        ("P", "GIF", {"interlace": 1}),
        ("P", "GIF", {"transparency": 2}),
        *((mode, "BMP", {}) for mode in ("1", "L", "P", "RGB", "RGBA")),
        *((mode, "AVIF", {}) for mode in ("L", "LA", "RGB", "RGBA")),
        *(("RGB", "AVIF", {"subsampling": name}) for name in ("4:4:4", "4:2:2", "4:0:0")),
        *((mode, "HEIC", {}) for mode in ("L", "RGB", "RGBA")),
        ("RGB", "HEIC", {"chroma": 444}),
        *(
            (mode, "TIFF", {})
            for mode in (
                *("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB"),
                *("I", "I;16", "F"),
            )
        ),
        *(
            ("RGB", "TIFF", {"compression": name})
            for name in ("tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "packbits", "jpeg")
        ),
        *(("1", "TIFF", {"compression": name}) for name in ("group3", "group4", "tiff_ccitt")),
        ("RGB", "TIFF", {"compression": "zstd"}),
        ("I;16", "TIFF", {"compression": "tiff_lzw"}),
        ("F", "TIFF", {"compression": "tiff_deflate"}),
        ("YCbCr", "TIFF", {"compression": "jpeg"}),
        ("RGB", "TIFF", {"big_tiff": True}),
        ("RGB", "TIFF", {"big_tiff": True, "compression": "tiff_lzw"}),
        ("RGB", "TIFF", {"tiffinfo": {278: 1}, "compression": "tiff_lzw"}),
    ]
    for mode, image_format, options in written:
        told = " ".join(f"{name}={str(value)[:20]}" for name, value in options.items())
        name = f"mode {mode} as {image_format} {told}".strip()
        make = partial(lambda *of, **how: encode(photo(of[0]), of[1], **how), mode, image_format)
        yield HostilePicture(name, partial(make, **options), ANSWERED)
    for image_format in ("GIF", "PNG", "WEBP", "AVIF", "TIFF", "MPO"):
        frames = {"save_all": True, "append_images": [photo("L").convert("RGB")] * 3}
        yield HostilePicture(
            f"several frames as {image_format}",
            partial(encode, photo(), image_format, **frames),
            ANSWERED,
        )
    for depth, colour in [(1, 0), (2, 0), (4, 0), (8, 0), (16, 0), (16, 2), (16, 4), (16, 6)]:
        yield HostilePicture(
            f"PNG of {depth} bits, colour type {colour}",
            partial(flat_png, 33, 17, depth, colour),
            ANSWERED,
        )
    for depth in (1, 2, 4, 8):
        palette = chunk(
            b"PLTE", bytes(range(3 << depth)[: 3 << depth][i] % 256 for i in range(3 << depth))
        )
        yield HostilePicture(
            f"PNG palette of {depth} bits", partial(flat_png, 33, 17, depth, 3, palette), ANSWERED
        )
    yield HostilePicture("PNG interlaced", interlaced_png, ANSWERED)


LOSSLESS = {"lossless": True}


def interlaced_png() -> bytes:
    """1 x 1, in seven passes of which six are empty."""
    return png(
        (b"IHDR", header(1, 1, lace=1)),
        (b"IDAT", zlib.compress(bytes(4))),
        (b"IEND", b""),
    )


# Damage


def base_pictures() -> Iterator[tuple[str, bytes]]:
    yield "JPEG", encode(photo(), "JPEG")
    yield "progressive JPEG", encode(photo(), "JPEG", progressive=True)
    yield "PNG", encode(photo(), "PNG")
    yield "palette PNG", encode(photo("P"), "PNG", transparency=3)
    yield "WebP", encode(photo(), "WEBP")
    yield "lossless WebP", encode(photo(), "WEBP", lossless=True)
    yield "moving WebP", encode(photo(), "WEBP", save_all=True, append_images=[photo("L")])
    yield "GIF", encode(photo("P"), "GIF")
    yield "BMP", encode(photo(), "BMP")
    yield "TIFF", encode(photo(), "TIFF")
    yield "LZW TIFF", encode(photo(), "TIFF", compression="tiff_lzw")
    yield "JPEG TIFF", encode(photo(), "TIFF", compression="jpeg")
    yield "group 4 TIFF", encode(photo("1"), "TIFF", compression="group4")
    yield "AVIF", encode(photo(), "AVIF")
    yield "HEIC", encode(photo(), "HEIC")


def flipped(whole: bytes, seed: int) -> bytes:
    """A few bits are wrong, most of them near the start."""
    dice = random.Random(seed)
    damaged = bytearray(whole)
    for _ in range(dice.choice([1, 3, 12])):
        reach = dice.choice([64, 512, len(damaged)])
        damaged[dice.randrange(min(reach, len(damaged)))] ^= 1 << dice.randrange(8)
    return bytes(damaged)


def spliced(whole: bytes, seed: int) -> bytes:
    """Parts are left out, doubled, or replaced by noise."""
    dice = random.Random(seed)
    start, end = sorted(dice.randrange(len(whole)) for _ in range(2))
    middle = dice.choice([b"", whole[start:end] * 2, dice.randbytes(end - start)])
    return whole[:start] + middle + whole[end:]


def _damaged() -> Iterator[HostilePicture]:
    for name, whole in base_pictures():
        for parts in (2, 3, 5, 10, 20, 40, 60, 80, 95, 99):
            end = max(1, len(whole) * parts // 100)
            yield HostilePicture(f"{name} cut at {parts} %", partial(bytes, whole[:end]))
        for end in (1, 4, 13, 30):
            yield HostilePicture(f"{name} cut at {end} bytes", partial(bytes, whole[:end]))
        for seed in range(12):
            yield HostilePicture(f"{name} with flipped bits {seed}", partial(flipped, whole, seed))
        for seed in range(4):
            yield HostilePicture(f"{name} spliced {seed}", partial(spliced, whole, seed))


# PNG


@cache
def bomb(size: int) -> bytes:
    """So many zeros, compressed."""
    packer = zlib.compressobj(9)
    block = bytes(1_000_000)
    return b"".join(packer.compress(block) for _ in range(size // len(block))) + packer.flush()


def _pngs() -> Iterator[HostilePicture]:
    def case(name: str, make: Callable[[], bytes], outcomes: str) -> HostilePicture:
        return HostilePicture(f"PNG {name}", make, outcomes)

    for side in (7_072, 30_000, 2**31 - 1):
        yield case(f"announcing {side}", partial(announced_png, side, side), TOO_MANY_PIXELS)
    yield case("of no width", partial(announced_png, 0, 5), UNREADABLE)
    text = b"Comment\0"
    yield case(
        "with 5 MB of text", lambda: small_png(chunk(b"tEXt", text + b"a" * 5_000_000)), ANSWERED
    )
    yield case(
        "with a zTXt bomb",
        lambda: small_png(chunk(b"zTXt", text + b"\0" + bomb(200_000_000))),
        ANSWERED,
    )
    yield case(
        "with 50 zTXt bombs",
        lambda: small_png(*[chunk(b"zTXt", text + b"\0" + bomb(50_000_000))] * 50),
        ANSWERED,
    )
    yield case(
        "with an iTXt bomb",
        lambda: small_png(chunk(b"iTXt", text + b"\1\0\0\0" + bomb(200_000_000))),
        ANSWERED,
    )
    yield case(
        "with an iCCP bomb",
        lambda: small_png(chunk(b"iCCP", b"icc\0\0" + bomb(200_000_000))),
        ANSWERED,
    )
    yield case(
        "with a raw profile bomb",
        lambda: small_png(chunk(b"zTXt", b"Raw profile type exif\0\0" + bomb(200_000_000))),
        ANSWERED,
    )
    yield case("with 10 MB of EXIF", lambda: small_png(chunk(b"eXIf", bytes(10_000_000))), ANSWERED)
    yield case(
        "with greedy EXIF",
        lambda: small_png(chunk(b"eXIf", greedy_directory(5_000, 10_000_000))),
        ANSWERED,
    )
    yield case(
        "with 1,500,000 empty chunks", lambda: small_png(chunk(b"teXt") * 1_500_000), UNREADABLE
    )
    yield case(
        "with 1,500,000 empty chunks behind",
        lambda: small_png(after=chunk(b"teXt") * 1_500_000),
        UNREADABLE,
    )
    yield case("with 90,000 empty pieces", lambda: small_png(after=chunk(b"IDAT") * 90_000), ANY)
    yield case("with 15 MB behind its end", lambda: small_png(behind=bytes(15_000_000)), ANSWERED)
    yield case("moving, 20,000 frames", moving_png, ANSWERED)
    yield case("without a palette", partial(flat_png, 9, 9, 8, 3), ANY)
    yield case("without pixels", partial(png, (b"IHDR", header(9, 9)), (b"IEND", b"")), UNREADABLE)
    yield case("of nothing", partial(png), UNREADABLE)
    yield case("that begins with its end", partial(png, (b"IEND", b"")), UNREADABLE)
    yield case(
        "with too few pixels",
        partial(png, (b"IHDR", header(900, 900)), (b"IDAT", zlib.compress(bytes(99)))),
        UNREADABLE,
    )
    yield case(
        "with far too many pixels",
        partial(png, (b"IHDR", header(9, 9)), (b"IDAT", bomb(200_000_000)), (b"IEND", b"")),
        ANSWERED,
    )
    yield case("of an unknown depth", partial(flat_png, 9, 9, 7), UNREADABLE)
    yield case(
        "with two headers",
        lambda: small_png(chunk(b"IHDR", header(60_000, 60_000))),
        f"{TOO_MANY_PIXELS} {UNREADABLE}",
    )
    yield case(
        "with 7 transparent bytes", partial(flat_png, 9, 9, 8, 2, chunk(b"tRNS", bytes(7))), ANY
    )
    yield case("with no transparent bytes", partial(flat_png, 9, 9, 8, 0, chunk(b"tRNS", b"")), ANY)
    yield case(
        "with a chunk of 2 GB",
        lambda: png((b"IHDR", header(9, 9))) + b"\x7f\xff\xff\xffIDAT" + bytes(99),
        UNREADABLE,
    )
    yield case(
        "with a wrong checksum",
        lambda: encode(photo(), "PNG").replace(b"IDAT", b"IDAT\0", 1),
        UNREADABLE,
    )


def announced_png(width: int, height: int) -> bytes:
    """It announces a size, and then holds almost nothing."""
    return png(
        (b"IHDR", header(width, height)), (b"IDAT", zlib.compress(bytes(1_000))), (b"IEND", b"")
    )


def moving_png() -> bytes:
    """APNG of 20,000 frames of one pixel."""
    pixel = zlib.compress(bytes(4))
    control = struct.pack(">IIIIHHBB", 1, 1, 0, 0, 1, 10, 0, 0)
    frames = b"".join(
        chunk(b"fcTL", struct.pack(">I", 2 * number) + control)
        + chunk(b"fdAT", struct.pack(">I", 2 * number + 1) + pixel)
        for number in range(20_000)
    )
    start = chunk(b"IHDR", header(1, 1)) + chunk(b"acTL", struct.pack(">II", 20_000, 0))
    return b"\x89PNG\r\n\x1a\n" + start + chunk(b"IDAT", pixel) + frames + chunk(b"IEND")


# JPEG


def jpeg_scans(whole: bytes) -> list[int]:
    """Where each scan starts."""
    return [at for at in range(len(whole) - 1) if whole[at : at + 2] == b"\xff\xda"]


def many_scans(count: int, side: int) -> bytes:
    """A progressive JPEG whose last pass is repeated."""
    whole = encode(Image.new("RGB", (side, side)), "JPEG", progressive=True)
    last = jpeg_scans(whole)[-1]
    return whole[:last] + whole[last:-2] * count + whole[-2:]


def exif_orientation(value: int, kind: int = 3, count: int = 1) -> bytes:
    """An EXIF segment with nothing but an orientation."""
    return segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0" + directory((274, kind, count, value)))


def _jpegs() -> Iterator[HostilePicture]:
    def case(name: str, make: Callable[[], bytes], outcomes: str = ANY) -> HostilePicture:
        return HostilePicture(f"JPEG {name}", make, outcomes)

    for side in (7_072, 30_000, 65_500):
        yield case(f"announcing {side}", partial(announced_jpeg, side), TOO_MANY_PIXELS)
    yield case("of no height", partial(announced_jpeg, 0), UNREADABLE)
    yield case("of 49 megapixels without its end", partial(endless_jpeg, 7_000), ANSWERED)
    yield case("of 10 passes without its end", partial(endless_jpeg, 4_000, 10), ANSWERED)
    yield case("of 99 passes without its end", partial(endless_jpeg, 256, 90), UNREADABLE)
    yield case(
        "of half its pixels, without its end", lambda: announced_jpeg(4_000)[:-2], UNREADABLE
    )
    yield case("of 99 passes", partial(many_scans, 85, 256), ANSWERED)
    yield case("of 2,000 passes", partial(many_scans, 2_000, 256), UNREADABLE)
    yield case(
        "of 20,000 passes over 49 megapixels", partial(many_scans, 20_000, 7_000), UNREADABLE
    )
    yield case("of 85 passes over 49 megapixels", partial(many_scans, 75, 7_000), ANSWERED)
    for value in (0, 1, 6, 8, 9, 255, 65_535):
        yield case(
            f"with orientation {value}", partial(jpeg_with, exif_orientation(value)), ANSWERED
        )
    yield case(
        "with an orientation in words", partial(jpeg_with, exif_orientation(6, 2, 4)), ANSWERED
    )
    yield case(
        "with orientations beyond the end",
        partial(jpeg_with, exif_orientation(2**31, 3, 9)),
        ANSWERED,
    )
    yield case(
        "with 2^32 orientations", partial(jpeg_with, exif_orientation(8, 3, 2**32 - 1)), ANSWERED
    )
    loop = segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0" + directory((0x8769, 4, 1, 8), following=8))
    yield case("with an EXIF loop", partial(jpeg_with, loop), ANSWERED)
    greedy = segment(0xE1, b"Exif\0\0" + greedy_directory(5_000, 65_000))
    yield case("with greedy EXIF", partial(jpeg_with, greedy), ANSWERED)
    yield case("with 300 greedy EXIF segments", partial(jpeg_with, greedy * 300), ANSWERED)
    multi = segment(0xE2, b"MPF\0" + greedy_directory(5_000, 65_000))
    yield case("with a greedy index of pictures", partial(jpeg_with, multi), ANSWERED)
    yield case(
        "with 15 MB of comments", partial(jpeg_with, segment(0xFE, bytes(65_000)) * 230), ANSWERED
    )
    yield case(
        "with 15 MB of colour profile",
        partial(jpeg_with, segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(64_000)) * 230),
        ANSWERED,
    )
    xmp = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + b"<" * 64_000)
    yield case("with 15 MB of XMP", partial(jpeg_with, xmp * 230), ANSWERED)
    yield case(
        "with 4,000,000 empty comments",
        partial(jpeg_with, segment(0xFE, b"") * 4_000_000),
        UNREADABLE,
    )
    yield case(
        "with 1,000,000 tables", partial(jpeg_with, segment(0xC4, b"") * 1_000_000), UNREADABLE
    )
    yield case("with 15 MB of padding", partial(jpeg_with, b"\xff" * 15_000_000), ANY)
    yield case("with 15 MB of stuffing", partial(jpeg_with, b"\xff\0" * 7_500_000), ANY)
    yield case("with 15 MB of restarts", partial(jpeg_with, b"\xff\xd0" * 7_500_000), ANY)
    for seed in range(6):
        yield case(f"with garbled tables {seed}", partial(garbled_tables, seed))
    yield case("without tables", partial(without_tables), UNREADABLE)
    yield case("in arithmetic coding", partial(renamed_frame, 0xC9))
    yield case("without loss", partial(renamed_frame, 0xC3), UNSUPPORTED)
    yield case("of 12 bits", partial(twelve_bits), UNSUPPORTED)
    yield case("with a ZIP archive behind it", lambda: encode(photo(), "JPEG") + zipped(), ANSWERED)
    yield case(
        "with 15 MB behind it", lambda: encode(photo(), "JPEG") + bytes(15_000_000), ANSWERED
    )
    yield case("of nothing but an end", partial(bytes, b"\xff\xd8\xff\xd9"), UNREADABLE)
    yield case("of five colours", partial(five_colours), UNSUPPORTED)


def endless_jpeg(side: int, passes: int = 0) -> bytes:
    """A JPEG that lacks nothing but its end."""
    if passes:
        return many_scans(passes - 9, side)[:-2]
    return encode(Image.new("RGB", (side, side), "teal"), "JPEG")[:-2]


def announced_jpeg(side: int) -> bytes:
    """It announces a size, and then holds less."""
    whole = bytearray(encode(photo(), "JPEG"))
    frame = whole.index(b"\xff\xc0")
    whole[frame + 5 : frame + 9] = struct.pack(">HH", side, side)
    return bytes(whole)


def garbled_tables(seed: int) -> bytes:
    """Huffman tables of noise."""
    dice = random.Random(seed)
    whole = bytearray(encode(photo(), "JPEG", progressive=bool(seed % 2)))
    table = whole.index(b"\xff\xc4")
    for at in range(table + 5, table + 25):
        whole[at] = dice.randrange(256)
    return bytes(whole)


def without_tables() -> bytes:
    """A JPEG that relies on tables it does not bring."""
    whole = encode(photo(), "JPEG")
    return whole[: whole.index(b"\xff\xdb")] + whole[whole.index(b"\xff\xc0") :]


def renamed_frame(marker: int) -> bytes:
    """A JPEG that says it is of another process."""
    return encode(photo(), "JPEG").replace(b"\xff\xc0", bytes((0xFF, marker)), 1)


def twelve_bits() -> bytes:
    """A JPEG that says it has 12 bits."""
    whole = bytearray(encode(photo(), "JPEG"))
    whole[whole.index(b"\xff\xc0") + 4] = 12
    return bytes(whole)


def five_colours() -> bytes:
    """A JPEG of five components."""
    frame = segment(0xC0, struct.pack(">BHHB", 8, 9, 9, 5) + b"\1\x11\0" * 5)
    return b"\xff\xd8" + frame + segment(0xDA, b"\5" + b"\1\0" * 5 + b"\0\x3f\0") + bytes(99)


# GIF


def gif_picture_at(whole: bytes) -> int:
    """Where the first block of a GIF starts, behind its colours."""
    return 13 + (3 << ((whole[10] & 7) + 1))


def gif_with(blocks: bytes) -> bytes:
    """A good GIF with further blocks before its picture."""
    whole = encode(photo("P"), "GIF")
    at = gif_picture_at(whole)
    return whole[:at] + blocks + whole[at:]


def patched(whole: bytes, at: int, content: bytes) -> bytes:
    """The same file with other bytes in one place."""
    return whole[:at] + content + whole[at + len(content) :]


def many_gif_frames(count: int) -> bytes:
    """A GIF whose picture is repeated."""
    whole = encode(photo("P", 8, 8), "GIF")
    at = gif_picture_at(whole)
    return whole[:at] + whole[at:-1] * count + whole[-1:]


def _gifs() -> Iterator[HostilePicture]:
    def case(name: str, make: Callable[[], bytes], outcomes: str = ANY) -> HostilePicture:
        return HostilePicture(f"GIF {name}", make, outcomes)

    whole = encode(photo("P"), "GIF")
    for side in (7_072, 30_000, 65_535):
        yield case(
            f"announcing {side}",
            partial(patched, whole, 6, struct.pack("<HH", side, side)),
            TOO_MANY_PIXELS,
        )
    yield case("of 20,000 frames", partial(many_gif_frames, 20_000), ANSWERED)
    long_comment = b"!\xfe" + (b"\xff" + b"a" * 255) * 60_000 + b"\0"
    yield case("with a comment of 15 MB", partial(gif_with, long_comment), ANSWERED)
    yield case("with 2,000,000 comments", partial(gif_with, b"!\xfe\1a\0" * 2_000_000), UNREADABLE)
    yield case("with 5,000,000 empty blocks", partial(gif_with, b"!\xfe\0" * 5_000_000), UNREADABLE)
    yield case(
        "with a comment in 1-byte pieces",
        partial(gif_with, b"!\xfe" + b"\1a" * 7_000_000 + b"\0"),
        UNREADABLE,
    )
    yield case("with 20,000 controls", partial(gif_with, b"!\xf9\4\0\0\0\0\0" * 20_000), ANSWERED)
    yield case("with a block of an unknown kind", partial(gif_with, b"!\x77\2ab\0"), ANSWERED)
    yield case(
        "whose picture is larger than it",
        partial(patched, whole, gif_picture_at(whole) + 5, struct.pack("<HH", 9_000, 9_000)),
        TOO_MANY_PIXELS,
    )
    yield case(
        "without a picture", partial(bytes, whole[: gif_picture_at(whole)] + b";"), UNREADABLE
    )
    yield case("without a table of colours", partial(patched, whole, 10, b"\0"))


# WebP


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    """A WebP of chunks: kind and content of each."""
    body = b"".join(
        kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)
        for kind, content in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def webp_chunks(whole: bytes) -> list[tuple[bytes, bytes]]:
    """What a WebP is made of."""
    found, at = [], 12
    while at + 8 <= len(whole):
        (length,) = struct.unpack_from("<I", whole, at + 4)
        found.append((whole[at : at + 4], whole[at + 8 : at + 8 + length]))
        at += 8 + length + length % 2
    return found


def canvas(width: int, height: int, flags: int) -> tuple[bytes, bytes]:
    """A WebP's description of itself."""
    sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"VP8X", struct.pack("<I", flags) + sizes


def moving_webp(count: int, width: int = 8, height: int = 8) -> bytes:
    """An animation whose last frame is repeated."""
    parts = webp_chunks(
        encode(photo("RGB", 8, 8), "WEBP", save_all=True, append_images=[photo("L", 8, 8)])
    )
    frames = [part for part in parts if part[0] == b"ANMF"]
    rest = [part for part in parts if part[0] not in (b"ANMF", b"VP8X")]
    return riff(canvas(width, height, 2), *rest, *frames, *frames[-1:] * (count - len(frames)))


def flat_webp(width: int, height: int) -> bytes:
    """A small file that really decodes to so many pixels."""
    return encode(Image.new("RGB", (width, height)), "WEBP", method=0)


def _webps() -> Iterator[HostilePicture]:
    def case(name: str, make: Callable[[], bytes], outcomes: str = ANY) -> HostilePicture:
        return HostilePicture(f"WebP {name}", make, outcomes)

    still = webp_chunks(encode(photo(), "WEBP"))
    yield case("of 20,000 frames", partial(moving_webp, 20_000), ANSWERED)
    yield case(
        "moving on 16,000 x 16,000", partial(moving_webp, 3, 16_000, 16_000), TOO_MANY_PIXELS
    )
    yield case(
        "moving on 2^24 x 200",
        partial(moving_webp, 3, 2**24, 200),
        f"{TOO_MANY_PIXELS} {UNREADABLE}",
    )
    yield case("of 24 megapixels", partial(flat_webp, 6_000, 4_000), ANSWERED)
    yield case("of 30 megapixels", partial(flat_webp, 6_000, 5_000), TOO_MANY_PIXELS)
    yield case("on a canvas of 1 x 1", partial(riff, canvas(1, 1, 0), *still))
    lossless = encode(photo(), "WEBP", lossless=True)
    bits = struct.pack("<I", (16_382 << 14) | 16_382)
    yield case("announcing 16,383", partial(patched, lossless, 21, bits), TOO_MANY_PIXELS)
    for kind, flag in ((b"EXIF", 8), (b"XMP ", 4), (b"ICCP", 32)):
        more = (kind, bytes(10_000_000))
        first, last = ([more], []) if kind == b"ICCP" else ([], [more])
        yield case(
            f"with 10 MB of {kind.decode().strip()}",
            partial(riff, canvas(96, 64, flag), *first, *still, *last),
            ANSWERED,
        )
    greedy = (b"EXIF", greedy_directory(5_000, 10_000_000))
    yield case("with greedy EXIF", partial(riff, canvas(96, 64, 8), *still, greedy), ANSWERED)
    yield case(
        "with 500,000 empty chunks",
        partial(riff, canvas(96, 64, 0), *still, *[(b"junk", b"")] * 500_000),
    )
    yield case("of nothing", partial(riff), UNREADABLE)


# BMP


def bmp(width: int, height: int, compression: int, data: bytes, depth: int = 8) -> bytes:
    """A BMP with a table of colours."""
    palette = bytes(4 << min(depth, 8)) if depth <= 8 else b""
    start = 54 + len(palette)
    info = struct.pack(
        "<IiiHHIIiiII", 40, width, height, 1, depth, compression, len(data), 0, 0, 0, 0
    )
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + info + palette + data


def _bmps() -> Iterator[HostilePicture]:
    def case(name: str, make: Callable[[], bytes], outcomes: str = ANY) -> HostilePicture:
        return HostilePicture(f"BMP {name}", make, outcomes)

    for side in (7_072, 30_000, 2**31 - 1):
        yield case(f"announcing {side}", partial(bmp, side, side, 0, b"", 24), TOO_MANY_PIXELS)
    yield case("upside down", partial(bmp, 16, -16, 0, bytes(256)), ANSWERED)
    yield case("of negative width", partial(bmp, -16, 16, 0, bytes(256)))
    yield case("of no depth", partial(bmp, 16, 16, 0, bytes(256), 0), UNREADABLE)
    yield case("in runs", partial(bmp, 16, 16, 1, b"\x10\1\0\0" * 16), ANSWERED)
    yield case("in runs of half bytes", partial(bmp, 16, 16, 2, b"\x10\1\0\0" * 16, 4), ANSWERED)
    yield case(
        "in runs, 49 million wide", partial(bmp, 49_000_000, 1, 1, b"\1\1\0\0" * 9), TOO_MANY_PIXELS
    )
    yield case(
        "in runs, 49 megapixels",
        partial(bmp, 7_000, 7_000, 1, b"\1\1\0\0" * 9_000),
        TOO_MANY_PIXELS,
    )
    yield case("in runs, leaping", partial(bmp, 3_900_000, 1, 1, b"\0\2\xff\xff" * 99), ANY)
    yield case(
        "in single runs, 15 MB",
        partial(bmp, 2_000, 2_000, 1, b"\0\3abc\0" * 2_500_000),
        UNSUPPORTED,
    )
    yield case("in half-byte runs", partial(bmp, 1_999, 1_999, 2, b"\xff\1" * 900_000, 4))
    yield case("that holds a PNG", partial(bmp, 16, 16, 5, encode(photo(), "PNG"), 24), UNSUPPORTED)
    yield case("with masks", partial(bmp, 16, 16, 3, bytes(2_000), 32))


# TIFF


def shared_strips(count: int, depth: int = 8) -> bytes:
    """A TIFF whose strips all lie in the same place."""
    places = struct.pack("<I", 8) * count
    sizes = struct.pack("<I", depth // 8) * count
    data = b"\x55\xaa" + places + sizes
    entries = plain_entries(1, count, _258=depth, _278=1)
    entries = [entry for entry in entries if entry[0] not in (273, 279)]
    entries += [(273, 4, count, 10), (279, 4, count, 10 + len(places))]
    return tiff(*sorted(entries), data=data)


def big_tile(side: int) -> bytes:
    """A TIFF of 16 x 16 pixels in a tile that is a little larger."""
    data = bomb(100_000_000)
    entries = plain_entries(16, 16, _259=8, _322=side, _323=side, _324=8, _325=len(data))
    return tiff(*(entry for entry in entries if entry[0] not in (273, 278, 279)), data=data)


def compressed_tiff(compression: int) -> bytes:
    """A TIFF that says how it is compressed, but is not."""
    return tiff(*plain_entries(16, 16, _259=compression), data=bytes(256))


def greedy_tiff(count: int, size: int, tag: int = 40_000) -> bytes:
    """A TIFF whose directory claims the same bytes over and over."""
    data = bytes(size)
    entries = plain_entries(16, 16)
    entries += [(tag + number, 7, size, 8) for number in range(count)]
    return tiff(*entries, data=data)


def _tiffs() -> Iterator[HostilePicture]:
    def case(name: str, make: Callable[[], bytes], outcomes: str = ANY) -> HostilePicture:
        return HostilePicture(f"TIFF {name}", make, outcomes)

    for side in (7_072, 30_000, 2**31):
        yield case(f"announcing {side}", partial(tiff, *plain_entries(side, side)), TOO_MANY_PIXELS)
    yield case("of no width", partial(tiff, *plain_entries(0, 9)), UNREADABLE)
    yield case(
        "whose directory follows itself",
        partial(tiff, *plain_entries(16, 16), data=bytes(256), following=264),
        ANSWERED,
    )
    yield case(
        "with a loop in its EXIF",
        partial(tiff, *plain_entries(16, 16, _34665=264), data=bytes(256)),
        ANSWERED,
    )
    yield case(
        "with loops in all its branches",
        partial(tiff, *plain_entries(16, 16, _330=264, _34665=264, _34853=264), data=bytes(256)),
        ANSWERED,
    )
    yield case(
        "with its directory beyond the end", partial(bytes, b"II*\0\xff\xff\xff\x7f"), UNREADABLE
    )
    yield case("with its directory in its header", partial(bytes, b"II*\0\0\0\0\0"), UNREADABLE)
    yield case(
        "with its strips beyond the end",
        partial(tiff, *plain_entries(16, 16, _273=2**31)),
        UNREADABLE,
    )
    yield case(
        "with strips of 4 GB",
        partial(tiff, *plain_entries(16, 16, _279=2**32 - 1), data=bytes(256)),
        ANY,
    )
    yield case("with 900 greedy entries", partial(greedy_tiff, 900, 10_000_000), ANSWERED)
    yield case("with 20,000 greedy entries", partial(greedy_tiff, 20_000, 10_000_000), UNREADABLE)
    yield case("with greedy branches", partial(greedy_branches), ANSWERED)
    yield case("with 4,000,000 depths", partial(long_entry, 258, 4_000_000), UNREADABLE)
    yield case("with 4,000,000 colours", partial(long_entry, 320, 4_000_000), UNREADABLE)
    yield case("of 40,000 strips", partial(shared_strips, 40_000), ANSWERED)
    yield case("of 2,000,000 strips", partial(shared_strips, 2_000_000), UNREADABLE)
    yield case("in a tile of 4,000", partial(big_tile, 4_000), ANY)
    yield case("in a tile of 40,000", partial(big_tile, 40_000), TOO_MANY_PIXELS)
    for compression in (6, 32_771, 34_661, 34_676, 34_712, 34_887, 34_925, 50_001, 50_002, 65_535):
        yield case(
            f"of compression {compression}", partial(compressed_tiff, compression), UNSUPPORTED
        )
    for compression in (2, 3, 4, 5, 7, 8, 32_773, 32_946, 50_000):
        yield case(f"of false compression {compression}", partial(compressed_tiff, compression))
    yield case(
        "of 49 megapixels in one deflated strip", partial(flat_tiff, 7_000, 7_000, 8), ANSWERED
    )
    yield case(
        "of 49 megapixels in one LZW strip",
        lambda: encode(
            Image.new("L", (7_000, 7_000)), "TIFF", compression="tiff_lzw", tiffinfo={278: 7_000}
        ),
        ANSWERED,
    )
    yield case(
        "in floating point without numbers",
        lambda: encode(Image.fromarray(np.full((9, 9), np.nan, np.float32)), "TIFF"),
        ANSWERED,
    )
    for depth, colours, samples in ((16, 1, 1), (16, 2, 3), (12, 2, 3), (1, 2, 3), (16, 2, 16)):
        yield case(
            f"of 49 megapixels in {samples} samples of {depth} bits",
            partial(flat_samples, 7_000, 7_000, depth, colours, samples),
            f"{ANSWERED} {TOO_MANY_PIXELS}",
        )
    for samples in (3, 16):
        yield case(
            f"of 25 megapixels in {samples} planes of 16 bits",
            partial(flat_samples, 5_000, 5_000, 16, 2, samples, planar=True),
            f"{ANSWERED} {TOO_MANY_PIXELS}",
        )
    yield case(
        "of 3 planes in one strip", partial(flat_samples, 99, 99, 16, 2, 3, strips=1, planar=True)
    )
    yield case("of 2^31 samples", partial(tiff, *plain_entries(16, 16, _258=16, _277=2**31)), ANY)
    yield case("of 16 bits and no width", partial(tiff, *plain_entries(0, 9, _258=16)), UNREADABLE)
    yield case(
        "of 16 bits in tiles of no width", partial(flat_samples, 9, 9, 16, 1, 1, _322=0), ANY
    )
    yield case(
        "of 16 bits in tiles of 2^31",
        partial(flat_samples, 9, 9, 16, 1, 1, _322=2**31),
        f"{TOO_MANY_PIXELS} {UNREADABLE}",
    )
    for side in (7_072, 30_000, 2**31):
        entries = plain_entries(side, side, _258=16)
        yield case(f"of 16 bits announcing {side}", partial(tiff, *entries), TOO_MANY_PIXELS)
    yield case("of 16 bits in 40,000 strips", partial(shared_strips, 40_000, 16), ANSWERED)
    yield case("of 5,000 directories, all small copies", partial(many_directories, 5_000), ANY)
    yield case(
        "whose directories lead in a circle",
        partial(tiff, *plain_entries(16, 16, _254=1), data=bytes(256), following=264),
        ANSWERED,
    )
    yield case(
        "whose branches are its own directory",
        partial(tiff, *plain_entries(16, 16, _254=1, _330=264), data=bytes(256)),
        ANSWERED,
    )
    yield case(
        "that is a raw photograph of nothing",
        partial(tiff, *plain_entries(16, 16, _262=32_803), data=bytes(256)),
        UNSUPPORTED,
    )
    yield case("BigTIFF of nothing", partial(bytes, b"II+\0\x08\0\0\0" + bytes(8)), UNREADABLE)
    yield case(
        "BigTIFF of 2^60 entries",
        partial(bytes, b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0" + b"\xff" * 99),
        UNREADABLE,
    )


def greedy_branches() -> bytes:
    """A TIFF whose EXIF directory claims the same bytes over and over."""
    data = greedy_directory(5_000, 10_000_000)
    return tiff(*plain_entries(16, 16, _273=16, _34665=16), data=data)


def long_entry(tag: int, count: int) -> bytes:
    """A TIFF with one entry of very many numbers."""
    entries = [entry for entry in plain_entries(16, 16) if entry[0] != tag]
    return tiff(*sorted([*entries, (tag, 3, count, 8)]), data=bytes(2 * count))


def flat_samples(
    width: int,
    height: int,
    depth: int,
    colours: int,
    samples: int,
    *,
    planar: bool = False,
    strips: int | None = None,
    **changed: int,
) -> bytes:
    """A small file that really inflates to so many samples, black and empty."""
    planes = samples if planar else 1
    size = (width * depth * samples // planes + 7) // 8 * height
    data = bomb(size // 1_000_000 * 1_000_000 + 1_000_000)
    entries = plain_entries(width, height, _258=depth, _259=8, _262=colours, _277=samples)
    entries = [entry for entry in entries if entry[0] not in (273, 279)]
    count = strips or planes
    places = struct.pack("<I", 8) * count + struct.pack("<I", len(data)) * count
    at = 8 + len(data)
    inline = count == 1
    entries += [(273, 4, count, 8 if inline else at)]
    entries += [(279, 4, count, len(data) if inline else at + 4 * count)]
    entries += [(284, 4, 1, 2 if planar else 1)]
    entries += [(int(tag[1:]), 4, 1, value) for tag, value in changed.items()]
    return tiff(*sorted(entries), data=data + places)


def many_directories(count: int) -> bytes:
    """A TIFF of so many small copies of a picture, one behind the other."""
    entries = plain_entries(16, 16, _254=1)
    size = 2 + 12 * len(entries) + 4
    start = 8 + 256
    pages = (directory(*entries, following=start + (each + 1) * size) for each in range(count))
    return b"II*\0" + struct.pack("<I", start) + bytes(256) + b"".join(pages) + bytes(6)


def flat_tiff(width: int, height: int, compression: int) -> bytes:
    """A small file that really inflates to so many pixels."""
    data = bomb(width * height // 1_000_000 * 1_000_000 + 1_000_000)
    return tiff(*plain_entries(width, height, _259=compression, _279=len(data)), data=data)


# AVIF and HEIC


def resized(whole: bytes, width: int, height: int) -> bytes:
    """An AVIF or HEIC that announces another size."""
    at = 0
    while (at := whole.find(b"ispe", at)) >= 0:
        whole = patched(whole, at + 8, struct.pack(">II", width, height))
        at += 4
    return whole


def _grown(whole: bytes, kind: bytes, by: int) -> bytes:
    at = whole.index(kind) - 4
    (size,) = struct.unpack_from(">I", whole, at)
    return patched(whole, at, struct.pack(">I", size + by))


def with_properties(whole: bytes, *properties: tuple[bytes, bytes], times: int = 1) -> bytes:
    """An AVIF or HEIC of one item with further properties: kind and content of each."""
    boxes = [struct.pack(">I", 8 + len(content)) + kind + content for kind, content in properties]
    new, said = sum(map(len, boxes)), len(boxes) * times
    pixels = whole.index(b"mdat") + 4
    shared, said_at = whole.index(b"ipco") - 4, whole.index(b"ipma") - 4
    (shared_size,), (said_size,) = (struct.unpack_from(">I", whole, at) for at in (shared, said_at))
    known, at = 0, shared + 8
    while at < shared + shared_size:
        known, at = known + 1, at + struct.unpack_from(">I", whole, at)[0]
    entry = bytearray(whole[said_at : said_at + said_size])
    entry[18] += said
    entry += bytes(0x80 | known + 1 + number for number in range(len(boxes))) * times
    end = shared + shared_size
    changed = whole[:end] + b"".join(boxes) + whole[end:said_at] + entry
    changed += whole[said_at + said_size :]
    for kind, by in ((b"ipco", new), (b"ipma", said), (b"iprp", new + said), (b"meta", new + said)):
        changed = _grown(changed, kind, by)
    place = changed.index(struct.pack(">I", pixels), changed.index(b"iloc"))
    return patched(changed, place, struct.pack(">I", pixels + new + said))


def crop(
    width: int, height: int, right_by: int = 0, down_by: int = 0, unit: int = 1
) -> tuple[bytes, bytes]:
    """A property that shows only a part around the middle of a frame; its shift is in `unit`ths."""
    return b"clap", struct.pack(">IIIIiIiI", width, 1, height, 1, right_by, unit, down_by, unit)


FAST_HEIC = {"enc_params": {"preset": "ultrafast"}}


def large_frame(image_format: str, announced: int) -> bytes:
    """A frame of 6 megapixels behind a small announcement."""
    options = {"speed": 10} if image_format == "AVIF" else FAST_HEIC
    image = Image.new("RGB", (3_000, 2_000))
    return resized(encode(image, image_format, **options), announced, announced)


def with_greedy_exif(image_format: str) -> bytes:
    """An AVIF or HEIC whose EXIF claims the same bytes over and over."""
    greedy = greedy_directory(3_000, 2_000_000)
    harmless = b"II*\0\x08\0\0\0" + directory((40_000, 3, 1, 1)) + bytes(len(greedy))
    harmless = harmless[: len(greedy)]
    start = b"Exif\0\0" if image_format == "HEIC" else b""
    whole = encode(photo(), image_format, exif=start + harmless)
    assert harmless in whole
    return whole.replace(harmless, greedy)


def _containers() -> Iterator[HostilePicture]:
    bases = {"AVIF": encode(photo(), "AVIF"), "HEIC": encode(photo(), "HEIC")}
    for name, whole in bases.items():
        for side in (7_072, 30_000, 2**31):
            yield HostilePicture(
                f"{name} announcing {side}",
                partial(resized, whole, side, side),
                f"{TOO_MANY_PIXELS} {UNREADABLE}",
            )
        yield HostilePicture(f"{name} of no width", partial(resized, whole, 0, 9), UNREADABLE)
        for told, properties, times, outcomes in (
            ("a part of it", [crop(20, 10)], 1, ANSWERED),
            ("parts of parts", [crop(20, 10)], 90, ANSWERED),
            ("more than it", [crop(200, 300)], 1, ANSWERED),
            ("nothing", [crop(0, 0)], 1, UNREADABLE),
            ("what lies beside it", [crop(9, 9, 2**31 - 1, -(2**31))], 1, UNREADABLE),
            ("a part in units of nothing", [crop(9, 9, unit=0)], 1, UNREADABLE),
            ("half a part", [(b"clap", bytes(9))], 1, UNREADABLE),
        ):
            yield HostilePicture(
                f"{name} showing {told}",
                partial(with_properties, whole, *properties, times=times),
                outcomes,
            )
        yield HostilePicture(
            f"{name} announcing 30,000 and showing a part",
            partial(lambda it: resized(with_properties(it, crop(9, 9)), 30_000, 30_000), whole),
            f"{TOO_MANY_PIXELS} {UNREADABLE}",
        )
        yield HostilePicture(
            f"{name} with a larger frame than announced", partial(large_frame, name, 64), UNREADABLE
        )
        yield HostilePicture(
            f"{name} with boxes of no length",
            partial(lambda it: it[:40] + bytes(8) + it[40:], whole),
        )
        yield HostilePicture(
            f"{name} with 1,000,000 empty boxes",
            partial(
                lambda it, at: it[:at] + b"\0\0\0\x08free" * 1_000_000 + it[at:],
                whole,
                int.from_bytes(whole[:4], "big"),
            ),
            UNREADABLE,
        )
        yield HostilePicture(
            f"{name} of nothing but its brand", partial(bytes, whole[:32]), UNREADABLE
        )
        yield HostilePicture(
            f"{name} with greedy EXIF",
            partial(with_greedy_exif, name),
            ANSWERED,
        )
    yield HostilePicture(
        "AVIF of 30 megapixels showing a column of it",
        lambda: with_properties(
            encode(Image.new("RGB", (6_000, 5_000)), "AVIF", speed=10), crop(1, 5_000)
        ),
        ANSWERED,
    )
    yield HostilePicture(
        "AVIF of 30 megapixels",
        lambda: encode(Image.new("RGB", (6_000, 5_000)), "AVIF", speed=10),
        ANSWERED,
    )
    yield HostilePicture(
        "HEIC of 12 megapixels",
        lambda: encode(Image.new("RGB", (4_000, 3_000)), "HEIC", **FAST_HEIC),
        ANSWERED,
    )


# Sizes


def _at_the_limit() -> Iterator[HostilePicture]:
    for depth, colour in ((1, 0), (8, 0), (16, 0), (8, 2), (16, 2), (8, 4), (8, 6), (16, 6)):
        name = f"PNG of {depth} bits, colour type {colour}"
        yield HostilePicture(
            f"{name}, just within the limit",
            partial(flat_png, 7_071, 7_071, depth, colour),
            ANSWERED,
        )
    for colour in (0, 2):
        yield HostilePicture(
            f"PNG of colour type {colour}, just above the limit",
            partial(flat_png, 7_072, 7_072, 8, colour),
            TOO_MANY_PIXELS,
        )
    turned = chunk(b"eXIf", b"II*\0\x08\0\0\0" + directory((274, 3, 1, 6)))
    yield HostilePicture(
        "PNG at the limit, on its side", partial(flat_png, 7_071, 7_071, 8, 2, turned), ANSWERED
    )
    palette = chunk(b"PLTE", bytes(768)) + chunk(b"tRNS", bytes(range(256)))
    yield HostilePicture(
        "PNG at the limit, palette with transparency",
        partial(flat_png, 7_071, 7_071, 8, 3, palette),
        ANSWERED,
    )
    large = Image.new("RGB", (7_071, 7_071))
    yield HostilePicture("JPEG at the limit", partial(encode, large, "JPEG"), ANSWERED)
    yield HostilePicture(
        "progressive JPEG at the limit", partial(encode, large, "JPEG", progressive=True), ANSWERED
    )
    yield HostilePicture(
        "CMYK JPEG at the limit",
        lambda: encode(Image.new("CMYK", (7_071, 7_071)), "JPEG"),
        ANSWERED,
    )
    yield HostilePicture(
        "GIF at the limit", lambda: encode(Image.new("P", (7_071, 7_071)), "GIF"), ANSWERED
    )
    yield HostilePicture(
        "25 MB of padding behind a JPEG",
        lambda: encode(photo(), "JPEG") + bytes(25_000_000),
        TOO_LARGE,
    )
    yield HostilePicture(
        "25 MB of noise", lambda: random.Random(1).randbytes(25_000_000), TOO_LARGE
    )
    yield HostilePicture("one byte more than the limit", lambda: bytes(20_000_001), TOO_LARGE)
    yield HostilePicture(
        "19 MB of noise", lambda: random.Random(2).randbytes(19_000_000), UNREADABLE
    )


def _strips() -> Iterator[HostilePicture]:
    for width, height in ((1, 1), (2, 1), (1, 2), (1, 20_000), (20_000, 1), (64, 8_000)):
        for image_format in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIC"):
            if max(width, height) > 16_383 and image_format in ("WEBP", "AVIF", "HEIC"):
                continue
            yield HostilePicture(
                f"{image_format} of {width} x {height}",
                partial(
                    lambda size, kind: encode(Image.new("RGB", size, "teal"), kind),
                    (width, height),
                    image_format,
                ),
                ANSWERED,
            )
    yield HostilePicture("PNG of 50,000 x 900", partial(flat_png, 50_000, 900), ANSWERED)
    yield HostilePicture(
        "PNG of 49,999,999 x 1", partial(flat_png, 49_999_999, 1, 8, 0), UNREADABLE
    )
    yield HostilePicture(
        "PNG of 1 x 49,999,999", partial(flat_png, 1, 49_999_999, 1, 0), UNREADABLE
    )
    yield HostilePicture(
        "PNG with transparency of 900 x 50,000",
        partial(flat_png, 900, 50_000, 8, 6),
        TOO_MANY_PIXELS,
    )


# Other things


def zipped() -> bytes:
    """A ZIP archive."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("cat.txt", "meow")
    return archive.getvalue()


def _strangers() -> Iterator[HostilePicture]:
    strangers: dict[str, tuple[bytes, str]] = {
        "nothing": (b"", UNREADABLE),
        "one byte": (b"\xff", UNREADABLE),
        "zeros": (bytes(100_000), UNREADABLE),
        "HTML": (b"<!doctype html><script>alert(1)</script>", UNREADABLE),
        "JSON": (b'{"image": "cat.jpg"}', UNREADABLE),
        "base64": (b"data:image/png;base64,iVBORw0KGgo=", UNREADABLE),
        "text": ("Ein Text mit \N{SNOWMAN}.\n".encode() * 500, UNREADABLE),
        "an executable": (b"\x7fELF\2\1\1" + bytes(5_000), UNREADABLE),
        "a Windows program": (b"MZ" + bytes(5_000), UNREADABLE),
        "a script": (b"#!/bin/sh\nrm -rf /\n", UNREADABLE),
        "gzip": (zlib.compress(b"a" * 9_999, wbits=31), UNREADABLE),
        "SVG": (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', UNSUPPORTED),
        "an SVG with entities": (
            b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>&x;</svg>',
            UNSUPPORTED,
        ),
        "PDF": (b"%PDF-1.7\n%binary\n" + bytes(999), UNSUPPORTED),
        "Photoshop": (b"8BPS\0\1" + bytes(999), UNSUPPORTED),
        "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n", UNSUPPORTED),
        "a ZIP archive": (zipped(), UNSUPPORTED),
        "an icon": (encode(photo("RGBA", 32, 32), "ICO"), UNSUPPORTED),
        "PPM": (encode(photo(), "PPM"), UNSUPPORTED),
        "an MP4 film": (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2mp41" + bytes(99), UNSUPPORTED),
        "a WebM film": (b"\x1a\x45\xdf\xa3" + bytes(99), UNSUPPORTED),
        "JPEG XL": (b"\xff\x0a" + bytes(99), UNSUPPORTED),
        "TGA": (encode(photo(), "TGA"), UNREADABLE),
        "PCX": (encode(photo(), "PCX"), UNREADABLE),
        "SGI": (encode(photo(), "SGI"), UNREADABLE),
        "a WAV file": (b"RIFF\x24\0\0\0WAVEfmt " + bytes(99), UNSUPPORTED),
        "a picture behind a byte": (b"\n" + encode(photo(), "PNG"), UNREADABLE),
    }
    if features.check("jpg_2000"):
        strangers["JPEG 2000"] = (encode(photo(), "JPEG2000"), UNSUPPORTED)
    for name, (content, outcome) in strangers.items():
        yield HostilePicture(name, partial(bytes, content), outcome)
    for seed in range(10):
        yield HostilePicture(
            f"noise {seed}", partial(random.Random(seed).randbytes, 5_000), UNREADABLE
        )
    for name, whole in base_pictures():
        yield HostilePicture(
            f"noise behind the first bytes of {name}",
            partial(
                lambda head, seed: head + random.Random(seed).randbytes(3_000), whole[:16], name
            ),
        )
