"""The one use case: image bytes -> answer, with cache, limits and measurements."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from whatsit.cache.base import CacheEntry
from whatsit.cache.key import build_cache_key
from whatsit.cache.tiers import TieredCache
from whatsit.classifier import Classifier, Stopwatch
from whatsit.errors import ImageTooLarge, InvalidParameter, WhatsitError
from whatsit.explain import HeatMap, explain, require_class_index
from whatsit.prediction import MAX_TOP_K, Prediction, ScoredLabel

CacheMode = Literal["use", "refresh", "bypass"]
CacheOutcome = Literal["hit", "miss", "coalesced", "bypass"]

DEFAULT_TOP_K = 5
_HASH_AT_ONCE_BYTES = 1_000_000
"""Hashing this much takes about half a millisecond: no longer than handing it to a thread."""


class ServiceEvents(Protocol):
    """Who wants to know what the service does; see `whatsit.telemetry`."""

    def answered(self, outcome: CacheOutcome, timings_ms: Mapping[str, float]) -> None:
        """A picture was answered; `timings_ms` has the stages that it took."""
        ...

    def refused(self, code: str) -> None:
        """A picture was not answered; `code` is that of the error."""
        ...


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, and how it came about.

    Attributes:
        prediction: What is said of the picture.
        top: As many of its best labels as were asked for.
        cache: Where the prediction came from.
        timings_ms: Milliseconds by stage; ``total`` is the whole time in the service.
    """

    prediction: Prediction
    top: tuple[ScoredLabel, ...]
    cache: CacheOutcome
    timings_ms: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Explanation:
    """A heat map, and how it came about.

    Attributes:
        heat_map: Which parts of the picture speak for the label.
        cache: Where it came from.
        timings_ms: Milliseconds by stage; ``total`` is the whole time in the service.
    """

    heat_map: HeatMap
    cache: CacheOutcome
    timings_ms: Mapping[str, float]


_Entry = TypeVar("_Entry", Prediction, HeatMap)


class Service:
    """Answers pictures from the cache where it can, from the classifier where it must.

    Safe to call from several threads. Closing it closes neither part; who opened them does.

    Args:
        classifier: Computes predictions.
        cache: Keeps them; None to compute every time.
        namespace: Prefix of the cache keys.
        events: Told about every answer and refusal.
    """

    def __init__(
        self,
        classifier: Classifier,
        cache: TieredCache | None,
        *,
        namespace: str = "whatsit",
        events: ServiceEvents | None = None,
    ) -> None:
        self.classifier = classifier
        self._cache = cache
        self._namespace = namespace
        self._events = events or _NobodyListens()

    def recall(
        self, image_bytes: bytes, *, top_k: int = DEFAULT_TOP_K, cache: CacheMode = "use"
    ) -> Reply | None:
        """The answer, if this process knows it already; None if that takes longer to find out.

        Never waits for a disk, a network or the model, so an event loop may call it.

        Raises:
            InvalidParameter: `top_k` lies outside its range.
        """
        _require_top_k(top_k)
        if self._cache is None or cache != "use" or len(image_bytes) > _HASH_AT_ONCE_BYTES:
            return None
        stopwatch = Stopwatch()
        with stopwatch.measure("total"):
            with stopwatch.measure("hash"):
                sha256 = hashlib.sha256(image_bytes).hexdigest()
            with stopwatch.measure("cache"):
                known = self._cache.get_fast(self._key(sha256))
        known = self._only_for(sha256, known, Prediction)
        if known is None:
            return None
        return self._reply(known, top_k, "hit", stopwatch)

    def classify(
        self, image_bytes: bytes, *, top_k: int = DEFAULT_TOP_K, cache: CacheMode = "use"
    ) -> Reply:
        """Say what a picture shows.

        Args:
            image_bytes: See `whatsit.images.decode_image`.
            top_k: How many labels to return, 1 to 20.
            cache: ``use`` it, ``refresh`` its entry with a newly computed one, or ``bypass`` it.

        Raises:
            InputError: The bytes are no picture that can be answered, or `top_k` is out of range.
            InferenceFailed: The engine failed.
        """
        stopwatch = Stopwatch()
        try:
            with stopwatch.measure("total"):
                _require_top_k(top_k)
                if len(image_bytes) > self.classifier.max_upload_bytes:
                    raise ImageTooLarge(self.classifier.max_upload_bytes)
                prediction, outcome = self._answer(image_bytes, cache, stopwatch)
        except WhatsitError as error:
            self._events.refused(error.code)
            raise
        return self._reply(prediction, top_k, outcome, stopwatch)

    def explain(
        self, image_bytes: bytes, *, label: str | int | None = None, cache: CacheMode = "use"
    ) -> Explanation:
        """Show which parts of a picture speak for a label.

        Args:
            image_bytes: See `whatsit.images.decode_image`.
            label: A label or a class index; None for the best label.
            cache: As for `classify`.

        Raises:
            InputError: The bytes are no picture that can be answered, or there is no such label.
            InferenceFailed: The engine failed.
        """
        stopwatch = Stopwatch()
        try:
            with stopwatch.measure("total"):
                class_index = require_class_index(self.classifier.labels, label)
                if len(image_bytes) > self.classifier.max_upload_bytes:
                    raise ImageTooLarge(self.classifier.max_upload_bytes)
                heat_map, outcome = self._explain(image_bytes, class_index, cache, stopwatch)
        except WhatsitError as error:
            self._events.refused(error.code)
            raise
        return Explanation(heat_map, outcome, stopwatch.timings_ms)

    def _explain(
        self, image_bytes: bytes, class_index: int | None, mode: CacheMode, stopwatch: Stopwatch
    ) -> tuple[HeatMap, CacheOutcome]:
        with stopwatch.measure("hash"):
            sha256 = hashlib.sha256(image_bytes).hexdigest()
        key = self._key(sha256, f"why:{'best' if class_index is None else class_index}")
        if self._cache is not None and mode == "use":
            with stopwatch.measure("cache"):
                known = self._only_for(sha256, self._cache.get(key), HeatMap)
            if known is not None and class_index in (None, known.index):
                return known, "hit"
        heat_map = explain(
            self.classifier, image_bytes, class_index, sha256=sha256, stopwatch=stopwatch
        )
        if self._cache is None or mode == "bypass":
            return heat_map, "bypass"
        with stopwatch.measure("cache"):
            self._cache.put(key, heat_map)
        return heat_map, "miss"

    def _answer(
        self, image_bytes: bytes, mode: CacheMode, stopwatch: Stopwatch
    ) -> tuple[Prediction, CacheOutcome]:
        with stopwatch.measure("hash"):
            sha256 = hashlib.sha256(image_bytes).hexdigest()
        if self._cache is None or mode == "bypass":
            return self._compute(image_bytes, sha256, stopwatch), "bypass"
        key = self._key(sha256)
        if mode == "use":
            with stopwatch.measure("cache"):
                known = self._only_for(sha256, self._cache.get(key), Prediction)
            if known is not None:
                return known, "hit"
        prediction = self._compute(image_bytes, sha256, stopwatch)
        with stopwatch.measure("cache"):
            self._cache.put(key, prediction)
        return prediction, "miss"

    def _compute(self, image_bytes: bytes, sha256: str, stopwatch: Stopwatch) -> Prediction:
        return self.classifier.classify(image_bytes, sha256=sha256, stopwatch=stopwatch)

    def _only_for(self, sha256: str, known: CacheEntry | None, kind: type[_Entry]) -> _Entry | None:
        # Whoever can write to a shared Redis could put one picture's entry under another's key.
        if not isinstance(known, kind):
            return None
        is_for = known.image.sha256 == sha256 and known.model == self.classifier.model
        return known if is_for else None

    def _key(self, sha256: str, asked: str = "") -> str:
        return build_cache_key(self._namespace, self.classifier.model.fingerprint, sha256, asked)

    def _reply(
        self, prediction: Prediction, top_k: int, outcome: CacheOutcome, stopwatch: Stopwatch
    ) -> Reply:
        self._events.answered(outcome, stopwatch.timings_ms)
        return Reply(prediction, prediction.top[:top_k], outcome, stopwatch.timings_ms)


class _NobodyListens:
    def answered(self, outcome: CacheOutcome, timings_ms: Mapping[str, float]) -> None:
        del outcome, timings_ms

    def refused(self, code: str) -> None:
        del code


def _require_top_k(top_k: int) -> None:
    if not 1 <= top_k <= MAX_TOP_K:
        raise InvalidParameter(f"top_k is {top_k}; it must lie between 1 and {MAX_TOP_K}.")
