"""One directory of a TIFF file: the entries that describe a picture, all within the file."""

from whatsit.errors import ImageUnreadable
from whatsit.images.formats.base import MAX_TEXT_BYTES, TOO_MANY_PIECES
from whatsit.images.formats.exif import read_orientation
from whatsit.images.formats.tiff import tags
from whatsit.images.formats.tiff.layout import Entry, Layout

MAX_STRIPS = 50_000
MAX_SAMPLES = 16
_MAX_ENTRIES = 1_000
_MAX_VALUES = 200_000
"""Of any entry but the strips'; the largest that means anything is a table of colours."""
_SENSOR_VALUES = (tags.FILTER_ARRAY, tags.LINEAR_RAW)


class Directory:
    """The entries of a directory that this package reads.

    Args:
        file: The whole file.
        layout: How its numbers are written.
        at: Where the directory lies.

    Attributes:
        file: As given.
        layout: As given.
        at: As given.
        entries: By tag.
        numbers: The first values of those entries that are whole numbers, by tag.
        is_raw: True if the file is a camera's raw photograph.

    Raises:
        ImageUnreadable: It has far more entries, or an entry more values, than any picture needs.
        struct.error, IndexError, OverflowError: The file is cut short or damaged.
    """

    def __init__(self, file: bytes, layout: Layout, at: int) -> None:
        self.file, self.layout, self.at = file, layout, at
        self.entries: dict[int, Entry] = {}
        self.numbers: dict[int, tuple[int, ...]] = {}
        self._xmp: bytes | None = None
        seen = set()
        for count, entry in enumerate(layout.entries(file, at, _MAX_ENTRIES)):
            if count >= _MAX_ENTRIES:
                raise ImageUnreadable(TOO_MANY_PIECES)
            seen.add(entry.tag)
            if entry.tag == tags.XMP:
                self._xmp = file[entry.value_at : entry.value_at + min(entry.size, MAX_TEXT_BYTES)]
            elif entry.tag in tags.NUMBER_TAGS:
                self._keep(entry)
        self.is_raw = tags.DNG_VERSION in seen or self._is_sensor

    def _keep(self, entry: Entry) -> None:
        if entry.count > (MAX_STRIPS if entry.tag in tags.STRIP_TAGS else _MAX_VALUES):
            raise ImageUnreadable(TOO_MANY_PIECES)
        if entry.value_at + entry.size > len(self.file):
            raise IndexError
        if numbers := self.layout.numbers(self.file, entry, MAX_SAMPLES):
            self.numbers.setdefault(entry.tag, numbers)
        self.entries.setdefault(entry.tag, entry)

    def number(self, tag: int, default: int = 0) -> int:
        """The first value of an entry; `default` where it is missing."""
        return self.numbers.get(tag, (default,))[0]

    @property
    def is_small_copy(self) -> bool:
        """True if it is marked as a smaller form or as the mask of another picture."""
        return bool(self.number(tags.SUBFILE) & (tags.IS_REDUCED | tags.IS_MASK))

    @property
    def orientation(self) -> int | None:
        """EXIF orientation: the directory's own, or that in its XMP metadata."""
        return self.number(tags.ORIENTATION) or read_orientation(None, self._xmp)

    @property
    def branches(self) -> tuple[int, ...]:
        """Where the directories below this one lie."""
        return self.numbers.get(tags.BRANCHES, ())

    def jpeg(self) -> bytes | None:
        """The whole JPEG file that this directory points to; None if it does not."""
        at, size = self.number(tags.PREVIEW), self.number(tags.PREVIEW_SIZE)
        strips = self.entries.get(tags.STRIPS)
        is_whole = self.number(tags.COMPRESSION) in (tags.JPEG, tags.OLD_JPEG)
        if not at and is_whole and not self._is_sensor and strips is not None and strips.count == 1:
            at, size = self.number(tags.STRIPS), self.number(tags.STRIP_SIZES)
        jpeg = self.file[at : at + size]
        return jpeg if at and jpeg.startswith(b"\xff\xd8\xff") else None

    @property
    def _is_sensor(self) -> bool:
        return self.number(tags.COLOURS) in _SENSOR_VALUES
