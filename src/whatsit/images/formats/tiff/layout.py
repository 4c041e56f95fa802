"""The directory of a TIFF file: numbered entries and where their values lie. EXIF has it too."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_TYPE_BYTES = {
    **dict.fromkeys((1, 2, 6, 7), 1),
    **dict.fromkeys((3, 8), 2),
    **dict.fromkeys((4, 9, 11, 13), 4),
    **dict.fromkeys((5, 10, 12, 16, 17, 18), 8),
}
_WHOLE_NUMBERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a directory.

    Attributes:
        tag: Number of the property that it describes.
        type: Type of its values.
        count: How many values.
        raw: The entry itself, as it stands in the directory.
        value_at: Where the values lie in the file.
    """

    tag: int
    type: int
    count: int
    raw: bytes
    value_at: int

    @property
    def size(self) -> int:
        """Bytes of all values."""
        return _TYPE_BYTES.get(self.type, 1) * self.count


@dataclass(frozen=True, slots=True)
class Layout:
    """How numbers are written: TIFF or BigTIFF, in either order of bytes."""

    order: str
    is_big: bool

    @property
    def offset(self) -> str:
        """Format of an address in the file."""
        return self.order + ("Q" if self.is_big else "I")

    @property
    def _count(self) -> str:
        return self.order + ("Q" if self.is_big else "H")

    @property
    def _inline(self) -> int:
        return 8 if self.is_big else 4

    def first(self, file: bytes) -> int:
        """Where the first directory lies."""
        at: int = struct.unpack_from(self.offset, file, 8 if self.is_big else 4)[0]
        return at

    def entries(self, file: bytes, at: int, most: int) -> Iterator[Entry]:
        """Those of the directory at `at`, one more than `most` at most."""
        (count,) = struct.unpack_from(self._count, file, at)
        at += struct.calcsize(self._count)
        size = 20 if self.is_big else 12
        for number in range(min(count, most + 1)):
            start = at + number * size
            tag, kind, values = struct.unpack_from(
                self.order + ("HHQ" if self.is_big else "HHI"), file, start
            )
            value_at = start + size - self._inline
            if _TYPE_BYTES.get(kind, 1) * values > self._inline:
                (value_at,) = struct.unpack_from(self.offset, file, value_at)
            yield Entry(tag, kind, values, file[start : start + size], value_at)

    def following(self, file: bytes, at: int) -> int:
        """Where the directory after the one at `at` lies; 0 if that is the last."""
        (count,) = struct.unpack_from(self._count, file, at)
        end = at + struct.calcsize(self._count) + count * (20 if self.is_big else 12)
        after: int = struct.unpack_from(self.offset, file, end)[0]
        return after

    def numbers(self, file: bytes, entry: Entry, most: int) -> tuple[int, ...]:
        """The first values of an entry, `most` at most; none if they are not whole numbers."""
        code = _WHOLE_NUMBERS.get(entry.type)
        count = min(entry.count, most)
        if code is None or count < 1:
            return ()
        return struct.unpack_from(f"{self.order}{count}{code}", file, entry.value_at)

    def entry(self, tag: int, value: int) -> bytes:
        """An entry of one number."""
        kind = "HHQQ" if self.is_big else "HHII"
        return struct.pack(self.order + kind, tag, 16 if self.is_big else 4, 1, value)

    def part_of(self, file: bytes, entry: Entry, start: int, count: int) -> bytes:
        """An entry that has only some of another's values, without moving these."""
        size = _TYPE_BYTES.get(entry.type, 1)
        at = entry.value_at + start * size
        value = struct.pack(self.offset, at)
        if count * size <= self._inline:
            value = file[at : at + count * size].ljust(self._inline, b"\0")
        head = "HHQ" if self.is_big else "HHI"
        return struct.pack(self.order + head, entry.tag, entry.type, count) + value

    def with_directory(self, file: bytes, entries: dict[int, bytes]) -> bytes:
        """The file with this directory alone. Values stay where they are."""
        at = len(file) + len(file) % 2
        head = 8 if self.is_big else 4
        return b"".join(
            (
                file[:head],
                struct.pack(self.offset, at),
                file[head + struct.calcsize(self.offset) :],
                bytes(len(file) % 2),
                struct.pack(self._count, len(entries)),
                *(entries[tag] for tag in sorted(entries)),
                struct.pack(self.offset, 0),
            )
        )


def read_layout(head: bytes) -> Layout | None:
    """How a file's numbers are written; None if it is not a TIFF."""
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None:
        return None
    (version,) = struct.unpack_from(order + "H", head, 2)
    return Layout(order, version == 43) if version in (42, 43) else None
