"""The signals of many pictures -> the reference on a model's card that traffic is compared with."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from whatsit.drift.signals import CERTAINTIES, SIGNALS
from whatsit.model_card import Reference, ReferenceSignal

BINS = 10
_LEAST_SHARE = 0.02
_DIGITS = 6


def describe_reference(
    pictures: Sequence[Mapping[str, float]], dataset: str = "", bins: int = BINS
) -> Reference:
    """Sum up the signals of many pictures.

    Args:
        pictures: The result of `describe_signals` for each; at least one.
        dataset: Description of these pictures.
        bins: How many a signal gets at most.

    Returns:
        With the signals that every picture has.
    """
    signals: dict[str, ReferenceSignal] = {}
    for name in SIGNALS:
        if not all(name in picture for picture in pictures):
            continue
        values = np.array([picture[name] for picture in pictures])
        if name == "certainty":
            edges = tuple(number + 0.5 for number in range(len(CERTAINTIES) - 1))
        else:
            edges = place_edges(values, bins)
        counts = np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1)
        shares = tuple(round(share, _DIGITS) for share in (counts / len(values)).tolist())
        signals[name] = ReferenceSignal(edges=edges, shares=shares)
    return Reference(pictures=len(pictures), dataset=dataset, signals=signals)


def place_edges(values: npt.NDArray[np.float64], bins: int = BINS) -> tuple[float, ...]:
    """Edges that put about as many of the values into each bin.

    They lie half-way between values that occur, so that rounding moves no value into another
    bin. Where many values are equal, a bin of theirs is narrow or an edge is left out. Beyond the
    least and the greatest value there is a further edge where so many values are equal to them
    that new ones outside would count as equal to them.

    Returns:
        Rising, rounded to 6 digits after the point, at least one.
    """
    distinct, counts = np.unique(values, return_counts=True)
    before = np.cumsum(counts)[:-1] / len(values)
    between = (distinct[:-1] + distinct[1:]) / 2
    edges: list[float] = []
    last = 0.0
    for goal in np.arange(1, bins) / bins if len(between) else ():
        nearest = int(np.abs(before - goal).argmin())
        share = float(before[nearest])
        if last + _LEAST_SHARE <= share <= 1 - _LEAST_SHARE:
            edges.append(round(float(between[nearest]), _DIGITS))
            last = share
    edges = sorted(set(edges))
    for end, share, sign in (
        (float(distinct[0]), counts[0] / len(values), -1),
        (float(distinct[-1]), counts[-1] / len(values), 1),
    ):
        if share > 2 / bins:
            edges.append(round(end + sign * max(1e-3, abs(end) * 1e-3), _DIGITS))
    return tuple(sorted(set(edges))) or (round(float(distinct[-1]), _DIGITS),)
