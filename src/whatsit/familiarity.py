"""How much a picture looks like what the model knows: logits and pixels -> one number.

Two signs are joined. How sure the model is of its best label, the baseline of Hendrycks and
Gimpel ("A Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural
Networks", ICLR 2017): it catches blurs and patterns, but a network can be very sure of a page of
text. And how far six plain statistics of the pixels lie from those of real photographs, in
Mahalanobis distance (as Lee et al., NeurIPS 2018, do with features): drawn and printed things are
flat, sharp and poor in colours in a way that photographs are not. `docs/reports/odd-pictures.md`
compares this with the other results of one inference.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from whatsit.answer import Logits
from whatsit.images.preprocess import ImageHWC
from whatsit.model_card import Recognition

PixelStatistics = npt.NDArray[np.float64]

STATISTICS = (
    "colour_entropy",
    "flat_ratio",
    "log_fine_contrast",
    "log_coarse_contrast",
    "log_spread",
    "log_saturation",
)
"""The values of `describe_pixels`, in order."""

_GRID = 64
"""Statistics are taken on about this many rows and columns, whatever the size of the input."""
_COARSE_STEP = 8
_FLAT = 2.0
"""Neighbours that differ by less than this (of 255) count as one colour: JPEG's ripples do."""


def familiarity(logits: Logits, pixels: ImageHWC, profile: Recognition) -> float:
    """How much one picture looks like what the model knows; higher is more.

    Args:
        logits: Of this picture, shape (num_classes,); any constant may be added to them.
        pixels: The input of the model, shape (size, size, 3), before normalisation.
        profile: Fitted for this model.

    Returns:
        At most 0. Most photographs lie between -5 and -1.5, pages of text and charts near -8, empty
        pictures near -18.
    """
    statistics = describe_pixels(pixels)
    return join_signs(best_log_probability(logits), statistics, profile)


def join_signs(log_probability: float, statistics: PixelStatistics, profile: Recognition) -> float:
    """The familiarity of a picture from its two signs, as `familiarity` joins them."""
    steps = np.asarray(profile.whitening) @ (statistics - np.asarray(profile.centre))
    return profile.certainty_weight * log_probability - float(np.sqrt(steps @ steps))


def best_log_probability(logits: Logits) -> float:
    """Natural logarithm of the best label's softmax probability, at temperature 1.

    Example:
        >>> round(best_log_probability(np.zeros(4, dtype=np.float32)), 3)
        -1.386
    """
    wide = logits.astype(np.float64)
    return -float(np.log(np.exp(wide - wide.max()).sum()))


def describe_pixels(pixels: ImageHWC) -> PixelStatistics:
    """Six statistics that separate photographs from drawn, printed and empty pictures.

    They are taken on a coarse grid, so that neither the size of the file nor its compression
    decides. Costs about a tenth of a millisecond.

    Args:
        pixels: Shape (size, size, 3), RGB, at least 16 pixels a side.

    Returns:
        Shape (6,), as named in `STATISTICS`: entropy of the colours at 8 levels a channel (nats),
        share of neighbours that are equal, and the logarithms of the mean difference between
        neighbours, of that at 8 times the distance, of the brightness's standard deviation and
        of the mean difference between a pixel's strongest and weakest channel.
    """
    step = max(1, round(pixels.shape[0] / _GRID))
    # It runs right after a model has emptied the processor's cache, so few and plain operations
    # count, not few elements.
    red, green, blue = np.ascontiguousarray(
        pixels[step // 2 :: step, step // 2 :: step].transpose(2, 0, 1)
    )
    grey = red * np.float32(0.299)
    grey += green * np.float32(0.587)
    grey += blue * np.float32(0.114)
    fine = _differences(grey, 1)
    coarse = _differences(grey, min(_COARSE_STEP, len(grey) - 1))
    deviation = grey - np.float32(_sum(grey) / grey.size)
    saturation = np.maximum(np.maximum(red, green), blue)
    saturation -= np.minimum(np.minimum(red, green), blue)
    logarithms = np.log(
        [
            _sum(fine) / fine.size + 0.5,
            _sum(coarse) / coarse.size + 0.5,
            np.sqrt(np.vdot(deviation, deviation) / grey.size) + 1,
            _sum(saturation) / grey.size + 2,
        ]
    )
    flat_ratio = np.count_nonzero(fine < _FLAT) / fine.size
    return np.array([_colour_entropy(red, green, blue), flat_ratio, *logarithms])


def _sum(values: npt.NDArray[np.generic]) -> float:
    return float(np.add.reduce(values, axis=None, dtype=np.float64))


def _differences(grey: npt.NDArray[np.float32], step: int) -> npt.NDArray[np.float32]:
    """Between each place and the one so many steps to the right, and the one below."""
    height, width = grey.shape
    across = height * (width - step)
    both = np.empty(across + (height - step) * width, dtype=np.float32)
    np.subtract(grey[:, step:], grey[:, :-step], out=both[:across].reshape(height, -1))
    np.subtract(grey[step:], grey[:-step], out=both[across:].reshape(-1, width))
    return np.abs(both, out=both)


# The top 3 bits of each channel, side by side: one of 512 colours.
_TOP_BITS = np.arange(256, dtype=np.intp) >> 5
_RED_PART, _GREEN_PART, _BLUE_PART = _TOP_BITS << 6, _TOP_BITS << 3, _TOP_BITS


def _colour_entropy(
    red: npt.NDArray[np.uint8], green: npt.NDArray[np.uint8], blue: npt.NDArray[np.uint8]
) -> float:
    colours = _RED_PART[red]
    colours += _GREEN_PART[green]
    colours += _BLUE_PART[blue]
    counts = np.bincount(colours.ravel(), minlength=512)
    return float(np.log(red.size)) - _sum(_counts_by_logarithm(red.size)[counts]) / red.size


@lru_cache(4)
def _counts_by_logarithm(largest: int) -> npt.NDArray[np.float64]:
    """``n * log(n)`` for all n up to `largest`; 0 for 0."""
    counts = np.arange(largest + 1, dtype=np.float64)
    counts[1:] *= np.log(counts[1:])
    return counts
