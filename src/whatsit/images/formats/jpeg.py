"""What a JPEG file holds: its picture without metadata, and whether all of it is there."""

import re
import struct
from dataclasses import dataclass

from whatsit.errors import ImageUnreadable, ImageUnsupported

_MAX_SEGMENTS = 50_000
_MAX_SCANS = 100
"""An encoder writes about ten; each costs as long as all of the picture's blocks take."""
_MAX_SCANS_WITHOUT_END = 20
"""Such a picture is decoded twice."""
_TOO_MANY_PIECES = (
    "The picture's file is in more pieces than any picture needs. "
    "Save the picture anew and send that."
)
_END = b"\xff\xd9"
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xCA})
_READ_HERE = frozenset({0xC0, 0xC1, 0xC9}) | _PROGRESSIVE
_LOSSLESS_FRAMES = frozenset({0xC3, 0xC7, 0xCB, 0xCF})
_LS_FRAME = 0xF7
_COMPONENTS = (1, 3, 4)
# As noisy as pixels, and unlike the zeros that a decoder makes up; 0xFF would begin a marker.
_NOISE = b"\xfe\xb6" + bytes((number * 167 + number * number * 13) % 255 for number in range(256))


@dataclass(frozen=True, slots=True)
class JpegPicture:
    """The picture in a JPEG file.

    Attributes:
        file: A JPEG of nothing but the picture.
        exif: Its EXIF segment.
        xmp: Its XMP segment.
        scratch_bytes: What the decoder keeps in memory besides the picture's pixels.
        has_end: Whether it is closed by the marker for that.
    """

    file: bytes
    exif: bytes | None
    xmp: bytes | None
    scratch_bytes: int
    has_end: bool


def open_jpeg(image_bytes: bytes) -> JpegPicture:
    """Leave out of a JPEG file all that is not the picture.

    Raises:
        ImageUnreadable: It is in far more pieces or passes than any picture.
        ImageUnsupported: It is of a kind of JPEG that is not read here.
        struct.error, IndexError: It ends before its picture begins.
    """
    kept = [b"\xff\xd8"]
    exif = xmp = None
    frame = b""
    at = 2
    for _ in range(_MAX_SEGMENTS):
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
        elif marker in _FRAMES or marker == _LS_FRAME:
            frame = bytes((marker,)) + segment
            _require_known_frame(frame)
        if not (0xE0 <= marker <= 0xEF or marker == 0xFE) or marker in (0xE0, 0xEE):
            kept.append(image_bytes[at : at + 2 + length])
        at += 2 + max(length, 2)
    else:
        raise ImageUnreadable(_TOO_MANY_PIECES)
    has_end = image_bytes.rfind(_END, at) >= 0
    scratch = 0
    if frame and (frame[0] in _PROGRESSIVE or image_bytes[at + 4] < frame[6]):
        _require_few_scans(image_bytes, at, _MAX_SCANS if has_end else _MAX_SCANS_WITHOUT_END)
        scratch = _coefficient_bytes(frame)
        if not has_end:
            _require_all_coefficients(image_bytes, at, frame)
    kept.append(image_bytes[at:])
    return JpegPicture(b"".join(kept), exif, xmp, scratch, has_end)


def with_two_ends(file: bytes) -> tuple[bytes, bytes]:
    """Close a JPEG that lacks its end, in two ways.

    The pixels of both are equal if all of them were in the file: else the decoder takes the
    second one's noise for the rest of the picture.
    """
    whole = file.rstrip(b"\xff")  # half of a marker
    # Where a decoder expects the marker that it begins again from, it passes over anything else.
    last = max((whole.rfind(bytes((0xFF, 0xD0 + number))), number) for number in range(8))
    following = last[1] + 1 if last[0] >= 0 else 0
    restarts = (bytes((0xFF, 0xD0 + (following + number) % 8)) for number in range(16))
    noise = _NOISE + b"".join(marker + _NOISE for marker in restarts)
    return whole + _END, whole + noise + _END


def jpeg_size(jpeg: bytes) -> tuple[int, int]:
    """Width and height of a JPEG, pixels; 0, 0 if it is of a kind that is not read here."""
    at = 2
    while at + 9 <= len(jpeg) and jpeg[at] == 0xFF:
        marker = jpeg[at + 1]
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", jpeg, at + 5)
            return (width, height) if marker in _READ_HERE and jpeg[at + 4] == 8 else (0, 0)
        if marker in (0xD9, 0xDA):
            break
        at += 2 + max(2, struct.unpack_from(">H", jpeg, at + 2)[0])
    return 0, 0


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
        if marker[1] == b"\xd9":
            return
        scans += marker[1] == b"\xda"
        if scans > most:
            raise ImageUnreadable(
                f"This JPEG is drawn in more than {most} passes. "
                "Save the picture anew and send that."
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
