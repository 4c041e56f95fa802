"""The way of one picture: through the shared cache, the queue and the model, to all that wait."""

import hashlib
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from whatsit.cache.answers import AnswerCache
from whatsit.classifier import Computed, Stopwatch
from whatsit.images.preprocess import ImageHWC
from whatsit.picture import Picture
from whatsit.prediction import CacheMode, CacheOutcome, ImageFacts, Prediction
from whatsit.service.coalescing import Flight
from whatsit.service.leases import Leases
from whatsit.service.line_up import Serving
from whatsit.service.workers import Workers

_HandOver = Callable[[Callable[..., None]], object]
"""Calls the given function once, in another thread or at once; may refuse instead."""


@dataclass(frozen=True, slots=True)
class Found:
    """The result of a computation, for all callers that wait for it.

    Attributes:
        prediction: The answer to the picture.
        cache: Where it came from.
        timings_ms: Milliseconds by stage.
    """

    prediction: Prediction
    cache: CacheOutcome
    timings_ms: Mapping[str, float]


class Computation:
    """Finds or computes the answer to one picture, and lands its flight.

    The way leads over several threads, none of which waits for the next one. It is written as a
    generator: at each ``yield`` it pauses until the next thread continues
    it. So one ``with`` holds the model from the first step to the last, whatever happens:
    an answer, an error, a refusal, or a flight that is abandoned and whose place in the queue is
    dropped.

    Args:
        picture: The picture.
        mode: How to use the cache; ``bypass`` without one.
        serving: The model that answers.
        flight: The callers that wait for it.
        answers: The cache, if there is one.
        workers: Where it is computed.
        leases: Of this process.
        on_computed: Called with everything that the model was asked for.
    """

    def __init__(
        self,
        picture: Picture,
        mode: CacheMode,
        serving: Serving,
        flight: Flight[Found],
        *,
        answers: AnswerCache | None,
        workers: Workers,
        leases: Leases,
        on_computed: Callable[[Computed], None],
    ) -> None:
        self._picture = picture
        self._mode = mode
        self._serving = serving
        self._flight = flight
        self._answers = answers
        self._workers = workers
        self._leases = leases
        self._on_computed = on_computed
        self._stopwatch = Stopwatch()
        self._way = self._from_beginning_to_end()

    def start(self) -> None:
        """Begin; never waits and never fails. The caller holds the model meanwhile."""
        self._go_on()

    def _go_on(self, event: object = None) -> None:
        """Take the picture as far as this thread does, and hand it over to the next one."""
        del event
        with suppress(StopIteration):
            hand_over = next(self._way)
            try:
                hand_over(self._go_on)
            except Exception as error:  # noqa: BLE001 - raised again where it pauses
                self._way.throw(error)

    def _from_beginning_to_end(self) -> Generator[_HandOver, None, None]:
        try:
            with self._serving.hold():
                found = yield from self._find()
        except BaseException as error:  # noqa: BLE001 - raised again for all that wait
            # If the queue dropped it, this is GeneratorExit and no caller waits.
            self._flight.fail(error)
        else:
            self._flight.land(found)

    def _find(self) -> Generator[_HandOver, None, Found]:
        timings_ms = self._stopwatch.timings_ms
        if self._answers is not None and self._mode == "use":
            # Refused before the look-up: most pictures of a flood are new to the server, and
            # under that load looking it up would cost more than all the rest of refusing.
            self._workers.require_room()
            start = time.perf_counter()
            asked = self._answers.look_up_shared(self._serving.model, self._picture.sha256)
            yield asked.add_done_callback
            timings_ms["cache"] = (time.perf_counter() - start) * 1000
            known = asked.result()
            if known is not None:
                return Found(known, "hit", timings_ms)
        start = time.perf_counter()
        yield self._queue
        timings_ms["queue"] = (time.perf_counter() - start) * 1000
        prediction, outcome = self._compute()
        return Found(prediction, outcome, timings_ms)

    def _queue(self, go_on: Callable[[], None]) -> None:
        def end(queued: "Future[None]") -> None:
            if queued.cancelled():
                self._way.close()

        queued = self._workers.submit(go_on, lambda: self._flight.is_abandoned)
        queued.add_done_callback(end)

    def _compute(self) -> tuple[Prediction, CacheOutcome]:
        classifier, stopwatch = self._serving.classifier, self._stopwatch
        pixels, facts = classifier.prepare(self._picture, stopwatch=stopwatch)
        if self._answers is None or self._mode == "bypass":
            return self._predict(pixels, facts), "bypass"
        known: Prediction | None = None
        outcome: CacheOutcome = "miss"
        with stopwatch.measure("cache"):
            pixels_sha256 = hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()
            if self._mode == "use":
                known, outcome = self._leases.find(self._answers, classifier.model, pixels_sha256)
        if known is not None:
            prediction = replace(known, image=facts)
            self._answers.keep(prediction)
        else:
            with self._leases.measure():
                prediction = self._predict(pixels, facts)
            self._answers.keep(prediction, pixels_sha256)
        return prediction, outcome

    def _predict(self, pixels: ImageHWC, facts: ImageFacts) -> Prediction:
        computed = self._serving.classifier.compute(pixels, facts, stopwatch=self._stopwatch)
        self._on_computed(computed)
        return computed.prediction
