"""Which models answer: the live one, perhaps a canary beside it, and who still works with each."""

import threading
from dataclasses import dataclass

from whatsit.classifier import Classifier
from whatsit.clock import utc_now
from whatsit.labels.search import LabelSearch


class Serving:
    """A classifier that answers, and how many requests still compute with it.

    Attributes:
        classifier: Computes predictions.
        model: Which model it is.
        label_search: Finds its labels.
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

    def hold(self) -> bool:
        """Keep it open until `let_go`; False if it has no holder any more and may be closed."""
        with self._lock:
            if self._drained.is_set():
                return False
            self._holders += 1
            return True

    def let_go(self) -> None:
        """Give back what `hold` gave."""
        with self._lock:
            self._holders -= 1
            self._tell_if_drained()

    def retire(self) -> None:
        """Take no new requests; those that hold it go on."""
        with self._lock:
            self._is_retired = True
            self._tell_if_drained()

    def drain(self, seconds: float) -> bool:
        """Wait until the last holder of a retired one has let go; False if it takes longer."""
        return self._drained.wait(seconds)

    def _tell_if_drained(self) -> None:
        if self._is_retired and self._holders == 0:
            self._drained.set()


@dataclass(frozen=True, slots=True)
class LineUp:
    """Who answers which picture. Replaced as a whole, so that a request sees one of them.

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
        """Who answers the picture with this hex digest: always the same one."""
        if self.canary is None:
            return self.live
        # The digest's first 32 bits are as good as drawn by lot.
        is_canarys = int(sha256[:8], 16) < self.canary_ratio * 2**32
        return self.canary if is_canarys else self.live
