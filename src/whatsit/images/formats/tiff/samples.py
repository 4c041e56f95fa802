"""The numbers of a TIFF picture, in the layouts that a decoder of pictures takes for others.

Such a decoder knows the usual layouts and guesses at the rest, without an error: 16-bit colours in
separate planes come out as stripes, greys with their sign as noise. Here it only undoes the
compression, because each plane is shown to it as a grey picture whose pixels are the bytes. numpy
then interprets the bytes, a few rows at a time.
"""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from math import lcm

import numpy as np
import numpy.typing as npt
from PIL import Image

from whatsit.images.depth import (
    Spread,
    Values,
    full_range,
    range_of_floats,
    to_eight_bit,
)

UNSIGNED, SIGNED, FLOATING = 1, 2, 3
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, CMYK = 0, 1, 2, 5

_STRIP_VALUES = 250_000


@dataclass(frozen=True, slots=True)
class SampleLayout:
    """The meaning of the bytes of a TIFF picture.

    Attributes:
        width: Pixels.
        height: Pixels.
        bits: Of each sample.
        number_format: `UNSIGNED`, `SIGNED` or `FLOATING`.
        order: Of the bytes of a sample: ``<`` or ``>``.
        samples: Of a pixel, those without a meaning included.
        is_planar: True if each sample has its own plane.
        colours: `WHITE_IS_ZERO`, `BLACK_IS_ZERO`, `RGB` or `CMYK`.
        alpha: None, or ``"a"`` if the colours were multiplied with the transparency, else ``"A"``.
        predictor: 1 where the samples stand for themselves, 2 where each is the difference from
            the one on its left, 3 for floating-point numbers taken apart.
        tile_width: Pixels, where predictors begin again; None in strips.
        plane: Makes the TIFF file that shows one plane as a grey picture, by its number.
    """

    width: int
    height: int
    bits: int
    number_format: int
    order: str
    samples: int
    is_planar: bool
    colours: int
    alpha: str | None
    predictor: int
    tile_width: int | None
    plane: Callable[[int], bytes]

    @property
    def meaningful(self) -> int:
        """How many of the samples are colours or transparency."""
        colours = {RGB: 3, CMYK: 4}.get(self.colours, 1)
        return colours + (self.alpha is not None)

    @property
    def mode(self) -> str:
        """Pillow's name for what `SamplePlanes.rows` gives."""
        return {RGB: "RGB", CMYK: "CMYK"}.get(self.colours, "L") + (self.alpha or "")

    @property
    def coded_width(self) -> int:
        """Pixels of a row as it is stored: the last tile may stand out."""
        return self.width + -self.width % (self.tile_width or 1)

    @property
    def row_bytes(self) -> int:
        """Of one row of a plane."""
        return (self.coded_width * self.bits * (1 if self.is_planar else self.samples) + 7) // 8

    @property
    def decoded_bytes(self) -> int:
        """Memory that all planes take."""
        return self.row_bytes * self.height * (self.meaningful if self.is_planar else 1)


class SamplePlanes:
    """A picture whose planes are in memory as bytes.

    Raises:
        OSError: The picture is cut short or damaged.
        ValueError: So is it here.
    """

    def __init__(self, layout: SampleLayout) -> None:
        self._layout = layout
        self.mode = layout.mode
        self.size = layout.width, layout.height
        planes = range(layout.meaningful if layout.is_planar else 1)
        self._planes = [self._read(layout.plane(number)) for number in planes]
        if layout.number_format == UNSIGNED and layout.bits <= 8:
            self._low, self._high = 0.0, float((1 << layout.bits) - 1)
        else:
            spread = Spread()
            for top, bottom in _row_blocks(layout):
                spread.add(self._colours(top, bottom))
            self._low, self._high = _range_of(layout, spread)

    def rows(self, top: int, bottom: int) -> Image.Image:
        """Some rows, with 8 bits a sample."""
        layout = self._layout
        values = self._values(top, bottom)[..., : layout.meaningful]
        if layout.number_format == UNSIGNED and layout.bits <= 8:
            grey = _shades(layout.bits)[values]
        else:
            grey = to_eight_bit(values, self._low, self._high)
        if layout.colours == WHITE_IS_ZERO:
            grey[..., 0] = 255 - grey[..., 0]
        if self.mode == "La":
            grey = np.concatenate([grey[..., :1]] * 3 + [grey[..., 1:]], axis=-1)
            return Image.fromarray(grey, "RGBa").convert("RGBA")
        image = Image.fromarray(grey[..., 0] if grey.shape[-1] == 1 else grey, self.mode)
        return image.convert("RGBA") if self.mode == "RGBa" else image

    def _read(self, file: bytes) -> Image.Image:
        image = Image.open(io.BytesIO(file), formats=("TIFF",))
        image.load()
        if image.mode != "L" or image.size != (self._layout.row_bytes, self._layout.height):
            raise ValueError("The rows have another length than the header says.")
        return image

    def _colours(self, top: int, bottom: int) -> Values:
        values = self._values(top, bottom)
        return values[..., : self._layout.meaningful - (self._layout.alpha is not None)]

    def _values(self, top: int, bottom: int) -> Values:
        box = (0, top, self._layout.row_bytes, bottom)
        parts = [self._unpack(np.asarray(plane.crop(box))) for plane in self._planes]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)

    def _unpack(self, rows: npt.NDArray[np.uint8]) -> Values:
        layout = self._layout
        samples = 1 if layout.is_planar else layout.samples
        if layout.predictor == 3:
            values = _floats_put_together(rows, layout, samples)
        elif layout.bits in (8, 16, 32, 64):
            kind = {UNSIGNED: "u", SIGNED: "i", FLOATING: "f"}[layout.number_format]
            values = rows.view(np.dtype(f"{layout.order}{kind}{layout.bits // 8}"))
        else:
            values = _unpack_bits(rows, layout.bits, layout.coded_width * samples)
        values = values.reshape(len(rows), layout.coded_width, samples)
        if layout.predictor == 2:
            parts = [values[:, at] for at in _tile_columns(layout)]
            values = np.concatenate(
                [np.cumsum(part, axis=1, dtype=values.dtype.newbyteorder("=")) for part in parts],
                axis=1,
            )
        return values[:, : layout.width]


@cache
def _shades(bits: int) -> npt.NDArray[np.uint8]:
    highest = (1 << bits) - 1
    return to_eight_bit(np.arange(highest + 1), 0.0, float(highest))


def _range_of(layout: SampleLayout, spread: Spread) -> tuple[float, float]:
    if layout.number_format == FLOATING:
        return range_of_floats(spread)
    if layout.bits == 32:
        highest = max(65535.0, spread.high)
    elif layout.number_format == UNSIGNED:
        highest = float((1 << layout.bits) - 1)
    elif spread.low < 0:
        return spread.low, spread.high
    else:
        highest = float((1 << layout.bits - 1) - 1)
    # Where more means darker, a picture of low values is not a black one.
    is_light = layout.colours in (BLACK_IS_ZERO, RGB)
    return 0.0, full_range(spread, highest) if is_light else highest


def _row_blocks(layout: SampleLayout) -> Iterator[tuple[int, int]]:
    rows = max(1, _STRIP_VALUES // (layout.width * layout.samples))
    for top in range(0, layout.height, rows):
        yield top, min(top + rows, layout.height)


def _tile_columns(layout: SampleLayout) -> list[slice]:
    wide = layout.tile_width or layout.width
    return [slice(at, at + wide) for at in range(0, layout.width, wide)]


def _unpack_bits(rows: npt.NDArray[np.uint8], bits: int, count: int) -> Values:
    if bits == 1:
        return np.unpackbits(rows, axis=1, count=count)
    # After so many samples, and bytes, one begins with a byte again.
    samples, size = lcm(bits, 8) // bits, lcm(bits, 8) // 8
    groups = -(-count // samples)
    padded = np.pad(rows, ((0, 0), (0, max(0, groups * size + 2 - rows.shape[1]))))
    kind = np.uint8 if bits <= 8 else np.uint16
    values = np.empty((len(rows), groups, samples), kind)
    for number in range(samples):
        first, within = divmod(number * bits, 8)
        reached = -(-(within + bits) // 8)
        whole = np.zeros((len(rows), groups), np.uint8 if reached == 1 else np.uint32)
        for byte in range(first, first + reached):
            if byte > first:
                whole <<= 8
            whole |= padded[:, byte : byte + groups * size : size]
        whole >>= 8 * reached - within - bits
        values[:, :, number] = whole & (1 << bits) - 1
    return values.reshape(len(rows), -1)[:, :count]


def _floats_put_together(rows: npt.NDArray[np.uint8], layout: SampleLayout, samples: int) -> Values:
    size = layout.bits // 8
    parts = []
    for columns in _tile_columns(layout):
        # A tile's row holds the first bytes of all its numbers, then the second ones.
        start, end = columns.start * samples * size, columns.stop * samples * size
        part = rows[:, start:end].reshape(len(rows), -1, samples)
        summed = np.cumsum(part, axis=1, dtype=np.uint8).reshape(len(rows), size, -1)
        parts.append(np.ascontiguousarray(summed.transpose(0, 2, 1)).view(f">f{size}")[..., 0])
    return np.concatenate(parts, axis=1)
