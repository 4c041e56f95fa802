"""What a TIFF file holds: which of its directories is the picture, and how to read that.

Only what makes the picture is passed on to a decoder. A layout that the decoder takes for another
one, without an error, is read as numbers here; one that has no single meaning as colours is
refused by its name. Of a camera's raw photograph, the largest preview in it is the picture.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from whatsit.errors import ImageUnreadable, ImageUnsupported
from whatsit.images.formats.jpeg import jpeg_size
from whatsit.images.formats.tiff_directory import Entry, Layout, read_layout
from whatsit.images.samples import (
    BLACK_IS_ZERO,
    CMYK,
    FLOATING,
    RGB,
    SIGNED,
    UNSIGNED,
    WHITE_IS_ZERO,
    SampleLayout,
)

_MAX_ENTRIES = 1_000
_MAX_STRIPS = 50_000
_MAX_VALUES = 200_000
"""Of any entry but the strips'; the largest that means anything is a table of colours."""
_MAX_DIRECTORIES = 32
_MAX_SAMPLES = 16
_MAX_TEXT_BYTES = 1_000_000
PREVIEW_MIN_SIDE = 256
"""Pixels; models look at about as many."""

_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _COLOURS = 254, 256, 257, 258, 259, 262
_STRIPS, _ORIENTATION, _SAMPLES, _ROWS, _STRIP_SIZES = 273, 274, 277, 278, 279
_FILL_ORDER, _PLANAR, _PREDICTOR, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_SIZES = (
    *(266, 284, 317, 322, 323, 324, 325),
)
_BRANCHES, _EXTRA, _FORMAT, _PREVIEW, _PREVIEW_SIZE, _SUBSAMPLING = 330, 338, 339, 513, 514, 530
_COLOUR_MAP, _XMP, _DNG_VERSION = 320, 700, 50706
_STRIP_TAGS = frozenset({_STRIPS, _STRIP_SIZES, _TILES, _TILE_SIZES})
_PICTURE_TAGS = _STRIP_TAGS | {
    *(
        _SUBFILE,
        255,
        _WIDTH,
        _HEIGHT,
        _BITS,
        _COMPRESSION,
        _COLOURS,
        _FILL_ORDER,
        _SAMPLES,
        _ROWS,
        280,
    ),
    *(
        281,
        _PLANAR,
        292,
        293,
        _PREDICTOR,
        _COLOUR_MAP,
        _TILE_WIDTH,
        _TILE_HEIGHT,
        332,
        _EXTRA,
        _FORMAT,
    ),
    *(347, 529, _SUBSAMPLING, 531, 532),
}
_OF_PLANES = frozenset(
    {_WIDTH, _HEIGHT, _COMPRESSION, _FILL_ORDER, _ROWS, _TILE_WIDTH, _TILE_HEIGHT}
)
"""What a plane has in common with the picture."""
_NUMBER_TAGS = _PICTURE_TAGS | {_ORIENTATION, _BRANCHES, _PREVIEW, _PREVIEW_SIZE}
_IS_REDUCED, _IS_MASK = 1, 4

_JPEG, _OLD_JPEG = 7, 6
_FAX = frozenset({2, 3, 4})
_PREDICTED = frozenset({5, 8, 32946, 50000})
_SIMPLE = _PREDICTED | {1, 32773}
_UNDEFINED = 4
"""Number format of samples about which the file says nothing."""
_COMPRESSION_NAMES = {
    _OLD_JPEG: "an outdated kind of JPEG",
    34712: "JPEG 2000",
    34887: "LERC",
    34925: "LZMA",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
_PALETTE, _MASK, _YCBCR, _LAB = 3, 4, 6, 8
_FILTER_ARRAY, _LINEAR_RAW = 32803, 34892
_COLOUR_NAMES = {
    WHITE_IS_ZERO: "greys",
    BLACK_IS_ZERO: "greys",
    RGB: "colours",
    _PALETTE: "palette colours",
    _MASK: "mask values",
    CMYK: "printing inks",
    _YCBCR: "video colours",
    _LAB: "CIELab colours",
    9: "ICCLab colours",
    10: "ITULab colours",
    32844: "LogL greys",
    32845: "LogLuv colours",
    _FILTER_ARRAY: "sensor values",
    _LINEAR_RAW: "sensor values",
}
_COLOUR_SAMPLES = {RGB: 3, CMYK: 4, _YCBCR: 3, _LAB: 3}
_COMMON_DEPTHS = {
    **{WHITE_IS_ZERO: (1, 2, 4, 8), BLACK_IS_ZERO: (1, 2, 4, 8), _PALETTE: (1, 2, 4, 8)},
    **dict.fromkeys((RGB, CMYK, _YCBCR, _LAB), (8,)),
}
"""Bits of a sample that decoders get right."""
_WHOLE_DEPTHS = frozenset({1, 2, 4, *range(8, 17)})
_GREY_NUMBERS = frozenset(
    {(UNSIGNED, 32), *((SIGNED, bits) for bits in (8, 16, 32))}
    | {(FLOATING, bits) for bits in (16, 32, 64)}
)
"""How greys alone are read, besides whole numbers of these depths."""
_TOO_MANY_PIECES = (
    "The picture's file is in more pieces than any picture needs. "
    "Save the picture anew and send that."
)


@dataclass(frozen=True, slots=True)
class TiffPicture:
    """The picture in a TIFF file.

    Attributes:
        file: A TIFF of nothing but the picture; the JPEG of a preview for a raw photograph.
        xmp: Its metadata.
        orientation: EXIF orientation, None if the directory has none.
        scratch_bytes: What the decoder keeps in memory besides the picture's pixels.
        samples: How to read it as numbers; None where a decoder gets it right.
        is_preview: Whether this is the preview of a raw photograph.
    """

    file: bytes
    xmp: bytes | None = None
    orientation: int | None = None
    scratch_bytes: int = 0
    samples: SampleLayout | None = None
    is_preview: bool = False


def open_tiff(file: bytes) -> TiffPicture:
    """Find the picture in a TIFF file: the first page that is not marked as a small copy.

    Raises:
        ImageUnreadable: It is in far more pieces than any picture.
        ImageUnsupported: It is of a kind that is not read here.
        struct.error, IndexError, OverflowError: The file is cut short or damaged.
    """
    layout = read_layout(file)
    if layout is None:
        return TiffPicture(file)
    first = _Directory(file, layout, layout.first(file))
    is_canon = file[8:10] == b"CR"
    if is_canon or first.is_small_copy or first.is_raw:
        directories = [first, *_others(file, layout, first)]
        if is_canon or any(each.is_raw for each in directories):
            return _preview_of(directories)
        pages = (each for each in directories if not each.is_small_copy)
        return next(pages, first).picture()
    return first.picture()


class _Directory:
    """One directory of a file, whose entries all lie within it."""

    def __init__(self, file: bytes, layout: Layout, at: int) -> None:
        self._file, self._layout, self.at = file, layout, at
        self._entries: dict[int, Entry] = {}
        self._numbers: dict[int, tuple[int, ...]] = {}
        self._xmp: bytes | None = None
        tags = set()
        for count, entry in enumerate(layout.entries(file, at, _MAX_ENTRIES)):
            if count >= _MAX_ENTRIES:
                raise ImageUnreadable(_TOO_MANY_PIECES)
            tags.add(entry.tag)
            if entry.tag == _XMP:
                self._xmp = file[entry.value_at : entry.value_at + min(entry.size, _MAX_TEXT_BYTES)]
            if entry.tag not in _NUMBER_TAGS:
                continue
            if entry.count > (_MAX_STRIPS if entry.tag in _STRIP_TAGS else _MAX_VALUES):
                raise ImageUnreadable(_TOO_MANY_PIECES)
            if entry.value_at + entry.size > len(file):
                raise IndexError
            if numbers := layout.numbers(file, entry, _MAX_SAMPLES):
                self._numbers.setdefault(entry.tag, numbers)
            self._entries.setdefault(entry.tag, entry)
        self.is_raw = _DNG_VERSION in tags or self._number(_COLOURS) in (
            _FILTER_ARRAY,
            _LINEAR_RAW,
        )

    def _number(self, tag: int, default: int = 0) -> int:
        return self._numbers.get(tag, (default,))[0]

    @property
    def is_small_copy(self) -> bool:
        return bool(self._number(_SUBFILE) & (_IS_REDUCED | _IS_MASK))

    @property
    def orientation(self) -> int | None:
        return self._number(_ORIENTATION) or None

    @property
    def branches(self) -> tuple[int, ...]:
        return self._numbers.get(_BRANCHES, ())

    @property
    def xmp(self) -> bytes | None:
        return self._xmp

    def jpeg(self) -> bytes | None:
        """The whole JPEG file that this directory points to; None if it does not."""
        at, size = self._number(_PREVIEW), self._number(_PREVIEW_SIZE)
        strips = self._entries.get(_STRIPS)
        is_whole = self._number(_COMPRESSION) in (_JPEG, _OLD_JPEG) and not self._is_sensor
        if not at and is_whole and strips is not None and strips.count == 1:
            at, size = self._number(_STRIPS), self._number(_STRIP_SIZES)
        jpeg = self._file[at : at + size]
        return jpeg if at and jpeg.startswith(b"\xff\xd8\xff") else None

    @property
    def _is_sensor(self) -> bool:
        return self._number(_COLOURS) in (_FILTER_ARRAY, _LINEAR_RAW)

    def picture(self) -> TiffPicture:
        """This directory's picture, alone in its file."""
        compression = self._number(_COMPRESSION, 1)
        if compression not in _SIMPLE | _FAX | {_JPEG}:
            how = _COMPRESSION_NAMES.get(compression, "a rare method")
            raise ImageUnsupported(f"a TIFF picture compressed with {how}")
        samples = self._samples(compression)
        kept = {tag: entry.raw for tag, entry in self._entries.items() if tag in _PICTURE_TAGS}
        return TiffPicture(
            self._file if samples else self._layout.with_directory(self._with_wide_palette(), kept),
            self._xmp,
            self.orientation,
            # A strip is taken apart whole before its pixels are copied.
            0 if compression == 1 else self._strip_pixels * self._pixel_bits // 8,
            samples,
        )

    @property
    def _strip_pixels(self) -> int:
        if _TILE_WIDTH in self._numbers:
            return self._number(_TILE_WIDTH) * self._number(_TILE_HEIGHT, 1)
        height = self._number(_HEIGHT)
        return self._number(_WIDTH) * min(height, self._number(_ROWS, height))

    @property
    def _pixel_bits(self) -> int:
        return self._number(_BITS, 1) * self._number(_SAMPLES, 1)

    def _samples(self, compression: int) -> SampleLayout | None:
        """How to read the picture as numbers; None if a decoder reads it right."""
        colours = self._number(_COLOURS)
        count = self._number(_SAMPLES, 3 if compression == _JPEG else 1)
        bits, number_format = self._numbers_of_each(count)
        is_planar = self._number(_PLANAR, 1) == 2 and count > 1
        is_usual = number_format == UNSIGNED and bits in _COMMON_DEPTHS.get(colours, ())
        if is_usual and self._is_read_right(compression, colours, count, is_planar=is_planar):
            return None
        unused = count - _COLOUR_SAMPLES.get(colours, 1)
        predictor = self._number(_PREDICTOR, 1) if compression in _PREDICTED else 1
        is_plain = (
            compression in _SIMPLE
            and colours in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, CMYK)
            and unused >= 0
            and predictor in ((1, 3) if number_format == FLOATING else (1, 2))
            and (predictor == 1 or bits in (8, 16, 32, 64))
        )
        is_whole = number_format == UNSIGNED and bits in _WHOLE_DEPTHS
        is_grey = count == 1 and (number_format, bits) in _GREY_NUMBERS
        if not is_plain or not (is_whole or is_grey):
            raise ImageUnsupported(_name(compression, colours, bits, number_format))
        extra = self._numbers.get(_EXTRA, (2,) if colours == RGB and unused == 1 else ())
        has_alpha = unused > 0 and colours != CMYK
        layout = SampleLayout(
            width=self._number(_WIDTH),
            height=self._number(_HEIGHT),
            bits=bits,
            number_format=number_format,
            order=self._layout.order,
            samples=count,
            is_planar=is_planar,
            colours=colours,
            alpha={1: "a", 2: "A"}.get(extra[0]) if extra and has_alpha else None,
            predictor=predictor,
            tile_width=self._number(_TILE_WIDTH) if _TILE_WIDTH in self._numbers else None,
            plane=lambda _: b"",
        )
        return replace(layout, plane=lambda number: self._plane(layout, number))

    def _numbers_of_each(self, count: int) -> tuple[int, int]:
        """Bits and format of the samples, which are the same in all of them."""
        depths = self._numbers.get(_BITS, (1,))[:count]
        formats = self._numbers.get(_FORMAT, (UNSIGNED,))[:count]
        if len(set(depths)) > 1 or len(set(formats)) > 1 or count > _MAX_SAMPLES:
            raise ImageUnsupported("a TIFF picture whose channels differ in depth")
        return depths[0], UNSIGNED if formats[0] == _UNDEFINED else formats[0]

    def _is_read_right(
        self, compression: int, colours: int, count: int, *, is_planar: bool
    ) -> bool:
        """Whether a decoder gets whole numbers of a usual depth right, and not as something else.

        Raises:
            ImageUnsupported: Neither a decoder does, nor can they be read as numbers.
        """
        if colours == _YCBCR:
            if compression == 1 and self._is_reduced_in_colour:
                raise ImageUnsupported("a TIFF picture of uncompressed colours at half resolution")
            return not is_planar or (
                compression in _SIMPLE - {1} and not self._is_reduced_in_colour
            )
        if is_planar or compression not in _SIMPLE:
            return not is_planar
        unused, bits = count - _COLOUR_SAMPLES.get(colours, 1), self._number(_BITS, 1)
        if bits == 8 and colours != _PALETTE and self._number(_FILL_ORDER, 1) == 2:
            return False
        return unused == 0 or (unused == 1 and bits == 8)

    @property
    def _is_reduced_in_colour(self) -> bool:
        if _SUBSAMPLING in self._numbers:
            return self._numbers[_SUBSAMPLING][:2] != (1, 1)
        if self._number(_COMPRESSION, 1) != 1:
            return True
        sizes = self._entries.get(_STRIP_SIZES) or self._entries.get(_TILE_SIZES)
        given = sum(self._layout.numbers(self._file, sizes, _MAX_STRIPS)) if sizes else 0
        return given < 3 * self._number(_WIDTH) * self._number(_HEIGHT)

    def _with_wide_palette(self) -> bytes:
        """The file, with colours of 16 bits where a program wrote them with 8 by mistake."""
        entry = self._entries.get(_COLOUR_MAP)
        if entry is None or entry.type != 3 or self._number(_COLOURS) != _PALETTE:
            return self._file
        colours = self._layout.numbers(self._file, entry, 3 * 256)
        if max(colours, default=256) > 255:
            return self._file
        wide = struct.pack(
            f"{self._layout.order}{len(colours)}H", *(257 * each for each in colours)
        )
        end = entry.value_at + len(wide)
        return self._file[: entry.value_at] + wide + self._file[end:]

    def _plane(self, samples: SampleLayout, number: int) -> bytes:
        """A file that shows the bytes of one plane as grey pixels."""
        layout, entries = self._layout, self._entries
        kept = {tag: entry.raw for tag, entry in entries.items() if tag in _OF_PLANES}
        replaced = {_WIDTH: samples.row_bytes, _BITS: 8, _COLOURS: BLACK_IS_ZERO, _SAMPLES: 1}
        if samples.tile_width:
            width = samples.tile_width * samples.row_bytes // samples.coded_width
            replaced[_TILE_WIDTH] = width
        kept |= {tag: layout.entry(tag, value) for tag, value in replaced.items()}
        planes = samples.samples if samples.is_planar else 1
        for tag in _STRIP_TAGS & entries.keys():
            count = entries[tag].count // planes
            kept[tag] = layout.part_of(self._file, entries[tag], number * count, count)
        return layout.with_directory(self._file, kept)


def _others(file: bytes, layout: Layout, first: _Directory) -> Iterator[_Directory]:
    """The branches of the first directory, and the directories behind it."""
    places = list(first.branches)
    seen, at = {first.at}, first.at
    while (at := layout.following(file, at)) and at not in seen and len(seen) < _MAX_DIRECTORIES:
        seen.add(at)
        places.append(at)
    for place in places[:_MAX_DIRECTORIES]:
        try:
            yield _Directory(file, layout, place)
        except (struct.error, IndexError, OverflowError, ImageUnreadable):
            continue


def _preview_of(directories: list[_Directory]) -> TiffPicture:
    """The largest preview of a raw photograph."""
    previews = [jpeg for each in directories if (jpeg := each.jpeg()) is not None]
    largest = max(previews, key=lambda jpeg: min(jpeg_size(jpeg)), default=b"")
    if not largest or min(jpeg_size(largest)) < PREVIEW_MIN_SIDE:
        raise ImageUnsupported("a raw photograph of a camera without a large preview in it")
    first = directories[0]
    return TiffPicture(largest, first.xmp, first.orientation, is_preview=True)


def _name(compression: int, colours: int, bits: int, number_format: int) -> str:
    numbers = {
        UNSIGNED: f"{bits}-bit",
        SIGNED: f"signed {bits}-bit",
        FLOATING: f"{bits}-bit floating-point",
    }.get(number_format, "complex")
    how = {1: "", _JPEG: ", compressed as JPEG"}.get(compression, "")
    return f"a TIFF picture of {numbers} {_COLOUR_NAMES.get(colours, 'values')}{how}"
