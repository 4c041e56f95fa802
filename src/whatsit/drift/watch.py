"""The traffic of the live model: counted in each process, reported for all."""

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass

from whatsit.drift.bins import Bins
from whatsit.drift.report import WindowDrift, measure_window
from whatsit.drift.windows import HourlyPictures, RecentPictures, WindowCounts
from whatsit.model_card import Reference, ReferenceSignal
from whatsit.prediction import ModelId, Prediction

DAY, LATEST = "day", "latest"


@dataclass(frozen=True, slots=True)
class SignalTotals:
    """All pictures since the watch began, by one signal.

    Attributes:
        reference: Where the bins lie.
        counts: Pictures in each bin.
        total: Sum of the signal's values.
    """

    reference: ReferenceSignal
    counts: tuple[int, ...]
    total: float


@dataclass(frozen=True, slots=True)
class WatchReport:
    """How the traffic of a model compares with its reference.

    Attributes:
        model: Whose.
        since: When the watch began, seconds since 1970.
        reference: The pictures it is compared with; None where the model's card has none.
        windows: The last day, and the latest pictures; none without a reference.
    """

    model: ModelId
    since: float
    reference: Reference | None
    windows: tuple[WindowDrift, ...]


class Watch:
    """Counts the pictures that one model answers in this process. Safe to use from threads.

    Only computed answers count, and each picture once among the latest ones: a picture that
    is sent again and again says nothing new about the traffic, and would outweigh all others.

    Args:
        clock: Seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._traffic: _Traffic | None = None

    def serve(self, model: ModelId, reference: Reference | None) -> None:
        """Watch another model from now on, and forget the pictures of the one before.

        The same model with the same reference is watched on.

        Args:
            model: Answers of others are not counted.
            reference: As on its card.
        """
        with self._lock:
            before = self._traffic
            if before is None or (before.model, before.reference) != (model, reference):
                self._traffic = _Traffic(model, reference, self._clock())

    def computed(self, prediction: Prediction, signals: Mapping[str, float]) -> None:
        """Count an answer that was computed; see `whatsit.drift.signals.describe_signals`."""
        traffic = self._traffic
        if traffic is None or traffic.bins is None or traffic.model != prediction.model:
            return
        where = traffic.bins.sort(signals)
        with self._lock:
            traffic.add(prediction.image.sha256, where, signals, self._clock())

    def report(self, others: Iterable[str] = ()) -> WatchReport | None:
        """How far the pictures lie from the reference; None before there is a model.

        Args:
            others: The snapshots of other processes; those of another model are not counted.
        """
        traffic = self._traffic
        if traffic is None:
            return None
        since, windows = traffic.since, self._windows(traffic)
        for text in others:
            snapshot = json.loads(text)
            if snapshot["fingerprint"] != traffic.model.fingerprint:
                continue
            since = min(since, snapshot["since"])
            for name, counted in snapshot["windows"].items():
                other = WindowCounts(counted["pictures"], counted["since"], (*counted["counts"],))
                windows[name] = windows[name].joined(other)
        drifts = [
            measure_window(name, counted, traffic.bins)
            for name, counted in windows.items()
            if traffic.bins is not None
        ]
        return WatchReport(traffic.model, since, traffic.reference, tuple(drifts))

    def snapshot(self) -> str:
        """The counts, for the report of another process; empty if there is nothing to report."""
        traffic = self._traffic
        if traffic is None or traffic.bins is None:
            return ""
        windows = {name: asdict(counted) for name, counted in self._windows(traffic).items()}
        facts = {"fingerprint": traffic.model.fingerprint, "since": traffic.since}
        return json.dumps({**facts, "windows": windows})

    def totals(self) -> dict[str, SignalTotals]:
        """All pictures that the model was given in this process, by signal."""
        traffic = self._traffic
        if traffic is None or traffic.bins is None:
            return {}
        with self._lock:
            counts, sums = list(traffic.counts), dict(traffic.sums)
        return {
            name: SignalTotals(signal, own, sums[name])
            for name, signal, own in traffic.bins.split(counts)
        }

    def _windows(self, traffic: "_Traffic") -> dict[str, WindowCounts]:
        if traffic.bins is None:
            return {}
        with self._lock:
            return {
                DAY: traffic.hours.counts(self._clock()),
                LATEST: traffic.recent.counts(),
            }


class _Traffic:
    """One model, and the pictures that it was asked about."""

    def __init__(self, model: ModelId, reference: Reference | None, now: float) -> None:
        self.model = model
        self.reference = reference
        self.since = now
        self.bins = None if reference is None else Bins(reference)
        size = 0 if self.bins is None else self.bins.size
        self.recent = RecentPictures(size)
        self.hours = HourlyPictures(size)
        self.counts = [0] * size
        self.sums = dict.fromkeys(() if self.bins is None else self.bins.signals, 0.0)

    def add(
        self, sha256: str, where: tuple[int, ...], signals: Mapping[str, float], now: float
    ) -> None:
        if self.recent.holds(sha256):
            return
        self.recent.add(sha256, where, now)
        self.hours.add(where, now)
        for number in where:
            self.counts[number] += 1
        for name in self.sums:
            self.sums[name] += signals.get(name, 0.0)
