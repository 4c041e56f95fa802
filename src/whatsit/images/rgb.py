"""Decoded pixels -> an RGB image over white, smaller if that is enough, a few rows at a time.

A large picture would take its memory again for each step from the decoder's pixels to the model's
input: another mode, other depths, over white, smaller. Here each strip takes all steps.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from PIL import Image

from whatsit.images.depth import Spread, full_range, to_eight_bit
from whatsit.images.formats.base import Box
from whatsit.images.formats.tiff.samples import SamplePlanes

LARGE_PIXELS = 12_500_000
"""From here on a picture is made smaller piece by piece, and waits for other large ones."""
_STRIP_PIXELS = 250_000
"""Small enough that threads which keep some of it keep little."""
_SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N")


@dataclass(frozen=True, slots=True)
class Buffer:
    """Pixels as a decoder keeps them, where an image of all of them would take as much again.

    Attributes:
        mode: Pillow's name for what `rows` gives; where there is a crop, a byte a letter.
        frame: Width and height of all pixels.
        data: Their bytes.
        layout: Pillow's name for how these are arranged.
        stride: Bytes from row to row; 0 if rows follow each other closely.
        crop: The part that is the picture; None if all of it.
    """

    mode: str
    frame: tuple[int, int]
    data: Any
    layout: str
    stride: int = 0
    crop: Box | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture."""
        return self.frame if self.crop is None else size_of(self.crop)

    def rows(self, top: int, bottom: int) -> Image.Image:
        """Some rows of the picture."""
        stride = self.stride or len(self.data) // self.frame[1]
        above = 0 if self.crop is None else self.crop[1]
        part = memoryview(self.data)[(top + above) * stride : (bottom + above) * stride]
        if self.crop is not None:
            start, end = self.crop[0] * len(self.mode), self.crop[2] * len(self.mode)
            # Only these columns are copied: the frame may be far wider.
            columns = np.frombuffer(part, np.uint8).reshape(bottom - top, stride)[:, start:end]
            part, stride = memoryview(columns.tobytes()), end - start
        size = (self.size[0], bottom - top)
        return Image.frombytes(self.mode, size, bytes(part), "raw", self.layout, stride)


def size_of(box: Box) -> tuple[int, int]:
    """Width and height of a part."""
    return box[2] - box[0], box[3] - box[1]


Pixels = Image.Image | Buffer | SamplePlanes


def reduction(size: tuple[int, int], wanted: int | None) -> int:
    """By which whole number a large picture is made smaller while it is brought to RGB."""
    if wanted is None or prod(size) < LARGE_PIXELS:
        return 1
    return max(1, min(size) // wanted)


def to_rgb(pixels: Pixels, step: int) -> Image.Image:
    """An RGB image of 8 bits over white, made smaller by a whole number."""
    width, height = pixels.size
    if isinstance(pixels, Image.Image):
        is_opaque_rgb = pixels.mode == "RGB" and "transparency" not in pixels.info
        if is_opaque_rgb and step == 1:
            return pixels
    convert = _strip_converter(pixels)
    if step == 1 and width * height <= _STRIP_PIXELS:
        return convert(rows_of(pixels, 0, height))
    small = Image.new("RGB", (-(-width // step), -(-height // step)))
    for top, bottom in strips_of(pixels.size, step):
        strip = convert(rows_of(pixels, top, bottom))
        small.paste(strip.reduce(step) if step > 1 else strip, (0, top // step))
    return small


def rows_of(pixels: Pixels, top: int, bottom: int) -> Image.Image:
    """Some rows of a picture in any of its forms."""
    if not isinstance(pixels, Image.Image):
        return pixels.rows(top, bottom)
    width, height = pixels.size
    return pixels if bottom - top == height else pixels.crop((0, top, width, bottom))


def strips_of(size: tuple[int, int], step: int = 1) -> Iterator[tuple[int, int]]:
    """First row of each strip and the row behind its last; strips are whole steps high."""
    width, height = size
    rows = max(1, _STRIP_PIXELS // (width * step)) * step
    for top in range(0, height, rows):
        yield top, min(top + rows, height)


def _strip_converter(pixels: Pixels) -> Callable[[Image.Image], Image.Image]:
    if pixels.mode not in _SIXTEEN_BIT:
        return _over_white
    spread = Spread()
    for top, bottom in strips_of(pixels.size):
        spread.add(np.asarray(rows_of(pixels, top, bottom)))
    high = full_range(spread, 65535.0)
    return lambda strip: _over_white(_to_grey(strip, high))


def _over_white(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        canvas = Image.new("RGBA", rgba.size, "white")
        canvas.alpha_composite(rgba)
        return canvas.convert("RGB")
    return image.convert("RGB")


def _to_grey(image: Image.Image, high: float) -> Image.Image:
    values = np.asarray(image)
    grey = to_eight_bit(values, 0.0, high)
    if (transparent := image.info.get("transparency")) is not None:
        grey[values == transparent] = 255
    return Image.fromarray(grey)
