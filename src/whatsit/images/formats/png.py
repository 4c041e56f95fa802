"""The chunks of a PNG file that make its picture."""

import struct
import zlib

from whatsit.errors import ImageUnreadable
from whatsit.images.formats.base import MAX_TEXT_BYTES, TOO_MANY_PIECES, Container
from whatsit.images.formats.exif import read_orientation

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_MAX_CHUNKS = 100_000
_GREY, _RGB = 0, 2


def open_png(image_bytes: bytes) -> Container:
    """Leave out of a PNG file all that is not the picture.

    Raises:
        ImageUnreadable: It is in far more chunks than any picture.
    """
    kept = [SIGNATURE]
    exif = xmp = None
    at, chunks = len(SIGNATURE), 0
    while at < len(image_bytes):
        (length,) = struct.unpack(">I", image_bytes[at : at + 4].ljust(4, b"\0"))
        kind = image_bytes[at + 4 : at + 8]
        end = at + 12 + length
        if kind == b"tRNS" and end <= len(image_bytes):
            kept.append(_transparency_of_eight_bits(image_bytes, at, end))
        elif kind in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND") or end > len(image_bytes):
            kept.append(image_bytes[at:end])
        elif kind == b"eXIf":
            exif = image_bytes[at + 8 : end - 4]
        elif kind == b"iTXt" and image_bytes.startswith(b"XML:com.adobe.xmp\0\0", at + 8):
            xmp = image_bytes[at + 8 : end - 4]
        elif kind in (b"tEXt", b"zTXt") and exif is None:
            exif = _raw_profile(kind, image_bytes[at + 8 : min(end - 4, at + MAX_TEXT_BYTES)])
        at, chunks = end, chunks + 1
        if chunks > _MAX_CHUNKS:
            raise ImageUnreadable(TOO_MANY_PIECES)
        if kind == b"IEND":
            break
    return Container("PNG", b"".join(kept), read_orientation(exif, xmp))


def _transparency_of_eight_bits(png: bytes, at: int, end: int) -> bytes:
    """The chunk that names a transparent colour, in the depth that the decoder compares it in."""
    depth, colour = png[24], png[25]
    content = png[at + 8 : end - 4]
    if colour == _GREY and depth in (2, 4) and len(content) == 2:
        content = bytes((0, content[1] % (1 << depth) * (255 // ((1 << depth) - 1))))
    elif colour == _RGB and depth == 16 and len(content) == 6:
        # Colours that differ from it in their low bytes alone are taken for it.
        content = bytes((0, content[0], 0, content[2], 0, content[4]))
    else:
        return png[at:end]
    chunk = b"tRNS" + content
    return png[at : at + 4] + chunk + struct.pack(">I", zlib.crc32(chunk))


def _raw_profile(kind: bytes, content: bytes) -> bytes | None:
    """The EXIF block that ImageMagick used to write in hexadecimal digits."""
    keyword = b"Raw profile type exif\0"
    if not content.startswith(keyword):
        return None
    text = content[len(keyword) :]
    try:
        if kind == b"zTXt":
            text = zlib.decompressobj().decompress(text[1:], MAX_TEXT_BYTES)
        return bytes.fromhex(b"".join(text.split(b"\n")[3:]).decode("ascii"))
    except (zlib.error, ValueError):
        return None
