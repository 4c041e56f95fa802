"""Which part of the frame in an AVIF or HEIC file is the picture."""

import struct
from fractions import Fraction
from math import floor

from whatsit.images.formats.base import Box, OddFrames
from whatsit.images.formats.bmff import CROP, Items

_SIZE, _TURN, _MIRROR = b"ispe", b"irot", b"imir"


def read_crop(file: bytes, *, is_turned: bool) -> Box | None:
    """Which part of its frame the picture of an AVIF or HEIC is; None if all of it.

    Args:
        file: The whole file.
        is_turned: True if the frame will have been rotated and mirrored by its decoder.

    Raises:
        OddFrames: The part lies outside the frame.
        struct.error, IndexError: The file is cut short.
    """
    if CROP not in file:
        return None
    width = height = 0
    box: Box | None = None
    for kind, start in Items(file).properties():
        if kind == _SIZE:
            width, height = struct.unpack_from(">II", file, start + 4)
        elif kind == CROP:
            box = _cropped(
                box or (0, 0, width, height), struct.unpack_from(">IIIIiIiI", file, start)
            )
        elif kind == _TURN and is_turned:
            for _ in range(file[start] & 3):  # a quarter to the left
                if box is not None:
                    left, top, right, bottom = box
                    box = top, width - right, bottom, width - left
                width, height = height, width
        elif kind == _MIRROR and is_turned and box is not None:
            left, top, right, bottom = box
            if file[start] & 1:
                box = width - right, top, width - left, bottom
            else:
                box = left, height - bottom, right, height - top
    return box


def without_crops(file: bytes) -> bytes:
    """The same file, whose pictures are their whole frames."""
    changed = bytearray(file)
    for at, size in Items(file).crop_references():
        changed[at : at + size] = bytes(size)
    return bytes(changed)


def _cropped(box: Box, crop: tuple[int, ...]) -> Box:
    """A part of a part; section 12.1.4 of ISO/IEC 14496-12."""
    if not all(crop[1::2]):
        raise OddFrames
    width, height, right_by, down_by = (Fraction(*crop[at : at + 2]) for at in (0, 2, 4, 6))
    edges = []
    for start, end, size, shift in (
        (box[0], box[2], width, right_by),
        (box[1], box[3], height, down_by),
    ):
        first = start + floor(Fraction(end - start - 1, 2) + shift - (size - 1) / 2)
        edges.append((max(start, first), min(end, first + round(size))))
    (left, right), (top, bottom) = edges
    if left >= right or top >= bottom:
        raise OddFrames
    return left, top, right, bottom
