"""Numbers of any depth -> 8 bits."""

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.generic]
"""Of any shape and kind of number."""

_FULL_RANGES = (255, 1_023, 4_095, 16_383)
"""The largest numbers of 8, 10, 12 and 14 bits."""
_COPIED_BYTE = 257
"""An 8-bit value that was widened to 16 bits is a multiple of this."""


class Spread:
    """Between which values the numbers of a picture lie."""

    def __init__(self) -> None:
        self.low, self.high = np.inf, -np.inf
        self.is_widened = True
        """True while all of them may be 8-bit values that were widened to 16 bits."""

    def add(self, values: Values) -> None:
        """Take a part of the picture into account."""
        if values.dtype.kind == "f":
            values = values[np.isfinite(values)]
        if values.size:
            self.low = min(self.low, float(values.min()))
            self.high = max(self.high, float(values.max()))
            if self.is_widened:
                self.is_widened = values.dtype.itemsize > 1 and not (values % _COPIED_BYTE).any()


def full_range(spread: Spread, highest: float) -> float:
    """Which value of an integer picture stands for white: `highest`, unless all are far below it.

    Values of cameras, of 8 to 14 bits, are often saved in 16 bits as they are, and look black
    against `highest`. One that is dark for another reason keeps its darkness where that can be
    seen: if it was widened from 8 bits. See docs/use/pictures.md.
    """
    if highest <= _FULL_RANGES[-1] or spread.high > _FULL_RANGES[-1] or spread.high < 1:
        return highest
    if spread.is_widened:
        return highest
    return next(float(full) for full in _FULL_RANGES if spread.high <= full)


def to_eight_bit(values: Values, low: float, high: float) -> npt.NDArray[np.uint8]:
    """Values from `low` to `high` as 0 to 255; values beyond are cut off, NaN is 0."""
    scale = 255.0 / ((high - low) or 1.0)
    wide = values.astype(np.float32)
    within = np.clip(np.nan_to_num(wide, nan=low), low, high)
    return (within * scale - low * scale).round().astype(np.uint8)


def range_of_floats(spread: Spread) -> tuple[float, float]:
    """Which floating-point values stand for black and white."""
    low, high = (spread.low, spread.high) if spread.low <= spread.high else (0.0, 0.0)
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    if low >= 0 and high <= 255:
        return 0.0, 255.0
    return low, high
