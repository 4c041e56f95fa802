"""The models that answer: the live one, perhaps a canary, and the requests that use each."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Self

from whatsit.classifier import Classifier
from whatsit.clock import utc_now
from whatsit.labels.search import LabelSearch
from whatsit.prediction import ModelId

_REMEMBERED_MODELS = 3
"""Models that answered before, whose answers may still be on a visitor's screen."""


class Drained(Exception):
    """A retired model has no holder any more, so it may be closed and can't be held again."""


class Serving:
    """A classifier that answers, and how many requests still compute with it.

    Attributes:
        classifier: Computes predictions.
        model: Which model it is.
        label_search: Searches its labels.
        since: Since when this process has answered with it: RFC 3339, UTC.
    """

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier
        self.model = classifier.model
        self.label_search = LabelSearch(classifier.labels)
        self.since = utc_now()
        self._lock = threading.Lock()
        self._holders = 0
        self._is_retired = False
        self._drained = threading.Event()

    @contextmanager
    def hold(self) -> Iterator[Self]:
        """Keep it open until the block ends.

        Raises:
            Drained: It was retired, and its last holder has left.
        """
        with self._lock:
            if self._drained.is_set():
                raise Drained
            self._holders += 1
        try:
            yield self
        finally:
            with self._lock:
                self._holders -= 1
                self._note_if_drained()

    def retire(self) -> None:
        """Take no new requests; those that hold it continue."""
        with self._lock:
            self._is_retired = True
            self._note_if_drained()

    def drain(self, seconds: float) -> bool:
        """Wait until the last holder of a retired one has left; False if it takes longer."""
        return self._drained.wait(seconds)

    def _note_if_drained(self) -> None:
        if self._is_retired and self._holders == 0:
            self._drained.set()


@dataclass(frozen=True, slots=True)
class LineUp:
    """The models and their pictures. Replaced as a whole, so that a request sees one of them.

    Attributes:
        live: Answers all that the canary does not.
        canary: Answers a share of the pictures; None where no model is tried.
        canary_ratio: That share.
    """

    live: Serving
    canary: Serving | None = None
    canary_ratio: float = 0.0

    @property
    def servings(self) -> tuple[Serving, ...]:
        """All that answer, the live one first."""
        return (self.live,) if self.canary is None else (self.live, self.canary)

    def choose(self, sha256: str) -> Serving:
        """The model for the picture with this hex digest: always the same one."""
        if self.canary is None:
            return self.live
        # The digest's first 32 bits are as good as random.
        is_canarys = int(sha256[:8], 16) < self.canary_ratio * 2**32
        return self.canary if is_canarys else self.live


class Roster:
    """The line-up now, and the models that answered before it. Safe to call from several threads.

    Args:
        line_up: The models that answer at first.

    Attributes:
        line_up: The models that answer now.
    """

    def __init__(self, line_up: LineUp) -> None:
        self.line_up = line_up
        self._past: tuple[ModelId, ...] = ()

    def switch(self, line_up: LineUp) -> tuple[Serving, ...]:
        """Let others answer from now on; requests that hold an earlier one continue.

        Returns:
            Those that no longer answer, retired.
        """
        before, self.line_up = self.line_up, line_up
        gone = tuple(each for each in before.servings if each not in line_up.servings)
        self._past = (*(each.model for each in gone), *self._past)[:_REMEMBERED_MODELS]
        for each in gone:
            each.retire()
        return gone

    @contextmanager
    def hold(self, sha256: str | None = None) -> Iterator[Serving]:
        """The model that answers, kept open until the block ends.

        Args:
            sha256: Hex digest of the picture; None for the live model, whatever the picture.

        Raises:
            Drained: A line-up holds a model that was retired before.
        """
        with ExitStack() as stack:
            yield self._hold(stack, sha256)

    def models(self, sha256: str) -> tuple[ModelId, ...]:
        """Every model that may have answered a picture: the one that does, others, earlier ones."""
        line_up = self.line_up
        now = (line_up.choose(sha256), *line_up.servings)
        return tuple(dict.fromkeys((*(each.model for each in now), *self._past)))

    def _hold(self, stack: ExitStack, sha256: str | None) -> Serving:
        while True:
            line_up = self.line_up
            serving = line_up.live if sha256 is None else line_up.choose(sha256)
            try:
                return stack.enter_context(serving.hold())
            except Drained:
                # It was replaced and closed at this very moment; its successor is ready.
                if line_up is self.line_up:
                    raise
