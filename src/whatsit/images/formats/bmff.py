"""How large the frames in an AVIF or HEIC file really are, told without decoding them.

Such a file announces the size of its picture in one place and holds the coded frames in another.
A decoder believes the frames: one of 268 megapixels, or thousands of hidden ones, in a picture
that announces 64 x 64. Which part of the frame is the picture may stand in the file as well.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import floor

from whatsit.errors import ImageUnsupported

_MAX_ITEMS = 10_000
_MAX_EXTENTS = 50_000
_MAX_FRAMES = 32
"""Of one item. A picture is one frame; some come in a few layers."""
_MAX_UNITS = 20_000

_OBU_SEQUENCE, _OBU_FRAME_HEADER, _OBU_FRAME = 1, 3, 6
_META_CHILDREN = frozenset({b"iinf", b"iloc", b"idat", b"iprp", b"pitm"})
_CROP, _SIZE, _TURN, _MIRROR = b"clap", b"ispe", b"irot", b"imir"

Box = tuple[int, int, int, int]
"""Left, top, right and bottom edge, pixels."""


_CODECS = {
    b"avc1": "H.264",
    b"vvc1": "H.266",
    b"j2k1": "JPEG 2000",
    b"jpeg": "JPEG",
    b"evc1": "EVC",
    b"unci": "plain numbers",
}
_UNREAD_HEVC_PROFILES = frozenset(range(6, 12))
"""For several views, several layers and contents of screens."""


class OddFrames(Exception):
    """The frames are not those of any picture."""


@dataclass(frozen=True, slots=True)
class CodedFrames:
    """What an AVIF holds.

    Attributes:
        pixels: Of its largest frame, times how many of them its picture is put together of; 0
            where the frames do not tell.
        profile: AV1 profile. 0 keeps colour at half the resolution; only 2 has 12 bits.
    """

    pixels: int
    profile: int


def inspect_avif(file: bytes) -> CodedFrames:
    """The frames of an AVIF.

    Raises:
        OddFrames: There are far too many, or they are hidden.
        struct.error: The file is cut short.
    """
    largest = highest = 0
    items = _Items(file)
    for item in items.of_kind(b"av01"):
        frames = 0
        for kind, content in _obus(item):
            if kind == _OBU_SEQUENCE:
                profile, width, height = _read_sequence(content)
                largest = max(largest, width * height)
                highest = max(highest, profile)
            frames += kind in (_OBU_FRAME_HEADER, _OBU_FRAME)
        if frames > _MAX_FRAMES:
            raise OddFrames
    return CodedFrames(largest * items.cells(), highest)


def require_few_frames(file: bytes) -> None:
    """Refuse a HEIC whose items hold more than a picture, or no HEVC.

    Raises:
        ImageUnsupported: They are coded in a way that is not read here.
        OddFrames: There are far too many frames, or they are hidden.
        struct.error: The file is cut short.
    """
    items = _Items(file)
    for kind, start in items.properties():
        if kind == b"hvcC" and file[start + 1] & 31 in _UNREAD_HEVC_PROFILES:
            raise ImageUnsupported(f"a HEIC picture of HEVC profile {file[start + 1] & 31}")
    if (codec := items.codec()) in _CODECS:
        raise ImageUnsupported(f"a HEIF picture coded as {_CODECS[codec]}")
    for item in items.of_kind(b"hvc1"):
        frames = units = at = 0
        while at + 4 < len(item):
            (length,) = struct.unpack_from(">I", item, at)
            # The first slice of a frame says so in the first bit after the unit's header.
            is_slice = item[at + 4] >> 1 & 63 < 32
            frames += is_slice and at + 6 < len(item) and item[at + 6] >> 7
            units += 1
            if frames > _MAX_FRAMES or units > _MAX_UNITS:
                raise OddFrames
            at += 4 + length


def read_crop(file: bytes, *, is_turned: bool) -> Box | None:
    """Which part of its frame the picture of an AVIF or HEIC is; None if all of it.

    Args:
        file: The whole file.
        is_turned: Whether the frame will have been rotated and mirrored by its decoder.

    Raises:
        OddFrames: The part lies outside the frame.
        struct.error, IndexError: The file is cut short.
    """
    if _CROP not in file:
        return None
    width = height = 0
    box: Box | None = None
    for kind, start in _Items(file).properties():
        if kind == _SIZE:
            width, height = struct.unpack_from(">II", file, start + 4)
        elif kind == _CROP:
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
    for at, size in _Items(file).crop_references():
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


class _Items:
    """The items of a file: which there are, and where their bytes lie."""

    def __init__(self, file: bytes) -> None:
        self._file = file
        meta = next((box for kind, box in _boxes(file, 0, len(file)) if kind == b"meta"), None)
        if meta is None:
            raise OddFrames
        boxes: dict[bytes, tuple[int, int]] = {}
        for kind, box in _boxes(file, meta[0] + 4, meta[1]):
            if kind in _META_CHILDREN:
                if kind in boxes:
                    raise OddFrames
                boxes[kind] = box
        if not boxes.keys() >= {b"iinf", b"iloc"}:
            raise OddFrames
        self._idat = boxes.get(b"idat", (0, 0))
        self._primary, self._properties = boxes.get(b"pitm"), boxes.get(b"iprp")
        self._kinds = self._read_kinds(*boxes[b"iinf"])
        self._places = self._read_places(boxes[b"iloc"][0])

    def of_kind(self, kind: bytes) -> Iterator[bytes]:
        """The bytes of each item of a kind."""
        for number, its_kind in self._kinds.items():
            if its_kind == kind:
                places = self._places.get(number, [])
                if sum(end - start for start, end in places) > len(self._file):
                    raise OddFrames
                yield b"".join(self._file[start:end] for start, end in places)

    def cells(self) -> int:
        """Of how many frames the picture is put together, at most."""
        most = 1
        for grid in self.of_kind(b"grid"):
            if len(grid) >= 4:
                most = max(most, (grid[2] + 1) * (grid[3] + 1))
        return most

    def codec(self) -> bytes:
        """How the picture is coded; empty if the file does not say."""
        return self._kinds.get(self._picture(), b"")

    def properties(self) -> list[tuple[bytes, int]]:
        """Kind of each property of the picture, in their order, and where its content starts."""
        picture = self._picture()
        return [(kind, at) for item, kind, at, _ in self._associations() if item == picture]

    def _picture(self) -> int:
        if self._primary is None:
            return -1
        start = self._primary[0]
        number = ">I" if self._file[start] > 0 else ">H"
        item: int = struct.unpack_from(number, self._file, start + 4)[0]
        return item

    def crop_references(self) -> list[tuple[int, int]]:
        """Where items say that they are cropped, and in how many bytes."""
        return [where for _, kind, _, where in self._associations() if kind == _CROP]

    def _associations(self) -> Iterator[tuple[int, bytes, int, tuple[int, int]]]:
        """For each property of each item: the item, its kind, its content, and what says so."""
        if self._properties is None:
            return
        boxes = list(_boxes(self._file, *self._properties))
        shared = [box for kind, box in boxes if kind == b"ipco"]
        kinds = [
            (kind, start) for box in shared[:1] for kind, (start, _) in _boxes(self._file, *box)
        ]
        given = 0
        for kind, (start, _) in boxes:
            if kind != b"ipma":
                continue
            cursor = _Cursor(self._file, start + 4)
            size = 2 if self._file[start + 3] & 1 else 1
            for _ in range(cursor.number(4)):
                item = cursor.number(4 if self._file[start] else 2)
                for _ in range(cursor.number(1)):
                    where = cursor.at, size
                    index = cursor.number(size) & (0x7FFF if size == 2 else 0x7F)
                    given += 1
                    if given > _MAX_EXTENTS:
                        raise OddFrames
                    if 0 < index <= len(kinds):
                        yield item, *kinds[index - 1], where

    def _read_kinds(self, at: int, end: int) -> dict[int, bytes]:
        file = self._file
        at += 6 if file[at] == 0 else 8
        kinds: dict[int, bytes] = {}
        for kind, (start, _) in _boxes(file, at, end):
            if kind == b"infe" and file[start] >= 2:
                wide = file[start] > 2
                (number,) = struct.unpack_from(">I" if wide else ">H", file, start + 4)
                name_at = start + (10 if wide else 8)
                kinds[number] = file[name_at : name_at + 4]
        return kinds

    def _read_places(self, at: int) -> dict[int, list[tuple[int, int]]]:
        file = self._file
        version, sizes, more_sizes = file[at], file[at + 4], file[at + 5]
        offset_size, length_size, base_size = sizes >> 4, sizes & 15, more_sizes >> 4
        index_size = more_sizes & 15 if version else 0
        cursor = _Cursor(file, at + 6)
        places: dict[int, list[tuple[int, int]]] = {}
        extents = 0
        for _ in range(cursor.number(4 if version == 2 else 2)):
            number = cursor.number(4 if version == 2 else 2)
            method = cursor.number(2) & 15 if version else 0
            cursor.number(2)
            base = cursor.number(base_size)
            if method > 1 or number in places:
                raise OddFrames
            within = self._idat if method else (0, len(file))
            for _ in range(cursor.number(2)):
                cursor.number(index_size)
                start = within[0] + base + cursor.number(offset_size)
                length = cursor.number(length_size) or within[1] - start
                places.setdefault(number, []).append((start, min(start + length, within[1])))
                extents += 1
                if extents > _MAX_EXTENTS:
                    raise OddFrames
        return places


class _Cursor:
    def __init__(self, file: bytes, at: int) -> None:
        self._file = file
        self.at = at

    def number(self, size: int) -> int:
        part = self._file[self.at : self.at + size]
        if len(part) < size:
            raise OddFrames
        self.at += size
        return int.from_bytes(part, "big")


def _boxes(file: bytes, at: int, end: int) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """Kind of each box, and where its content starts and ends."""
    for _ in range(_MAX_ITEMS):
        if at + 8 > end:
            return
        length, kind = struct.unpack_from(">I4s", file, at)
        head = 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", file, at + 8)
            head = 16
        stop = end if length == 0 else at + length
        if stop < at + head:
            raise OddFrames
        yield kind, (at + head, min(stop, end))
        at = stop
    raise OddFrames


def _obus(item: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and content of each unit of an AV1 stream."""
    at = 0
    for _ in range(_MAX_UNITS):
        if at >= len(item):
            return
        header = item[at]
        at += 2 if header & 4 else 1
        length = len(item) - at
        if header & 2:
            length = shift = 0
            while at < len(item):
                length |= (item[at] & 127) << shift
                at, shift = at + 1, shift + 7
                if not item[at - 1] & 128 or shift > 56:
                    break
        yield header >> 3 & 15, item[at : at + min(length, 64)]
        at += length
    raise OddFrames


class _Bits:
    def __init__(self, content: bytes) -> None:
        self._value = int.from_bytes(content, "big")
        self._left = len(content) * 8

    def take(self, count: int) -> int:
        if count > self._left:
            raise OddFrames
        self._left -= count
        return self._value >> self._left & ((1 << count) - 1)


def _read_sequence(content: bytes) -> tuple[int, int, int]:
    """Profile, width and height; section 5.5 of the AV1 specification."""
    bits = _Bits(content)
    profile = bits.take(3)
    bits.take(1)
    if bits.take(1):  # a still picture's short header
        bits.take(5)
    else:
        delay_bits = 0
        if bits.take(1):  # timing
            bits.take(64)
            if bits.take(1):
                zeros = 0
                while not bits.take(1):
                    zeros += 1
                bits.take(zeros if zeros < 32 else 0)
            if bits.take(1):
                delay_bits = bits.take(5) + 1
                bits.take(42)
        has_delays = bits.take(1)
        for _ in range(bits.take(5) + 1):
            bits.take(12)
            if bits.take(5) > 7:
                bits.take(1)
            if delay_bits and bits.take(1):
                bits.take(2 * delay_bits + 1)
            if has_delays and bits.take(1):
                bits.take(4)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    return profile, bits.take(width_bits) + 1, bits.take(height_bits) + 1
