"""EXIF and XMP metadata: which way up a picture is stored."""

import re
import struct

from whatsit.images.formats.base import MAX_TEXT_BYTES
from whatsit.images.formats.tiff.layout import read_layout

_ORIENTATION = 274
_MAX_EXIF_ENTRIES = 1_000
_XMP_ORIENTATION = re.compile(rb"tiff:Orientation(?:=[\"']|>)([1-8])")


def read_orientation(exif: bytes | None, xmp: bytes | None = None) -> int | None:
    """The orientation that metadata gives, 1 to 8; None if it gives none.

    Args:
        exif: An EXIF block, with or without its introduction.
        xmp: An XMP document, for use where EXIF has no orientation.
    """
    found = _exif_orientation(exif) if exif else None
    if found is None and xmp and (match := _XMP_ORIENTATION.search(xmp[:MAX_TEXT_BYTES])):
        found = int(match[1])
    return found


def _exif_orientation(exif: bytes) -> int | None:
    """The orientation in an EXIF block; None if it is missing or the block is damaged."""
    start = 6 if exif.startswith(b"Exif\0") else 0
    tiff = exif[start:] if start else exif
    try:
        if (layout := read_layout(tiff)) is None:
            return None
        for entry in layout.entries(tiff, layout.first(tiff), _MAX_EXIF_ENTRIES):
            if entry.tag == _ORIENTATION:
                return next(iter(layout.numbers(tiff, entry, 1)), None)
    except (struct.error, OverflowError):  # an offset of 2^63 overflows
        pass
    return None
