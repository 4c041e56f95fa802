"""The items in a file of boxes, as AVIF and HEIC are: which there are and where they lie."""

import struct
from collections.abc import Iterator

from whatsit.images.formats.base import OddFrames

_MAX_ITEMS = 10_000
_MAX_EXTENTS = 50_000
_META_CHILDREN = frozenset({b"iinf", b"iloc", b"idat", b"iprp", b"pitm"})
CROP = b"clap"
"""Kind of the property that says which part of a frame is the picture."""


class Items:
    """The items of a file.

    Raises:
        OddFrames: There are far too many, or their structure is not that of a picture.
        struct.error, IndexError: The file is cut short.
    """

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
        """The places of the crops of items, and their lengths in bytes."""
        return [where for _, kind, _, where in self._associations() if kind == CROP]

    def _associations(self) -> Iterator[tuple[int, bytes, int, tuple[int, int]]]:
        """For each property of each item: the item, its kind, its content, and its association."""
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
