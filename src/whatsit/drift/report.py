"""How far the pictures of now lie from those a model was measured on: an index, and a verdict.

The average index of chance is subtracted. An index that chance could well give is not drift,
however large it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from whatsit.drift.bins import Bins
from whatsit.drift.signals import SHAPE_SIGNALS
from whatsit.drift.stability_index import chance_index, chance_limit, population_stability_index
from whatsit.drift.windows import WindowCounts
from whatsit.model_card import ReferenceSignal

Drift = Literal["too few", "as usual", "shifting", "different"]

MIN_PICTURES = 30
"""Fewer pictures get no verdict: chi-square describes their index badly."""
SHIFTING, DIFFERENT = 0.1, 0.25
FALSE_ALARM_RATIO = 0.001
"""How often pictures like the reference's may be called anything but as usual."""


@dataclass(frozen=True, slots=True)
class SignalDrift:
    """How far one signal lies from the reference.

    Attributes:
        signal: One of `SIGNALS`.
        psi: The index, less what chance gives on average; at least 0.
        drift: The verdict on `psi`.
        reference: The signal as it was.
        counts: Pictures in each bin now.
    """

    signal: str
    psi: float
    drift: Drift
    reference: ReferenceSignal
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
        """The worst of the signals that affect the answers."""
        order: tuple[Drift, ...] = ("too few", "as usual", "shifting", "different")
        seen = (found.drift for found in self.signals if found.signal not in SHAPE_SIGNALS)
        return max(seen, key=order.index, default="too few")


def measure_window(window: str, counted: WindowCounts, bins: Bins) -> WindowDrift:
    """How far the pictures of a window lie from the reference.

    Args:
        window: Its name.
        counted: Its counts.
        bins: Those of the reference; the window was counted in them.
    """
    ratio = FALSE_ALARM_RATIO / max(1, len(bins.signals))
    pictures = bins.reference.pictures
    drifts = tuple(
        _measure_signal(name, signal, counts, pictures, ratio)
        for name, signal, counts in bins.split(counted.counts)
    )
    return WindowDrift(window, counted.pictures, counted.since, drifts)


def next_step(windows: Sequence[WindowDrift]) -> str | None:
    """Advice for the operator, in one or two sentences; None where there is nothing to do."""
    drifted = [window for window in windows if window.drift in ("shifting", "different")]
    if not drifted:
        return None
    start = "Look at some of the current pictures. "
    if all(window.drift == "shifting" for window in drifted):
        return start + "Correct answers on the page, so that there are pictures to learn from."
    return start + (
        "If their sender is broken, repair it. If you want answers to such pictures, correct "
        "answers on the page, export them with `whatsit feedback export FOLDER --format "
        "folders`, and train and promote a model on them with `whatsit pipeline run`, which "
        "measures a new reference."
    )


def _measure_signal(
    name: str, signal: ReferenceSignal, counts: tuple[int, ...], pictures: int, ratio: float
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
