"""What a picture's file holds, read before any decoder sees it.

Decoders trust files: millions of strips or empty chunks, thousands of passes over one picture,
comments in pieces of a byte cost them gigabytes or minutes. Here only what makes the picture is
passed on to them. Metadata is left out, whatever it holds; the orientation is read
from it first.
"""

import re
import struct
import zlib
from dataclasses import dataclass, replace

from whatsit.errors import ImageUnreadable, ImageUnsupported
from whatsit.images.formats.jpeg import open_jpeg
from whatsit.images.formats.tiff import open_tiff
from whatsit.images.formats.tiff_directory import exif_orientation
from whatsit.images.samples import SampleLayout

Kind = str
"""Name of a file format as Pillow has it, such as ``JPEG``; empty if it is none of those read."""

_MAX_PNG_CHUNKS = 100_000
_MAX_GIF_BLOCKS = 200_000
_BMP_OLD_HEADER = 12
_BMP_RARE_DEPTHS = frozenset({2, 64})
_BMP_CONTENTS = {4: "JPEG", 5: "PNG"}
_MAX_TEXT_BYTES = 1_000_000

_PNG_GREY, _PNG_RGB = 0, 2
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
        has_masks: Whether it is a BMP that says by itself which bits are which colour.
        has_end: False for a JPEG that is not closed, so that its last pixels may be missing.
        samples: How to read a TIFF as numbers; None where its decoder gets it right.
        is_preview: Whether this is the preview in a raw photograph.
    """

    kind: Kind
    picture: bytes
    orientation: int | None = None
    scratch_bytes: int = 0
    run_length_encoded: bool = False
    has_masks: bool = False
    has_end: bool = True
    samples: SampleLayout | None = None
    is_preview: bool = False


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
    if kind == "BMP" and len(image_bytes) > 34:
        return _open_bmp(image_bytes)
    return Container(kind, image_bytes)


def read_orientation(exif: bytes | None, xmp: bytes | None = None) -> int | None:
    """The orientation that metadata gives, 1 to 8; None if it gives none.

    Args:
        exif: An EXIF block, with or without its introduction.
        xmp: An XMP document, asked where EXIF has no answer.
    """
    found = exif_orientation(exif) if exif else None
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
    jpeg = open_jpeg(image_bytes)
    orientation = read_orientation(jpeg.exif, jpeg.xmp)
    return Container("JPEG", jpeg.file, orientation, jpeg.scratch_bytes, has_end=jpeg.has_end)


def _open_tiff(image_bytes: bytes) -> Container:
    tiff = open_tiff(image_bytes)
    orientation = tiff.orientation or read_orientation(None, tiff.xmp)
    if tiff.is_preview:
        preview = _open_jpeg(tiff.file)
        # A preview without metadata lies as the photograph does.
        orientation = preview.orientation or orientation
        return replace(preview, orientation=orientation, is_preview=True)
    return Container("TIFF", tiff.file, orientation, tiff.scratch_bytes, samples=tiff.samples)


def _open_png(image_bytes: bytes) -> Container:
    kept = [_PNG_SIGNATURE]
    exif = xmp = None
    at, chunks = len(_PNG_SIGNATURE), 0
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
            exif = _raw_profile(kind, image_bytes[at + 8 : min(end - 4, at + _MAX_TEXT_BYTES)])
        at, chunks = end, chunks + 1
        if chunks > _MAX_PNG_CHUNKS:
            raise ImageUnreadable(_TOO_MANY_PIECES)
        if kind == b"IEND":
            break
    return Container("PNG", b"".join(kept), read_orientation(exif, xmp))


def _transparency_of_eight_bits(png: bytes, at: int, end: int) -> bytes:
    """The chunk that names a transparent colour, in the depth that the decoder compares it in."""
    depth, colour = png[24], png[25]
    content = png[at + 8 : end - 4]
    if colour == _PNG_GREY and depth in (2, 4) and len(content) == 2:
        content = bytes((0, content[1] % (1 << depth) * (255 // ((1 << depth) - 1))))
    elif colour == _PNG_RGB and depth == 16 and len(content) == 6:
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
            text = zlib.decompressobj().decompress(text[1:], _MAX_TEXT_BYTES)
        return bytes.fromhex(b"".join(text.split(b"\n")[3:]).decode("ascii"))
    except (zlib.error, ValueError):
        return None


def _open_bmp(image_bytes: bytes) -> Container:
    depth, how = struct.unpack_from("<HI", image_bytes, 28)
    if image_bytes[14] == _BMP_OLD_HEADER:
        depth, how = image_bytes[24], 0
    if depth in _BMP_RARE_DEPTHS:
        raise ImageUnsupported(f"a BMP picture of {depth} bits a pixel")
    if how in _BMP_CONTENTS:
        raise ImageUnsupported(f"a BMP file with a {_BMP_CONTENTS[how]} picture in it")
    return Container("BMP", image_bytes, run_length_encoded=how in (1, 2), has_masks=how in (3, 6))


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
