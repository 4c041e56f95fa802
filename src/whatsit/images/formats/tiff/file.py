"""A TIFF file -> the picture in it: a page of a document, or the preview of a raw photograph."""

import struct
from collections.abc import Iterator
from dataclasses import replace

from whatsit.errors import ImageUnreadable, ImageUnsupported
from whatsit.images.formats.base import Container
from whatsit.images.formats.jpeg import jpeg_size, open_jpeg
from whatsit.images.formats.tiff.directory import Directory
from whatsit.images.formats.tiff.layout import Layout, read_layout
from whatsit.images.formats.tiff.picture import Picture

_MAX_DIRECTORIES = 32
_PREVIEW_MIN_SIDE = 256
"""Pixels; models look at about as many."""
_CANON = b"CR"
"""After the header of a raw photograph of Canon's."""


def open_tiff(file: bytes) -> Container:
    """Find the picture in a TIFF file: the first page that is not marked as a small copy.

    Of a camera's raw photograph, the largest preview in it is the picture.

    Raises:
        ImageUnreadable: It is in far more pieces than any picture.
        ImageUnsupported: whatsit does not read this kind.
        struct.error, IndexError, OverflowError: The file is cut short or damaged.
    """
    layout = read_layout(file)
    if layout is None:
        return Container("TIFF", file)
    first = Directory(file, layout, layout.first(file))
    is_canon = file[8:10] == _CANON
    if not (is_canon or first.is_small_copy or first.is_raw):
        return Picture(first).container()
    directories = [first, *_others(file, layout, first)]
    if is_canon or any(directory.is_raw for directory in directories):
        return _open_preview(directories)
    pages = (directory for directory in directories if not directory.is_small_copy)
    return Picture(next(pages, first)).container()


def _others(file: bytes, layout: Layout, first: Directory) -> Iterator[Directory]:
    """The branches of the first directory, and the directories behind it."""
    places = list(first.branches)
    seen, at = {first.at}, first.at
    while (at := layout.following(file, at)) and at not in seen and len(seen) < _MAX_DIRECTORIES:
        seen.add(at)
        places.append(at)
    for place in places[:_MAX_DIRECTORIES]:
        try:
            yield Directory(file, layout, place)
        except (struct.error, IndexError, OverflowError, ImageUnreadable):
            continue


def _open_preview(directories: list[Directory]) -> Container:
    """The largest preview of a raw photograph."""
    previews = [jpeg for directory in directories if (jpeg := directory.jpeg()) is not None]
    largest = max(previews, key=lambda jpeg: min(jpeg_size(jpeg)), default=b"")
    if not largest or min(jpeg_size(largest)) < _PREVIEW_MIN_SIDE:
        raise ImageUnsupported("a raw photograph of a camera without a large preview in it")
    preview = open_jpeg(largest)
    # A preview without metadata lies as the photograph does.
    orientation = preview.orientation or directories[0].orientation
    return replace(preview, orientation=orientation, is_preview=True)
