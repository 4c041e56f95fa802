"""The bins of a reference: which ones a picture belongs to."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence

from whatsit.drift.signals import SIGNALS
from whatsit.model_card import Reference, ReferenceSignal


class Bins:
    """The bins of all signals of a reference, numbered through.

    Args:
        reference: Whose. Signals that this version does not know are left out.

    Attributes:
        reference: As given.
        signals: Those that are counted, in the order of `SIGNALS`.
        size: How many bins there are.
    """

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self.signals: dict[str, ReferenceSignal] = {
            name: reference.signals[name] for name in SIGNALS if name in reference.signals
        }
        self._places: list[tuple[str, tuple[float, ...], int]] = []
        self.size = 0
        for name, signal in self.signals.items():
            self._places.append((name, signal.edges, self.size))
            self.size += len(signal.shares)

    def sort(self, signals: Mapping[str, float]) -> tuple[int, ...]:
        """The numbers of the bins that one picture belongs to; takes microseconds."""
        return tuple(
            start + bisect_left(edges, signals[name])
            for name, edges, start in self._places
            if name in signals
        )

    def split(
        self, counts: Sequence[int]
    ) -> Iterator[tuple[str, ReferenceSignal, tuple[int, ...]]]:
        """Counts of all bins, signal by signal: its name, its reference and its own counts."""
        for name, edges, start in self._places:
            yield name, self.signals[name], tuple(counts[start : start + len(edges) + 1])
