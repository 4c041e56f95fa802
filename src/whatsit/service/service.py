"""The one use case: image bytes -> answer, with cache, limits and measurements."""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, TypeVar

import numpy as np

from whatsit.cache.base import CacheEntry
from whatsit.cache.key import build_cache_key
from whatsit.cache.tiers import TieredCache
from whatsit.classifier import Classifier, Stopwatch
from whatsit.errors import ImageTooLarge, InvalidParameter
from whatsit.explain import explain, require_class_index
from whatsit.images.preprocess import ImageHWC
from whatsit.prediction import (
    MAX_TOP_K,
    CacheMode,
    CacheOutcome,
    HeatMap,
    ImageFacts,
    ModelId,
    Prediction,
    Reply,
)
from whatsit.service.coalescing import Coalescer, Flight
from whatsit.service.line_up import LineUp, Serving
from whatsit.service.workers import Workers

DEFAULT_TOP_K = 5
_HASH_AT_ONCE_BYTES = 1_000_000
"""Hashing this much takes about half a millisecond: no longer than handing it to a thread."""

_FIRST_GUESS_SECONDS = 0.1
"""How long computing takes, until it has been measured."""
_MEMORY_RATIO = 0.9
_LEASE_RATIO = 4
"""A lease outlives the computing it stands for by far; it only ends early if that died."""
_LOOK_AGAIN_SECONDS = 0.002
_REMEMBERED_MODELS = 3
"""Models that answered before, whose answers somebody may still be looking at."""


class ServiceEvents(Protocol):
    """Who wants to know what the service does; see `whatsit.telemetry.metrics`."""

    def answered(
        self, prediction: Prediction, outcome: CacheOutcome, timings_ms: Mapping[str, float]
    ) -> None:
        """A picture was answered; `timings_ms` has the stages that it took."""
        ...

    def computed(self, prediction: Prediction, signals: Mapping[str, float]) -> None:
        """The model was asked; `signals` are those of `whatsit.drift.signals.describe_signals`."""
        ...


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


@dataclass(frozen=True, slots=True)
class _Found:
    """What one flight brought, for everybody who waited for it."""

    prediction: Prediction
    cache: CacheOutcome
    timings_ms: Mapping[str, float]


_Entry = TypeVar("_Entry", Prediction, HeatMap)


class Pending:
    """A picture that is being answered. Ask for its reply, or leave."""

    def __init__(self, flight: Flight[_Found], shape: Callable[[_Found], Reply]) -> None:
        self._flight = flight
        self._shape = shape

    @property
    def future(self) -> "Future[_Found]":
        """Done as soon as `reply` no longer waits. Others may wait for it too: never cancel it."""
        return self._flight.future

    def reply(self) -> Reply:
        """Wait for the answer.

        Raises:
            InputError: The bytes are no picture that can be answered.
            Overloaded: Too many pictures wait already.
            InferenceFailed: The engine failed.
        """
        return self._shape(self._flight.future.result())

    def leave(self) -> None:
        """Give the place in the queue back, unless somebody else waits for the same picture."""
        self._flight.leave()


class Service:
    """Answers pictures from the cache where it can, from a classifier where it must.

    Safe to call from several threads. Closing it closes no part; who opened them does.

    Which classifiers answer can be changed while it runs (`switch`). One request is answered by
    one of them from beginning to end: each key of the cache and each flight names its model.

    Args:
        classifier: Computes predictions, until others do.
        cache: Keeps them; None to compute every time.
        workers: Where predictions are computed.
        namespace: Prefix of the cache keys.
        events: Told about every answer.
    """

    def __init__(
        self,
        classifier: Classifier,
        cache: TieredCache | None,
        *,
        workers: Workers,
        namespace: str = "whatsit",
        events: ServiceEvents | None = None,
    ) -> None:
        self.max_upload_bytes = classifier.max_upload_bytes
        self.max_pixels = classifier.max_pixels
        self.workers = workers
        self._line_up = LineUp(Serving(classifier))
        self._past: tuple[ModelId, ...] = ()
        self._cache = cache
        self._namespace = namespace
        self._events = events or _NobodyListens()
        self._coalescer: Coalescer[_Found] = Coalescer()
        self._computing_seconds = _FIRST_GUESS_SECONDS

    @property
    def line_up(self) -> LineUp:
        """Who answers now."""
        return self._line_up

    @property
    def classifier(self) -> Classifier:
        """That of the live model, to look at its facts.

        It may be closed as soon as another one is live; `hold_live` keeps it open.
        """
        return self._line_up.live.classifier

    def switch(self, line_up: LineUp) -> tuple[Serving, ...]:
        """Let others answer from the next request on; what has begun goes on as it began.

        Returns:
            Those that no longer answer, retired. Close their classifiers once they are drained.
        """
        before, self._line_up = self._line_up, line_up
        gone = tuple(each for each in before.servings if each not in line_up.servings)
        self._past = (*(each.model for each in gone), *self._past)[:_REMEMBERED_MODELS]
        for each in gone:
            each.retire()
        return gone

    @contextmanager
    def hold_live(self) -> Iterator[Serving]:
        """The live model, kept open until the block ends, for several pictures of one request."""
        while not (serving := self._line_up.live).hold():
            pass  # it was replaced and closed in this very moment
        try:
            yield serving
        finally:
            serving.let_go()

    def recall(
        self,
        image_bytes: bytes,
        *,
        sha256: str | None = None,
        top_k: int = DEFAULT_TOP_K,
        cache: CacheMode = "use",
        serving: Serving | None = None,
    ) -> Reply | None:
        """The answer, if this process knows it already; None if that takes longer to find out.

        Never waits for a disk, a network or the model, so an event loop may call it.

        Args:
            image_bytes: See `whatsit.images.decode.decode_image`.
            sha256: Their hex digest where the caller has it already.
            top_k: How many labels to return, 1 to 20.
            cache: As for `classify`.
            serving: Who answers, if the caller holds one; chosen by the picture otherwise.

        Raises:
            InvalidParameter: `top_k` lies outside its range.
        """
        require_top_k(top_k)
        if self._cache is None or cache != "use":
            return None
        if sha256 is None and len(image_bytes) > _HASH_AT_ONCE_BYTES:
            return None
        start = time.perf_counter()
        sha256 = sha256 or hashlib.sha256(image_bytes).hexdigest()
        model = (serving or self._line_up.choose(sha256)).model
        entry = self._cache.get_fast(self._key(model, sha256))
        known = _only_for(model, sha256, entry, Prediction)
        if known is None:
            return None
        elapsed_ms = (time.perf_counter() - start) * 1000
        return self._reply(known, top_k, "hit", {"cache": elapsed_ms, "total": elapsed_ms})

    def find(
        self, sha256: str, *, top_k: int = DEFAULT_TOP_K, any_model: bool = False
    ) -> Reply | None:
        """The answer to a picture that is still kept, by the picture's digest alone.

        Asks Redis, so it may wait as long as the time-out of that; never computes, and does not
        count as an answer to a picture.

        Args:
            sha256: Hex digest of the image bytes, in small letters.
            top_k: How many labels to return, 1 to 20.
            any_model: Whether an answer of a model that no longer answers this picture will do,
                where the one that does has not been asked.

        Returns:
            None where no answer is kept, or the cache is off or can't be asked.

        Raises:
            InvalidParameter: `top_k` lies outside its range.
        """
        require_top_k(top_k)
        if self._cache is None:
            return None
        stopwatch = Stopwatch()
        line_up = self._line_up
        models = [line_up.choose(sha256).model]
        if any_model:
            models += [*(each.model for each in line_up.servings), *self._past]
        known = None
        with stopwatch.measure("total"), stopwatch.measure("cache"):
            for model in dict.fromkeys(models):
                entry = self._cache.get(self._key(model, sha256))
                known = _only_for(model, sha256, entry, Prediction)
                if known is not None:
                    break
        if known is None:
            return None
        return Reply(known, known.top[:top_k], "hit", stopwatch.timings_ms)

    def classify(
        self, image_bytes: bytes, *, top_k: int = DEFAULT_TOP_K, cache: CacheMode = "use"
    ) -> Reply:
        """Say what a picture shows.

        Args:
            image_bytes: See `whatsit.images.decode.decode_image`.
            top_k: How many labels to return, 1 to 20.
            cache: ``use`` it, ``refresh`` its entry with a newly computed one, or ``bypass`` it.

        Raises:
            InputError: The bytes are no picture that can be answered, or `top_k` is out of range.
            Overloaded: Too many pictures wait already.
            InferenceFailed: The engine failed.
        """
        known = self.recall(image_bytes, top_k=top_k, cache=cache)
        return known or self.submit(image_bytes, top_k=top_k, cache=cache).reply()

    def submit(
        self,
        image_bytes: bytes,
        *,
        sha256: str | None = None,
        top_k: int = DEFAULT_TOP_K,
        cache: CacheMode = "use",
        serving: Serving | None = None,
    ) -> Pending:
        """Begin to answer a picture, without waiting for anything.

        Pictures that are the same to the byte and asked for at the same time are computed once.
        Arguments and errors are those of `recall` and `classify`; all but that of a bad argument
        come with the reply.

        Raises:
            InvalidParameter: `top_k` lies outside its range.
            ImageTooLarge: There are more bytes than the limit.
        """
        require_top_k(top_k)
        if len(image_bytes) > self.max_upload_bytes:
            raise ImageTooLarge(self.max_upload_bytes)
        start = time.perf_counter()
        stopwatch = Stopwatch()
        if sha256 is None:
            with stopwatch.measure("hash"):
                sha256 = hashlib.sha256(image_bytes).hexdigest()
        mode = cache if self._cache is not None else "bypass"
        work = _Work(image_bytes, sha256, mode, stopwatch, self._hold(sha256, serving))
        if work.mode == "use":
            model = work.serving.model
            # Copies of a model have one fingerprint, but an answer tells the name as well.
            flight, leads = self._coalescer.board(f"{model.name}:{self._key(model, sha256)}")
        else:
            flight, leads = Flight(lambda ended: None), True
        if leads:
            self._launch(flight, work)
        else:
            work.serving.let_go()

        def shape(found: _Found) -> Reply:
            total = {"total": (time.perf_counter() - start) * 1000}
            if leads:
                timings_ms = {**found.timings_ms, **total}
                return self._reply(found.prediction, top_k, found.cache, timings_ms)
            outcome: CacheOutcome = "hit" if found.cache == "hit" else "coalesced"
            return self._reply(found.prediction, top_k, outcome, total)

        return Pending(flight, shape)

    def explain(
        self, image_bytes: bytes, *, label: str | int | None = None, cache: CacheMode = "use"
    ) -> Explanation:
        """Show which parts of a picture speak for a label. Runs where it is called.

        Args:
            image_bytes: See `whatsit.images.decode.decode_image`.
            label: A label or a class index; None for the best label.
            cache: As for `classify`.

        Raises:
            InputError: The bytes are no picture that can be answered, or there is no such label.
            InferenceFailed: The engine failed.
        """
        stopwatch = Stopwatch()
        with stopwatch.measure("total"):
            if len(image_bytes) > self.max_upload_bytes:
                raise ImageTooLarge(self.max_upload_bytes)
            with stopwatch.measure("hash"):
                sha256 = hashlib.sha256(image_bytes).hexdigest()
            work = _Work(image_bytes, sha256, cache, stopwatch, self._hold(sha256))
            try:
                heat_map, outcome = self._explain(work, label)
            finally:
                work.serving.let_go()
        return Explanation(heat_map, outcome, stopwatch.timings_ms)

    def _hold(self, sha256: str, serving: Serving | None = None) -> Serving:
        """Who answers the picture, kept open until it is let go."""
        while not (held := serving or self._line_up.choose(sha256)).hold():
            pass  # it was replaced and closed in this very moment
        return held

    def _launch(self, flight: Flight[_Found], work: "_Work") -> None:
        """Look the picture up where others may have left it; compute it if they have not.

        Lets go of what the work holds, when nobody needs it any more.
        """
        if work.mode != "use" or self._cache is None:
            self._queue(flight, work)
            return
        asked = time.perf_counter()

        def go_on(looked_up: "Future[CacheEntry | None]") -> None:
            work.stopwatch.timings_ms["cache"] = (time.perf_counter() - asked) * 1000
            try:
                known = _only_for(work.serving.model, work.sha256, looked_up.result(), Prediction)
            except Exception as error:  # noqa: BLE001 - raised again for whoever waits
                work.serving.let_go()
                flight.fail(error)
                return
            if known is not None:
                work.serving.let_go()
                flight.land(_Found(known, "hit", work.stopwatch.timings_ms))
            else:
                self._queue(flight, work)

        try:
            # Refused before it is looked up: most of what floods a server is new to it, and
            # under that load looking it up would cost more than all the rest of refusing.
            self.workers.require_room()
            looking = self._cache.get_shared(self._key(work.serving.model, work.sha256))
        except Exception as error:  # noqa: BLE001 - raised again for whoever waits
            work.serving.let_go()
            flight.fail(error)
        else:
            looking.add_done_callback(go_on)

    def _queue(self, flight: Flight[_Found], work: "_Work") -> None:
        if flight.is_abandoned:
            work.serving.let_go()
            return
        work.queued = time.perf_counter()
        try:
            queued = self.workers.submit(partial(self._work_off, flight, work))
        except Exception as error:  # noqa: BLE001 - raised again for whoever waits
            work.serving.let_go()
            flight.fail(error)
        else:
            # Called when it was called off, too.
            queued.add_done_callback(lambda ended: work.serving.let_go())
            flight.has_work(queued)

    def _work_off(self, flight: Flight[_Found], work: "_Work") -> None:
        work.stopwatch.timings_ms["queue"] = (time.perf_counter() - work.queued) * 1000
        try:
            prediction, outcome = self._compute(work)
        except BaseException as error:  # noqa: BLE001 - raised again for whoever waits
            flight.fail(error)
        else:
            flight.land(_Found(prediction, outcome, work.stopwatch.timings_ms))

    def _compute(self, work: "_Work") -> tuple[Prediction, CacheOutcome]:
        classifier = work.serving.classifier
        pixels, facts = classifier.prepare(
            work.image_bytes, sha256=work.sha256, stopwatch=work.stopwatch
        )
        if self._cache is None or work.mode == "bypass":
            return self._predict(pixels, facts, work), "bypass"
        outcome: CacheOutcome = "miss"
        with work.stopwatch.measure("cache"):
            pixels_key = self._key(classifier.model, _digest_of(pixels), "pixels")
            found = None
            if work.mode == "use":
                found, outcome = self._find_by_pixels(pixels_key, classifier.model)
        if found is None:
            start = time.perf_counter()
            prediction = self._predict(pixels, facts, work)
            elapsed = time.perf_counter() - start
            fading = _MEMORY_RATIO * self._computing_seconds + (1 - _MEMORY_RATIO) * elapsed
            self._computing_seconds = max(elapsed, fading)
            self._cache.put(pixels_key, prediction)
        else:
            prediction = replace(found, image=facts)
        self._cache.put(self._key(classifier.model, work.sha256), prediction)
        return prediction, outcome

    def _predict(self, pixels: ImageHWC, facts: ImageFacts, work: "_Work") -> Prediction:
        signals: dict[str, float] = {}
        prediction = work.serving.classifier.predict(
            pixels, facts, stopwatch=work.stopwatch, signals=signals
        )
        self._events.computed(prediction, signals)
        return prediction

    def _find_by_pixels(self, key: str, model: ModelId) -> tuple[Prediction | None, CacheOutcome]:
        """What another file with the same pixels was answered, or is being answered just now.

        Waits for another process no longer than computing has taken lately.
        """
        assert self._cache is not None
        patience = self._computing_seconds
        deadline = None
        while True:
            known, leads = self._cache.claim(key, patience * _LEASE_RATIO)
            if isinstance(known, Prediction) and known.model == model:
                return known, "hit" if deadline is None else "coalesced"
            now = time.monotonic()
            deadline = deadline or now + patience
            if leads or known is not None or now >= deadline:
                return None, "miss"
            time.sleep(_LOOK_AGAIN_SECONDS)

    def _explain(self, work: "_Work", label: str | int | None) -> tuple[HeatMap, CacheOutcome]:
        classifier, sha256, stopwatch = work.serving.classifier, work.sha256, work.stopwatch
        class_index = require_class_index(classifier.labels, label)
        asked = f"why:{'best' if class_index is None else class_index}"
        key = self._key(classifier.model, sha256, asked)
        if self._cache is not None and work.mode == "use":
            with stopwatch.measure("cache"):
                known = _only_for(classifier.model, sha256, self._cache.get(key), HeatMap)
            if known is not None and class_index in (None, known.index):
                return known, "hit"
        heat_map = explain(
            classifier, work.image_bytes, class_index, sha256=sha256, stopwatch=stopwatch
        )
        if self._cache is None or work.mode == "bypass":
            return heat_map, "bypass"
        with stopwatch.measure("cache"):
            self._cache.put(key, heat_map)
        return heat_map, "miss"

    def _key(self, model: ModelId, sha256: str, asked: str = "") -> str:
        return build_cache_key(self._namespace, model.fingerprint, sha256, asked)

    def _reply(
        self,
        prediction: Prediction,
        top_k: int,
        outcome: CacheOutcome,
        timings_ms: Mapping[str, float],
    ) -> Reply:
        self._events.answered(prediction, outcome, timings_ms)
        return Reply(prediction, prediction.top[:top_k], outcome, timings_ms)


@dataclass(slots=True)
class _Work:
    """A picture on its way through the service, and the time it took so far."""

    image_bytes: bytes
    sha256: str
    mode: CacheMode
    stopwatch: Stopwatch
    serving: Serving
    queued: float = 0.0


class _NobodyListens:
    def answered(
        self, prediction: Prediction, outcome: CacheOutcome, timings_ms: Mapping[str, float]
    ) -> None:
        del prediction, outcome, timings_ms

    def computed(self, prediction: Prediction, signals: Mapping[str, float]) -> None:
        del prediction, signals


def _only_for(
    model: ModelId, sha256: str, known: CacheEntry | None, kind: type[_Entry]
) -> _Entry | None:
    # Whoever can write to a shared Redis could put one picture's entry under another's key.
    if not isinstance(known, kind):
        return None
    return known if known.image.sha256 == sha256 and known.model == model else None


def require_top_k(top_k: int) -> None:
    """Refuse a number of labels that no answer has.

    Raises:
        InvalidParameter: `top_k` does not lie between 1 and 20.
    """
    if not 1 <= top_k <= MAX_TOP_K:
        raise InvalidParameter(f"top_k is {top_k}; it must lie between 1 and {MAX_TOP_K}.")


def _digest_of(pixels: ImageHWC) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()
