"""The population stability index: how far counts lie from a reference, and what chance gives.

PSI compares the shares of the bins with those of the reference: the sum of ``(now - then) *
ln(now / then)``. By custom (Siddiqi, Credit Risk Scorecards, 2006) 0.1 is worth a look and 0.25 is
another population. Few pictures show such figures by chance alone: for n pictures, N in the
reference and B bins, PSI is distributed like ``(1/n + 1/N)`` times chi-square with B - 1 degrees of
freedom (Yurdakul and Naranjo, "Statistical properties of the population stability index", Journal
of Risk Model Validation 14(4), 2020).
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

_SMOOTHING = 0.5
"""Pictures a bin is given beforehand, so that an empty one has a logarithm."""


def population_stability_index(
    reference_shares: Sequence[float], observed_counts: Sequence[int], reference_pictures: int
) -> float:
    """How far observed pictures lie from a reference: 0 where they are alike.

    An empty bin has no logarithm. So each bin of the reference gets half a picture more than was
    counted, and the observed bins get as many in all, spread like the reference: this makes few
    pictures look more like the reference than they are, never less.

    Args:
        reference_shares: Of the pictures in each bin, summing to 1.
        observed_counts: Pictures in each bin.
        reference_pictures: How many the shares were counted on.

    Example:
        >>> round(population_stability_index((0.5, 0.5), (90, 10), 1_000_000), 4)
        0.8531
        >>> population_stability_index((0.5, 0.5), (0, 0), 100)
        0.0
    """
    bins = len(reference_shares)
    shares = np.asarray(reference_shares, dtype=np.float64)
    counts = np.asarray(observed_counts, dtype=np.float64)
    given = _SMOOTHING * bins
    then = (shares * reference_pictures + _SMOOTHING) / (shares.sum() * reference_pictures + given)
    now = (counts + given * then) / (counts.sum() + given)
    return max(0.0, float(((now - then) * np.log(now / then)).sum()))


def chance_index(bins: int, observed: int, reference_pictures: int) -> float:
    """The average index of pictures that are just like the reference's."""
    return (bins - 1) * (1 / max(1, observed) + 1 / reference_pictures)


def chance_limit(bins: int, observed: int, reference_pictures: int, ratio: float) -> float:
    """The index that such pictures exceed only with the probability `ratio`.

    The quantile of chi-square is that of Wilson and Hilferty (1931), which is up to 4 %
    too high here, never too low.

    Example:
        >>> round(chance_limit(10, 1, 10**9, 0.05), 1)  # chi-square with 9 degrees: 16.92
        16.9
    """
    degrees = bins - 1
    spread = 2 / (9 * degrees)
    quantile = NormalDist().inv_cdf(1 - ratio)
    chi_square = degrees * (1 - spread + quantile * math.sqrt(spread)) ** 3
    return chi_square * (1 / max(1, observed) + 1 / reference_pictures)
