"""The picture of a TIFF directory: alone in its file for a decoder, or as numbers.

A decoder gets only the parts that make the picture. A layout that the decoder takes for another
one, without an error, is read as numbers here; one without a single meaning as colours is refused
by its name.
"""

import struct
from dataclasses import replace

from whatsit.errors import ImageUnsupported
from whatsit.images.formats.base import Container
from whatsit.images.formats.tiff import tags
from whatsit.images.formats.tiff.directory import MAX_SAMPLES, MAX_STRIPS, Directory
from whatsit.images.formats.tiff.samples import (
    BLACK_IS_ZERO,
    CMYK,
    FLOATING,
    RGB,
    SIGNED,
    UNSIGNED,
    WHITE_IS_ZERO,
    SampleLayout,
)

_FAX = frozenset({2, 3, 4})
_PREDICTED = frozenset({5, 8, 32946, 50000})
_SIMPLE = _PREDICTED | {tags.PLAIN, 32773}
_UNDEFINED = 4
"""Number format of samples about which the file says nothing."""
_COMPRESSION_NAMES = {
    tags.OLD_JPEG: "an outdated kind of JPEG",
    34712: "JPEG 2000",
    34887: "LERC",
    34925: "LZMA",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
_COLOUR_NAMES = {
    WHITE_IS_ZERO: "greys",
    BLACK_IS_ZERO: "greys",
    RGB: "colours",
    tags.PALETTE: "palette colours",
    tags.MASK: "mask values",
    CMYK: "printing inks",
    tags.YCBCR: "video colours",
    tags.LAB: "CIELab colours",
    9: "ICCLab colours",
    10: "ITULab colours",
    32844: "LogL greys",
    32845: "LogLuv colours",
    tags.FILTER_ARRAY: "sensor values",
    tags.LINEAR_RAW: "sensor values",
}
_COLOUR_SAMPLES = {RGB: 3, CMYK: 4, tags.YCBCR: 3, tags.LAB: 3}
_COMMON_DEPTHS = {
    **{WHITE_IS_ZERO: (1, 2, 4, 8), BLACK_IS_ZERO: (1, 2, 4, 8), tags.PALETTE: (1, 2, 4, 8)},
    **dict.fromkeys((RGB, CMYK, tags.YCBCR, tags.LAB), (8,)),
}
"""Bits of a sample that decoders get right."""
_WHOLE_DEPTHS = frozenset({1, 2, 4, *range(8, 17)})
_GREY_NUMBERS = frozenset(
    {(UNSIGNED, 32), *((SIGNED, bits) for bits in (8, 16, 32))}
    | {(FLOATING, bits) for bits in (16, 32, 64)}
)
"""How greys alone are read, besides whole numbers of these depths."""


class Picture:
    """The picture that a directory describes.

    Args:
        directory: Its entries.
    """

    def __init__(self, directory: Directory) -> None:
        self._file, self._layout = directory.file, directory.layout
        self._entries, self._numbers = directory.entries, directory.numbers
        self._number = directory.number
        self._orientation = directory.orientation

    def container(self) -> Container:
        """The picture alone in its file.

        Raises:
            ImageUnsupported: whatsit does not read this form of storage.
        """
        compression = self._number(tags.COMPRESSION, tags.PLAIN)
        if compression not in _SIMPLE | _FAX | {tags.JPEG}:
            how = _COMPRESSION_NAMES.get(compression, "a rare method")
            raise ImageUnsupported(f"a TIFF picture compressed with {how}")
        samples = self._samples(compression)
        # A strip is taken apart whole before its pixels are copied.
        strip_bytes = self._strip_pixels * self._pixel_bits // 8
        return Container(
            "TIFF",
            self._file if samples else self._alone(),
            self._orientation,
            0 if compression == tags.PLAIN else strip_bytes,
            samples=samples,
        )

    def _alone(self) -> bytes:
        kept = {tag: entry.raw for tag, entry in self._entries.items() if tag in tags.PICTURE_TAGS}
        return self._layout.with_directory(self._with_wide_palette(), kept)

    @property
    def _strip_pixels(self) -> int:
        if tags.TILE_WIDTH in self._numbers:
            return self._number(tags.TILE_WIDTH) * self._number(tags.TILE_HEIGHT, 1)
        height = self._number(tags.HEIGHT)
        return self._number(tags.WIDTH) * min(height, self._number(tags.ROWS, height))

    @property
    def _pixel_bits(self) -> int:
        return self._number(tags.BITS, 1) * self._number(tags.SAMPLES, 1)

    def _samples(self, compression: int) -> SampleLayout | None:
        """How to read the picture as numbers; None if a decoder reads it right."""
        colours = self._number(tags.COLOURS)
        count = self._number(tags.SAMPLES, 3 if compression == tags.JPEG else 1)
        bits, number_format = self._numbers_of_each(count)
        is_planar = self._number(tags.PLANAR, 1) == 2 and count > 1
        is_usual = number_format == UNSIGNED and bits in _COMMON_DEPTHS.get(colours, ())
        if is_usual and self._is_read_right(compression, colours, count, is_planar=is_planar):
            return None
        unused = count - _COLOUR_SAMPLES.get(colours, 1)
        predictor = self._number(tags.PREDICTOR, 1) if compression in _PREDICTED else 1
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
        extra = self._numbers.get(tags.EXTRA, (2,) if colours == RGB and unused == 1 else ())
        has_alpha = unused > 0 and colours != CMYK
        layout = SampleLayout(
            width=self._number(tags.WIDTH),
            height=self._number(tags.HEIGHT),
            bits=bits,
            number_format=number_format,
            order=self._layout.order,
            samples=count,
            is_planar=is_planar,
            colours=colours,
            alpha={1: "a", 2: "A"}.get(extra[0]) if extra and has_alpha else None,
            predictor=predictor,
            tile_width=self._number(tags.TILE_WIDTH) if tags.TILE_WIDTH in self._numbers else None,
            plane=lambda _: b"",
        )
        return replace(layout, plane=lambda number: self._plane(layout, number))

    def _numbers_of_each(self, count: int) -> tuple[int, int]:
        """Bits and format of the samples, which are the same in all of them."""
        depths = self._numbers.get(tags.BITS, (1,))[:count]
        formats = self._numbers.get(tags.FORMAT, (UNSIGNED,))[:count]
        if len(set(depths)) > 1 or len(set(formats)) > 1 or count > MAX_SAMPLES:
            raise ImageUnsupported("a TIFF picture whose channels differ in depth")
        return depths[0], UNSIGNED if formats[0] == _UNDEFINED else formats[0]

    def _is_read_right(
        self, compression: int, colours: int, count: int, *, is_planar: bool
    ) -> bool:
        """True if a decoder gets whole numbers of a usual depth right, and not as something else.

        Raises:
            ImageUnsupported: Neither a decoder does, nor can they be read as numbers.
        """
        if colours == tags.YCBCR:
            if compression == tags.PLAIN and self._is_reduced_in_colour:
                raise ImageUnsupported("a TIFF picture of uncompressed colours at half resolution")
            return not is_planar or (
                compression in _SIMPLE - {tags.PLAIN} and not self._is_reduced_in_colour
            )
        if is_planar or compression not in _SIMPLE:
            return not is_planar
        unused, bits = count - _COLOUR_SAMPLES.get(colours, 1), self._number(tags.BITS, 1)
        if bits == 8 and colours != tags.PALETTE and self._number(tags.FILL_ORDER, 1) == 2:
            return False
        return unused == 0 or (unused == 1 and bits == 8)

    @property
    def _is_reduced_in_colour(self) -> bool:
        if tags.SUBSAMPLING in self._numbers:
            return self._numbers[tags.SUBSAMPLING][:2] != (1, 1)
        if self._number(tags.COMPRESSION, tags.PLAIN) != tags.PLAIN:
            return True
        sizes = self._entries.get(tags.STRIP_SIZES) or self._entries.get(tags.TILE_SIZES)
        given = sum(self._layout.numbers(self._file, sizes, MAX_STRIPS)) if sizes else 0
        return given < 3 * self._number(tags.WIDTH) * self._number(tags.HEIGHT)

    def _with_wide_palette(self) -> bytes:
        """The file, with colours of 16 bits where a program wrote them with 8 by mistake."""
        entry = self._entries.get(tags.COLOUR_MAP)
        if entry is None or entry.type != 3 or self._number(tags.COLOURS) != tags.PALETTE:
            return self._file
        colours = self._layout.numbers(self._file, entry, 3 * 256)
        if max(colours, default=256) > 255:
            return self._file
        wide = struct.pack(
            f"{self._layout.order}{len(colours)}H", *(257 * colour for colour in colours)
        )
        end = entry.value_at + len(wide)
        return self._file[: entry.value_at] + wide + self._file[end:]

    def _plane(self, samples: SampleLayout, number: int) -> bytes:
        """A file that shows the bytes of one plane as grey pixels."""
        layout, entries = self._layout, self._entries
        kept = {tag: entry.raw for tag, entry in entries.items() if tag in tags.LAYOUT_TAGS}
        replaced = {
            tags.WIDTH: samples.row_bytes,
            tags.BITS: 8,
            tags.COLOURS: BLACK_IS_ZERO,
            tags.SAMPLES: 1,
        }
        if samples.tile_width:
            width = samples.tile_width * samples.row_bytes // samples.coded_width
            replaced[tags.TILE_WIDTH] = width
        kept |= {tag: layout.entry(tag, value) for tag, value in replaced.items()}
        planes = samples.samples if samples.is_planar else 1
        for tag in tags.STRIP_TAGS & entries.keys():
            count = entries[tag].count // planes
            kept[tag] = layout.part_of(self._file, entries[tag], number * count, count)
        return layout.with_directory(self._file, kept)


def _name(compression: int, colours: int, bits: int, number_format: int) -> str:
    numbers = {
        UNSIGNED: f"{bits}-bit",
        SIGNED: f"signed {bits}-bit",
        FLOATING: f"{bits}-bit floating-point",
    }.get(number_format, "complex")
    how = {tags.PLAIN: "", tags.JPEG: ", compressed as JPEG"}.get(compression, "")
    return f"a TIFF picture of {numbers} {_COLOUR_NAMES.get(colours, 'values')}{how}"
