"""What a picture's file holds, read before any decoder sees it.

Decoders trust files: millions of strips or empty chunks, thousands of passes over one picture,
comments in pieces of a byte cost them gigabytes or minutes. Here only what makes the picture is
passed on to them. Metadata is left out, whatever it holds; the orientation is read
from it first.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from whatsit.errors import ImageUnreadable, ImageUnsupported

Kind = str
"""Name of a file format as Pillow has it, such as ``JPEG``; empty if it is none of those read."""

_MAX_JPEG_SEGMENTS = 50_000
_MAX_JPEG_SCANS = 100
"""An encoder writes about ten; each costs as long as all of the picture's blocks take."""
_MAX_PNG_CHUNKS = 100_000
_MAX_GIF_BLOCKS = 200_000
_MAX_TIFF_ENTRIES = 1_000
_MAX_TIFF_STRIPS = 50_000
_MAX_TIFF_VALUES = 200_000
"""Of any entry but the strips'; the largest that means anything is a table of colours."""
_MAX_EXIF_ENTRIES = 1_000
_MAX_TEXT_BYTES = 1_000_000

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_BRANDS = frozenset(
    {
        *(b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"),
        *(b"mif1", b"msf1"),
    }
)
_XMP_ORIENTATION = re.compile(rb"tiff:Orientation(?:=[\"']|>)([1-8])")

_TOO_MANY_PIECES = (
    "The picture's file is in more pieces than any picture needs. "
    "Save the picture anew and send that."
)


@dataclass(frozen=True, slots=True)
class Container:
    """The part of a file that makes the picture.

    Attributes:
        kind: Which decoder reads it.
        picture: The file, without what was left out.
        orientation: EXIF orientation, 1 to 8; None where the file has none, or where only the
            decoder can tell.
        scratch_bytes: What the decoder keeps in memory besides the picture's pixels.
        run_length_encoded: Whether the picture is a BMP of runs, which are read slowly.
    """

    kind: Kind
    picture: bytes
    orientation: int | None = None
    scratch_bytes: int = 0
    run_length_encoded: bool = False


def open_container(image_bytes: bytes) -> Container:
    """Find out what kind of picture a file holds, and leave out all that is not the picture.

    Costs a copy of the file at most; decodes nothing.

    Args:
        image_bytes: Any bytes.

    Raises:
        ImageUnreadable: The file is put together in a way that no picture is.
        ImageUnsupported: It is compressed in a way that is not read here.
    """
    kind = _kind_of(image_bytes)
    try:
        if kind == "JPEG":
            return _open_jpeg(image_bytes)
        if kind == "PNG":
            return _open_png(image_bytes)
        if kind == "GIF":
            return _open_gif(image_bytes)
        if kind == "TIFF":
            return _open_tiff(image_bytes)
    except (struct.error, IndexError, OverflowError) as error:
        raise ImageUnreadable(
            "The picture's header is damaged or cut short. Send the whole file."
        ) from error
    runs = kind == "BMP" and len(image_bytes) > 34 and image_bytes[30] in (1, 2)
    return Container(kind, image_bytes, run_length_encoded=runs)


def read_orientation(exif: bytes | None, xmp: bytes | None = None) -> int | None:
    """The orientation that metadata gives, 1 to 8; None if it gives none.

    Args:
        exif: An EXIF block, with or without its introduction.
        xmp: An XMP document, asked where EXIF has no answer.
    """
    found = _exif_orientation(exif) if exif else None
    if found is None and xmp and (match := _XMP_ORIENTATION.search(xmp[:_MAX_TEXT_BYTES])):
        found = int(match[1])
    return found


def _kind_of(head: bytes) -> Kind:
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(_PNG_SIGNATURE):
        return "PNG"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if head.startswith(b"BM"):
        return "BMP"
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "TIFF"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        length = min(int.from_bytes(head[:4], "big"), 256)
        brands = {head[8:12], *(head[at : at + 4] for at in range(16, length, 4))}
        if head[8:12] in _AVIF_BRANDS or (head[8:12] in _HEIF_BRANDS and _AVIF_BRANDS & brands):
            return "AVIF"
        return "HEIF" if head[8:12] in _HEIF_BRANDS else ""
    return ""


def _open_jpeg(image_bytes: bytes) -> Container:
    kept = [b"\xff\xd8"]
    exif = xmp = None
    frame = b""
    at = 2
    for _ in range(_MAX_JPEG_SEGMENTS):
        while image_bytes[at] == 0xFF and image_bytes[at + 1] in (0x00, 0xFF):  # padding
            following = re.compile(rb"[\xff\x00]*\xff(?=[^\xff\x00])").match(image_bytes, at)
            if following is None:
                raise IndexError
            at = following.end() - 1
        if image_bytes[at] != 0xFF:
            raise IndexError
        marker = image_bytes[at + 1]
        if marker == 0xDA:
            break
        if marker in (0x01, *range(0xD0, 0xD9)):
            at += 2
            continue
        (length,) = struct.unpack_from(">H", image_bytes, at + 2)
        segment = image_bytes[at + 4 : at + 2 + length]
        if marker == 0xE1 and segment.startswith(b"Exif\0"):
            exif = exif or segment
        elif marker == 0xE1 and segment.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
            xmp = xmp or segment
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            frame = bytes((marker,)) + segment
        if not (0xE0 <= marker <= 0xEF or marker == 0xFE) or marker in (0xE0, 0xEE):
            kept.append(image_bytes[at : at + 2 + length])
        at += 2 + max(length, 2)
    else:
        raise ImageUnreadable(_TOO_MANY_PIECES)
    orientation = read_orientation(exif, xmp)
    scratch = 0
    if frame and (frame[0] in (0xC2, 0xCA) or image_bytes[at + 4] < frame[6]):
        _require_few_scans(image_bytes, at)
        scratch = _coefficient_bytes(frame)
    kept.append(image_bytes[at:])
    return Container("JPEG", b"".join(kept), orientation, scratch)


def _require_few_scans(image_bytes: bytes, first: int) -> None:
    if image_bytes.count(b"\xff\xda", first) <= _MAX_JPEG_SCANS:
        return
    scans = 0
    for marker in re.finditer(rb"\xff([^\x00\xd0-\xd7\xff])", image_bytes[first:]):
        if marker[1] == b"\xd9":
            return
        scans += marker[1] == b"\xda"
        if scans > _MAX_JPEG_SCANS:
            raise ImageUnreadable(
                f"This JPEG is drawn in more than {_MAX_JPEG_SCANS} passes. "
                "Save the picture anew and send that."
            )


def _coefficient_bytes(frame: bytes) -> int:
    # A picture that is drawn in several passes is kept whole, two bytes a coefficient.
    height, width, count = struct.unpack_from(">HHB", frame, 2)
    sampling = [(frame[at] >> 4, frame[at] & 15) for at in range(8, 7 + 3 * count, 3)]
    across, down = (max(1, *column) for column in zip(*sampling, (1, 1), strict=True))
    columns, rows = -(-width // (8 * across)), -(-height // (8 * down))
    return sum(columns * rows * h * v * 64 * 2 for h, v in sampling)


def _open_png(image_bytes: bytes) -> Container:
    kept = [_PNG_SIGNATURE]
    exif = xmp = None
    at, chunks = len(_PNG_SIGNATURE), 0
    while at < len(image_bytes):
        (length,) = struct.unpack(">I", image_bytes[at : at + 4].ljust(4, b"\0"))
        kind = image_bytes[at + 4 : at + 8]
        end = at + 12 + length
        if kind in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND") or end > len(image_bytes):
            kept.append(image_bytes[at:end])
        elif kind == b"eXIf":
            exif = image_bytes[at + 8 : end - 4]
        elif kind == b"iTXt" and image_bytes.startswith(b"XML:com.adobe.xmp\0\0", at + 8):
            xmp = image_bytes[at + 8 : end - 4]
        elif kind in (b"tEXt", b"zTXt") and exif is None:
            exif = _raw_profile(kind, image_bytes[at + 8 : min(end - 4, at + _MAX_TEXT_BYTES)])
        at, chunks = end, chunks + 1
        if chunks > _MAX_PNG_CHUNKS:
            raise ImageUnreadable(_TOO_MANY_PIECES)
        if kind == b"IEND":
            break
    return Container("PNG", b"".join(kept), read_orientation(exif, xmp))


def _raw_profile(kind: bytes, content: bytes) -> bytes | None:
    """The EXIF block that ImageMagick used to write in hexadecimal digits."""
    keyword = b"Raw profile type exif\0"
    if not content.startswith(keyword):
        return None
    text = content[len(keyword) :]
    try:
        if kind == b"zTXt":
            text = zlib.decompressobj().decompress(text[1:], _MAX_TEXT_BYTES)
        return bytes.fromhex(b"".join(text.split(b"\n")[3:]).decode("ascii"))
    except (zlib.error, ValueError):
        return None


def _open_gif(image_bytes: bytes) -> Container:
    at = 13
    if image_bytes[10] & 0x80:
        at += 3 << ((image_bytes[10] & 7) + 1)
    kept = [image_bytes[:at]]
    blocks = 0
    while image_bytes[at : at + 1] == b"!":
        start, label = at, image_bytes[at + 1]
        at += 2
        blocks += 1
        while length := image_bytes[at]:
            at += 1 + length
            blocks += 1
            if blocks > _MAX_GIF_BLOCKS:
                break
        if blocks > _MAX_GIF_BLOCKS:
            raise ImageUnreadable(_TOO_MANY_PIECES)
        at += 1
        if label == 0xF9:  # which colour is transparent
            kept = [kept[0], image_bytes[start:at]]
    return Container("GIF", b"".join((*kept, image_bytes[at:])))


# TIFF

_TYPE_BYTES = {
    **dict.fromkeys((1, 2, 6, 7), 1),
    **dict.fromkeys((3, 8), 2),
    **dict.fromkeys((4, 9, 11, 13), 4),
    **dict.fromkeys((5, 10, 12, 16, 17, 18), 8),
}
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _ORIENTATION, _SAMPLES, _ROWS = (
    256,
    257,
    258,
    259,
    274,
    277,
    278,
)
_TILE_WIDTH, _TILE_HEIGHT, _XMP = 322, 323, 700
_STRIP_TAGS = frozenset({273, 279, 324, 325})
_PICTURE_TAGS = _STRIP_TAGS | {
    *(254, 255, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, 262, 266, _SAMPLES, _ROWS, 280, 281, 284),
    *(292, 293, 317, 320, _TILE_WIDTH, _TILE_HEIGHT, 332, 338, 339, 347, 529, 530, 531, 532),
}
_COMPRESSIONS = frozenset({1, 2, 3, 4, 5, 7, 8, 32773, 32946, 50000})
_COMPRESSION_NAMES = {
    6: "an outdated kind of JPEG",
    34712: "JPEG 2000",
    34887: "LERC",
    34925: "LZMA",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}


@dataclass(frozen=True, slots=True)
class _Entry:
    tag: int
    type: int
    count: int
    raw: bytes
    value_at: int
    """Where the value lies in the file."""

    @property
    def size(self) -> int:
        return _TYPE_BYTES.get(self.type, 1) * self.count


@dataclass(frozen=True, slots=True)
class _Layout:
    """How numbers are written: TIFF or BigTIFF, in either order of bytes."""

    order: str
    is_big: bool

    @property
    def offset(self) -> str:
        return self.order + ("Q" if self.is_big else "I")

    def entries(self, file: bytes, most: int) -> Iterator[_Entry]:
        """Those of the first directory, `most` at most."""
        (at,) = struct.unpack_from(self.offset, file, 8 if self.is_big else 4)
        (count,) = struct.unpack_from(self.order + ("Q" if self.is_big else "H"), file, at)
        at += 8 if self.is_big else 2
        size, inline = (20, 8) if self.is_big else (12, 4)
        for number in range(min(count, most + 1)):
            start = at + number * size
            tag, kind, values = struct.unpack_from(
                self.order + ("HHQ" if self.is_big else "HHI"), file, start
            )
            value_at = start + size - inline
            if _TYPE_BYTES.get(kind, 1) * values > inline:
                (value_at,) = struct.unpack_from(self.offset, file, value_at)
            yield _Entry(tag, kind, values, file[start : start + size], value_at)

    def number(self, file: bytes, entry: _Entry) -> int | None:
        """The first value of an entry that holds whole numbers."""
        code = {1: "B", 3: "H", 4: "I", 16: "Q"}.get(entry.type)
        if code is None or entry.count < 1:
            return None
        value: int = struct.unpack_from(self.order + code, file, entry.value_at)[0]
        return value


def _layout(head: bytes) -> _Layout | None:
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None:
        return None
    (version,) = struct.unpack_from(order + "H", head, 2)
    return _Layout(order, version == 43) if version in (42, 43) else None


def _exif_orientation(exif: bytes) -> int | None:
    start = 6 if exif.startswith(b"Exif\0") else 0
    tiff = exif[start:] if start else exif
    try:
        if (layout := _layout(tiff)) is None:
            return None
        for entry in layout.entries(tiff, _MAX_EXIF_ENTRIES):
            if entry.tag == _ORIENTATION:
                return layout.number(tiff, entry)
    except (struct.error, OverflowError):  # an offset of 2^63 overflows
        pass
    return None


def _open_tiff(image_bytes: bytes) -> Container:
    layout = _layout(image_bytes)
    if layout is None:
        return Container("TIFF", image_bytes)
    entries = list(layout.entries(image_bytes, _MAX_TIFF_ENTRIES))
    if len(entries) > _MAX_TIFF_ENTRIES:
        raise ImageUnreadable(_TOO_MANY_PIECES)
    numbers: dict[int, int] = {}
    kept: dict[int, bytes] = {}
    xmp = None
    for entry in entries:
        if entry.tag == _XMP:
            xmp = image_bytes[entry.value_at : entry.value_at + min(entry.size, _MAX_TEXT_BYTES)]
        if entry.tag not in _PICTURE_TAGS and entry.tag != _ORIENTATION:
            continue
        most = _MAX_TIFF_STRIPS if entry.tag in _STRIP_TAGS else _MAX_TIFF_VALUES
        if entry.count > most:
            raise ImageUnreadable(_TOO_MANY_PIECES)
        if entry.value_at + entry.size > len(image_bytes):
            raise IndexError
        if (number := layout.number(image_bytes, entry)) is not None:
            numbers.setdefault(entry.tag, number)
        if entry.tag != _ORIENTATION:
            kept.setdefault(entry.tag, entry.raw)
    compression = numbers.get(_COMPRESSION, 1)
    if compression not in _COMPRESSIONS:
        how = _COMPRESSION_NAMES.get(compression, "a rare method")
        raise ImageUnsupported(f"a TIFF picture compressed with {how}")
    width, height = numbers.get(_WIDTH, 0), numbers.get(_HEIGHT, 0)
    if _TILE_WIDTH in numbers:
        strip_pixels = numbers[_TILE_WIDTH] * numbers.get(_TILE_HEIGHT, 1)
    else:
        strip_pixels = width * min(height, numbers.get(_ROWS, height))
    bits = numbers.get(_BITS, 1) * numbers.get(_SAMPLES, 1)
    return Container(
        "TIFF",
        _with_directory(image_bytes, layout, kept),
        numbers.get(_ORIENTATION) or read_orientation(None, xmp),
        # A strip is taken apart whole before its pixels are copied.
        scratch_bytes=0 if compression == 1 else strip_pixels * bits // 8,
    )


def _with_directory(image_bytes: bytes, layout: _Layout, entries: dict[int, bytes]) -> bytes:
    # The values stay where they are: only the list of them is written anew, behind the file.
    at = len(image_bytes) + len(image_bytes) % 2
    head = 8 if layout.is_big else 4
    count = struct.pack(layout.order + ("Q" if layout.is_big else "H"), len(entries))
    return b"".join(
        (
            image_bytes[:head],
            struct.pack(layout.offset, at),
            image_bytes[head + struct.calcsize(layout.offset) :],
            bytes(len(image_bytes) % 2),
            count,
            *(entries[tag] for tag in sorted(entries)),
            struct.pack(layout.offset, 0),
        )
    )
