"""How far the pictures of now lie from those a model was measured on: counts -> an index.

Each signal of an answer (its score, the picture's size, what its pixels are like) is counted in
bins. The population stability index, PSI, compares the shares of the bins with those of a
reference: the sum of ``(now - then) * ln(now / then)``. By custom (Siddiqi, Credit Risk
Scorecards, 2006) 0.1 is worth a look and 0.25 is another population. Few pictures show such
figures by chance alone: for n pictures, N in the reference and B bins, PSI is distributed like
``(1/n + 1/N)`` times chi-square with B - 1 degrees of freedom (Yurdakul and Naranjo, "Statistical
properties of the population stability index", Journal of Risk Model Validation 14(4), 2020). So
its expectation is taken off, and what chance could well give is no drift, whatever its size.
"""

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
import numpy.typing as npt

from whatsit.familiarity import STATISTICS, PixelStatistics
from whatsit.model_card import ModelCard
from whatsit.prediction import Prediction

Drift = Literal["too few", "as usual", "shifting", "different"]

SIGNALS = (
    *("score", "margin", "certainty", "familiarity"),
    *("shorter_side", "aspect_ratio"),
    *STATISTICS,
)
"""What is watched, if the model gives it and its card has a reference for it."""
SHAPE_SIGNALS = frozenset({"shorter_side", "aspect_ratio"})
"""What the model hardly sees, as it scales and cuts every picture; they decide no verdict."""
CERTAINTIES = ("sure", "probably", "unsure", "unrecognised")
"""The signal ``certainty`` counts answers by their place in here."""

BINS = 10
MIN_PICTURES = 30
"""Of fewer pictures nothing is said: chi-square describes their index badly."""
SHIFTING, DIFFERENT = 0.1, 0.25
FALSE_ALARM_RATIO = 0.001
"""How often pictures like the reference's may be called anything but as usual."""

RECENT_PICTURES = 1000
HOURS = 24

_LEAST_SHARE = 0.02
_SMOOTHING = 0.5
"""Pictures a bin is given beforehand, so that an empty one has a logarithm."""
_DIGITS = 6
_HOUR_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class SignalReference:
    """How one signal was distributed.

    Attributes:
        edges: Where one bin ends and the next begins, rising; a value equal to an edge belongs
            to the bin before it. The first and the last bin have no outer edge.
        shares: Of the pictures in each bin; one more than there are edges, summing to 1.
    """

    edges: tuple[float, ...]
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """The pictures that a model's traffic is compared with.

    Attributes:
        pictures: How many there were.
        signals: Some or all of `SIGNALS`.
        dataset: What they were, in words.
    """

    pictures: int
    signals: Mapping[str, SignalReference]
    dataset: str = ""

    @classmethod
    def of(cls, card: ModelCard) -> "Reference | None":
        """The reference on a model's card, without signals that this version does not know."""
        if card.reference is None:
            return None
        signals = {
            name: SignalReference(found.edges, found.shares)
            for name in SIGNALS
            if (found := card.reference.signals.get(name)) is not None
        }
        return cls(card.reference.pictures, signals, card.reference.dataset)


def describe_signals(
    prediction: Prediction, familiarity: float | None, statistics: PixelStatistics | None
) -> dict[str, float]:
    """The value of each of the `SIGNALS` for one answered picture.

    Args:
        prediction: What was answered.
        familiarity: As `whatsit.familiarity.familiarity`; None where the model has no profile.
        statistics: As `whatsit.familiarity.describe_pixels`; None where the model has no profile.

    Returns:
        Without the signals that the model does not give. The index does not change where a
        scale is bent, so sizes stay pixels rather than logarithms.
    """
    answer, image = prediction.answer, prediction.image
    best, *others = prediction.top[:2]
    certainty = answer.certainty if answer.recognised else "unrecognised"
    signals = {
        "score": best.score,
        "margin": best.score - (others[0].score if others else 0.0),
        "certainty": float(CERTAINTIES.index(certainty)),
        "shorter_side": float(min(image.width, image.height)),
        "aspect_ratio": image.width / image.height,
    }
    if familiarity is not None:
        signals["familiarity"] = familiarity
    if statistics is not None:
        signals.update(zip(STATISTICS, statistics.tolist(), strict=True))
    return signals


def describe_reference(
    pictures: Sequence[Mapping[str, float]], dataset: str = "", bins: int = BINS
) -> Reference:
    """Sum up the signals of many pictures.

    Args:
        pictures: What `describe_signals` gave for each; at least one.
        dataset: What they are, in words.
        bins: How many a signal gets at most.

    Returns:
        With the signals that every picture has.
    """
    signals: dict[str, SignalReference] = {}
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
        signals[name] = SignalReference(edges, shares)
    return Reference(len(pictures), signals, dataset)


def place_edges(values: npt.NDArray[np.float64], bins: int = BINS) -> tuple[float, ...]:
    """Edges that put about as many of the values into each bin.

    They lie half-way between values that occur, so that rounding moves no value into another
    bin. Where many values are equal, a bin of theirs is narrow or an edge is left out. Beyond the
    least and the greatest value there is a further edge where so many values are equal to them
    that new ones outside would not be told from them.

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


def population_stability_index(
    reference_shares: Sequence[float], observed_counts: Sequence[int], reference_pictures: int
) -> float:
    """How far observed pictures lie from a reference: 0 where they are alike.

    An empty bin has no logarithm. So each bin of the reference is given half a picture more than
    was counted, and the observed ones as many again, spread like the reference: few pictures
    look more like it than they are, never less.

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
    """What the index is on average for pictures that are just like the reference's."""
    return (bins - 1) * (1 / max(1, observed) + 1 / reference_pictures)


def chance_limit(bins: int, observed: int, reference_pictures: int, ratio: float) -> float:
    """What the index of such pictures exceeds only with the probability `ratio`.

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


@dataclass(frozen=True, slots=True)
class SignalDrift:
    """How far one signal lies from the reference.

    Attributes:
        signal: One of `SIGNALS`.
        psi: The index, less what chance gives on average; at least 0.
        drift: What that means.
        reference: The signal as it was.
        counts: Pictures in each bin now.
    """

    signal: str
    psi: float
    drift: Drift
    reference: SignalReference
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WindowDrift:
    """How far the pictures of one window lie from the reference.

    Attributes:
        window: ``day`` or ``latest``.
        pictures: How many there are.
        since: When the first of them was answered, seconds since 1970; None without any.
        signals: In the order of `SIGNALS`.
    """

    window: str
    pictures: int
    since: float | None
    signals: tuple[SignalDrift, ...]

    @property
    def drift(self) -> Drift:
        """The worst of the signals that say something of the answers."""
        order: tuple[Drift, ...] = ("too few", "as usual", "shifting", "different")
        seen = (each.drift for each in self.signals if each.signal not in SHAPE_SIGNALS)
        return max(seen, key=order.index, default="too few")


@dataclass(frozen=True, slots=True)
class WindowCounts:
    """What a window holds.

    Attributes:
        pictures: How many.
        since: When the first of them was answered, seconds since 1970; None without any.
        counts: Pictures in each bin, of all signals one after the other.
    """

    pictures: int
    since: float | None
    counts: tuple[int, ...]

    def joined(self, other: "WindowCounts") -> "WindowCounts":
        """Both together; they have the same bins."""
        times = [since for since in (self.since, other.since) if since is not None]
        counts = tuple(a + b for a, b in zip(self.counts, other.counts, strict=True))
        return WindowCounts(self.pictures + other.pictures, min(times, default=None), counts)


class Bins:
    """The bins of all signals of a reference, numbered through.

    Args:
        reference: Whose.

    Attributes:
        size: How many there are.
    """

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self._places: list[tuple[str, tuple[float, ...], int]] = []
        self.size = 0
        for name, signal in reference.signals.items():
            self._places.append((name, signal.edges, self.size))
            self.size += len(signal.shares)

    def sort(self, signals: Mapping[str, float]) -> tuple[int, ...]:
        """The numbers of the bins that one picture belongs to; takes microseconds."""
        return tuple(
            start + bisect_left(edges, signals[name])
            for name, edges, start in self._places
            if name in signals
        )

    def measure(self, window: str, counted: WindowCounts) -> WindowDrift:
        """How far what a window holds lies from the reference."""
        ratio = FALSE_ALARM_RATIO / max(1, len(self._places))
        drifts = []
        for name, _, start in self._places:
            signal = self._reference.signals[name]
            counts = counted.counts[start : start + len(signal.shares)]
            drifts.append(_measure_signal(name, signal, counts, self._reference.pictures, ratio))
        return WindowDrift(window, counted.pictures, counted.since, tuple(drifts))


def _measure_signal(
    name: str, signal: SignalReference, counts: tuple[int, ...], pictures: int, ratio: float
) -> SignalDrift:
    observed, bins = sum(counts), len(signal.shares)
    index = population_stability_index(signal.shares, counts, pictures)
    excess = max(0.0, index - chance_index(bins, observed, pictures))
    drift: Drift = "as usual"
    if observed < MIN_PICTURES:
        drift = "too few"
    elif index > chance_limit(bins, observed, pictures, ratio) and excess >= SHIFTING:
        drift = "shifting" if excess < DIFFERENT else "different"
    return SignalDrift(name, excess, drift, signal, counts)


class RecentPictures:
    """The latest pictures, however long ago they were. A picture counts once among them.

    Args:
        bins: How many bins there are.
        most: How many pictures to keep; each takes a few hundred bytes.
    """

    def __init__(self, bins: int, most: int = RECENT_PICTURES) -> None:
        self._counts = [0] * bins
        self._most = most
        self._pictures: deque[tuple[float, str, tuple[int, ...]]] = deque()
        self._known: set[str] = set()

    def holds(self, sha256: str) -> bool:
        """Whether this picture is among them."""
        return sha256 in self._known

    def add(self, sha256: str, where: tuple[int, ...], now: float) -> None:
        """Count a picture, and no longer the oldest one if there are too many."""
        self._pictures.append((now, sha256, where))
        self._known.add(sha256)
        for number in where:
            self._counts[number] += 1
        if len(self._pictures) > self._most:
            _, oldest, gone = self._pictures.popleft()
            self._known.discard(oldest)
            for number in gone:
                self._counts[number] -= 1

    def counts(self) -> WindowCounts:
        """What there is now."""
        since = self._pictures[0][0] if self._pictures else None
        return WindowCounts(len(self._pictures), since, tuple(self._counts))


@dataclass(slots=True)
class _Hour:
    number: int
    since: float
    pictures: int
    counts: list[int]


class HourlyPictures:
    """The pictures of the last hours, the present one included.

    Args:
        bins: How many bins there are.
        hours: How many to keep.
    """

    def __init__(self, bins: int, hours: int = HOURS) -> None:
        self._bins = bins
        self._hours: deque[_Hour] = deque(maxlen=hours)
        self._most = hours

    def add(self, where: tuple[int, ...], now: float) -> None:
        """Count a picture."""
        number = int(now // _HOUR_SECONDS)
        # A clock that was set back goes on in the hour that it has reached before.
        if not self._hours or self._hours[-1].number < number:
            self._hours.append(_Hour(number, now, 0, [0] * self._bins))
        hour = self._hours[-1]
        hour.pictures += 1
        for place in where:
            hour.counts[place] += 1

    def counts(self, now: float) -> WindowCounts:
        """What there is now."""
        oldest = int(now // _HOUR_SECONDS) - self._most
        joined = WindowCounts(0, None, (0,) * self._bins)
        for hour in self._hours:
            if hour.number > oldest:
                joined = joined.joined(WindowCounts(hour.pictures, hour.since, tuple(hour.counts)))
        return joined


def next_step(windows: Sequence[WindowDrift]) -> str | None:
    """What to do about it, in one or two sentences; None where nothing is to be done."""
    drifted = [window for window in windows if window.drift in ("shifting", "different")]
    if not drifted:
        return None
    start = "Look at some of the pictures that come now. "
    if all(window.drift == "shifting" for window in drifted):
        return start + "Correct answers on the page, so that there are pictures to learn from."
    return start + (
        "If their sender is broken, repair it. If they are what you want answered, correct "
        "answers on the page, export them with `whatsit feedback export FOLDER --format "
        "folders`, and train and promote a model on them with `whatsit pipeline run`, which "
        "measures a new reference."
    )
