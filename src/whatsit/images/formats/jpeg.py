"""The segments of a JPEG file that make its picture, and whether all of it is there."""

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from whatsit.errors import ImageUnreadable, ImageUnsupported
from whatsit.images.formats.base import TOO_MANY_PIECES, Container
from whatsit.images.formats.exif import read_orientation

_MAX_SEGMENTS = 50_000
_MAX_SCANS = 100
"""An encoder writes about ten; each costs as long as all of the picture's blocks take."""
_MAX_SCANS_WITHOUT_END = 20
"""Such a picture is decoded twice."""
_START, _END = b"\xff\xd8", b"\xff\xd9"
_SCAN = 0xDA
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers without a segment."""
_EXIF, _XMP = b"Exif\0", b"http://ns.adobe.com/xap/1.0/\0"
_APPLICATION = 0xE1
_METADATA = frozenset({*range(0xE1, 0xF0), 0xFE}) - {0xEE}
"""Without JFIF's and Adobe's segments, which say how the colours are stored."""
_PADDING = re.compile(rb"[\xff\x00]*\xff(?=[^\xff\x00])")
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xCA})
_READ_HERE = frozenset({0xC0, 0xC1, 0xC9}) | _PROGRESSIVE
_LOSSLESS_FRAMES = frozenset({0xC3, 0xC7, 0xCB, 0xCF})
_LS_FRAME = 0xF7
_COMPONENTS = (1, 3, 4)
# As noisy as pixels, and unlike the zeros that a decoder makes up; 0xFF would begin a marker.
_NOISE = b"\xfe\xb6" + bytes((number * 167 + number * number * 13) % 255 for number in range(256))


class _Segment(NamedTuple):
    """A part of the file before its pixels.

    Attributes:
        marker: Its kind.
        at: Where it starts in the file.
        content: Its bytes, marker and length included; none of the scan that comes last.
    """

    marker: int
    at: int
    content: bytes


def open_jpeg(image_bytes: bytes) -> Container:
    """Leave out of a JPEG file all that is not the picture.

    Raises:
        ImageUnreadable: It is in far more pieces or passes than any picture.
        ImageUnsupported: whatsit does not read this kind of JPEG.
        struct.error, IndexError: It ends before its picture begins.
    """
    kept = [_START]
    exif = xmp = None
    frame = b""
    scan_at = 0
    for marker, at, content in _segments(image_bytes):
        if marker == _SCAN:
            scan_at = at
        elif marker == _APPLICATION and content.startswith(_EXIF, 4):
            exif = exif or content[4:]
        elif marker == _APPLICATION and content.startswith(_XMP, 4):
            xmp = xmp or content[4:]
        elif marker in _FRAMES or marker == _LS_FRAME:
            frame = bytes((marker,)) + content[4:]
            _require_known_frame(frame)
        if marker not in _METADATA:
            kept.append(content)
    kept.append(image_bytes[scan_at:])
    has_end = image_bytes.rfind(_END, scan_at) >= 0
    scratch_bytes = 0
    if frame and (frame[0] in _PROGRESSIVE or image_bytes[scan_at + 4] < frame[6]):
        _require_few_scans(image_bytes, scan_at, _MAX_SCANS if has_end else _MAX_SCANS_WITHOUT_END)
        scratch_bytes = _coefficient_bytes(frame)
        if not has_end:
            _require_all_coefficients(image_bytes, scan_at, frame)
    orientation = read_orientation(exif, xmp)
    return Container("JPEG", b"".join(kept), orientation, scratch_bytes, has_end=has_end)


def jpeg_size(jpeg: bytes) -> tuple[int, int]:
    """Width and height of a JPEG, pixels; 0, 0 if it is damaged or not supported."""
    try:
        for marker, _, content in _segments(jpeg):
            if marker in _FRAMES:
                bits, height, width = struct.unpack_from(">BHH", content, 4)
                return (width, height) if marker in _READ_HERE and bits == 8 else (0, 0)
    except (struct.error, IndexError, ImageUnreadable):
        pass
    return 0, 0


def _segments(jpeg: bytes) -> Iterator[_Segment]:
    """Those before the pixels, and at last the first scan.

    Raises:
        ImageUnreadable: There are far too many.
        struct.error, IndexError: The scan is missing.
    """
    at = len(_START)
    for _ in range(_MAX_SEGMENTS):
        at = _skip_padding(jpeg, at)
        if jpeg[at] != 0xFF:
            raise IndexError
        marker = jpeg[at + 1]
        if marker == _SCAN:
            yield _Segment(marker, at, b"")
            return
        if marker in _ALONE:
            at += 2
            continue
        (length,) = struct.unpack_from(">H", jpeg, at + 2)
        yield _Segment(marker, at, jpeg[at : at + 2 + length])
        at += 2 + max(length, 2)
    raise ImageUnreadable(TOO_MANY_PIECES)


def _skip_padding(jpeg: bytes, at: int) -> int:
    while jpeg[at] == 0xFF and jpeg[at + 1] in (0x00, 0xFF):
        following = _PADDING.match(jpeg, at)
        if following is None:
            raise IndexError
        at = following.end() - 1
    return at


def with_two_ends(file: bytes) -> tuple[bytes, bytes]:
    """Close a JPEG that lacks its end, in two ways.

    The pixels of both are equal if all of them were in the file: else the decoder takes the
    second one's noise for the rest of the picture.
    """
    whole = file.rstrip(b"\xff")  # half of a marker
    # A decoder that expects a restart marker skips anything else.
    last = max((whole.rfind(bytes((0xFF, 0xD0 + number))), number) for number in range(8))
    following = last[1] + 1 if last[0] >= 0 else 0
    restarts = (bytes((0xFF, 0xD0 + (following + number) % 8)) for number in range(16))
    noise = _NOISE + b"".join(marker + _NOISE for marker in restarts)
    return whole + _END, whole + noise + _END


def _require_known_frame(frame: bytes) -> None:
    process, bits, components = frame[0], frame[1], frame[6]
    if process == _LS_FRAME:
        raise ImageUnsupported("a JPEG-LS picture")
    if process in _LOSSLESS_FRAMES:
        raise ImageUnsupported("a lossless JPEG picture")
    if process not in _READ_HERE:
        raise ImageUnsupported("a hierarchical JPEG picture")
    if bits != 8:
        raise ImageUnsupported(f"a JPEG picture of {bits} bits a colour")
    if components not in _COMPONENTS:
        raise ImageUnsupported(f"a JPEG picture of {components} colour channels")


def _require_few_scans(image_bytes: bytes, first: int, most: int) -> None:
    if image_bytes.count(b"\xff\xda", first) <= most:
        return
    scans = 0
    for marker in re.finditer(rb"\xff([^\x00\xd0-\xd7\xff])", image_bytes[first:]):
        if marker[0] == _END:
            return
        scans += marker[1] == b"\xda"
        if scans > most:
            raise ImageUnreadable(
                f"This JPEG is drawn in more than {most} passes. Save it again and resend it."
            )


def _require_all_coefficients(image_bytes: bytes, first: int, frame: bytes) -> None:
    """Refuse a picture whose last passes are missing: it would be coarse, or without colour."""
    missing = {component: set(range(64)) for component in frame[7 : 7 + 3 * frame[6] : 3]}
    for scan in re.finditer(rb"\xff\xda", image_bytes[first:]):
        at = first + scan.start() + 4
        count = image_bytes[at]
        if at + 4 + 2 * count > len(image_bytes):
            continue
        start, end, precision = image_bytes[at + 1 + 2 * count : at + 4 + 2 * count]
        if precision & 15 == 0:
            for component in image_bytes[at + 1 : at + 1 + 2 * count : 2]:
                missing.get(component, set()).difference_update(range(start, end + 1))
    if any(missing.values()):
        raise IndexError


def _coefficient_bytes(frame: bytes) -> int:
    # A picture that is drawn in several passes is kept whole, two bytes a coefficient.
    height, width, count = struct.unpack_from(">HHB", frame, 2)
    sampling = [(frame[at] >> 4, frame[at] & 15) for at in range(8, 7 + 3 * count, 3)]
    across, down = (max(1, *column) for column in zip(*sampling, (1, 1), strict=True))
    columns, rows = -(-width // (8 * across)), -(-height // (8 * down))
    return sum(columns * rows * h * v * 64 * 2 for h, v in sampling)
