"""The one use case: picture -> answer, with cache, limits and measurements."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from whatsit.cache.answers import AnswerCache
from whatsit.cache.tiers import TieredCache
from whatsit.classifier import Classifier, Computed, Stopwatch
from whatsit.errors import ImageTooLarge, InvalidParameter
from whatsit.explain import explain, require_class_index
from whatsit.picture import Picture
from whatsit.prediction import MAX_TOP_K, CacheMode, CacheOutcome, HeatMap, Prediction, Reply
from whatsit.service.coalescing import Coalescer, Flight
from whatsit.service.computation import Computation, Found
from whatsit.service.leases import Leases
from whatsit.service.line_up import LineUp, Roster, Serving
from whatsit.service.workers import Workers

DEFAULT_TOP_K = 5


class ServiceEvents(Protocol):
    """A listener for the work of the service; see `whatsit.telemetry.metrics`."""

    def answered(
        self, prediction: Prediction, outcome: CacheOutcome, timings_ms: Mapping[str, float]
    ) -> None:
        """A picture was answered; `timings_ms` has the stages that it took."""
        ...

    def computed(self, computed: Computed) -> None:
        """The model was asked."""
        ...


@dataclass(frozen=True, slots=True)
class Explanation:
    """A heat map, and how it came about.

    Attributes:
        heat_map: The parts of the picture that support the label.
        cache: Where it came from.
        timings_ms: Milliseconds by stage; ``total`` is the whole time in the service.
    """

    heat_map: HeatMap
    cache: CacheOutcome
    timings_ms: Mapping[str, float]


class Pending:
    """A picture that is being answered. Ask for its reply, or abandon it."""

    def __init__(self, flight: Flight[Found], shape: Callable[[Found], Reply]) -> None:
        self._flight = flight
        self._shape = shape

    @property
    def future(self) -> "Future[Found]":
        """Done as soon as `reply` no longer waits. Others may wait for it too: never cancel it."""
        return self._flight.future

    def reply(self) -> Reply:
        """Wait for the answer.

        Raises:
            InputError: The picture can't be answered.
            Overloaded: Too many pictures wait already.
            InferenceFailed: The engine failed.
        """
        return self._shape(self._flight.future.result())

    def abandon(self) -> None:
        """Give the place in the queue back, unless others wait for the same picture."""
        self._flight.abandon()


class Service:
    """Answers pictures from the cache where it can, from a classifier where it must.

    Safe to call from several threads. Closing it does not close its parts.

    Which classifiers answer can be changed while it runs (`switch`). One request is answered by
    one of them from beginning to end: each key of the cache and each flight names its model.

    Args:
        classifier: Computes predictions, until others do.
        cache: Keeps them; None to compute every time.
        workers: Where predictions are computed.
        namespace: Prefix of the cache keys.
        events: Notified of every answer.
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
        self._roster = Roster(LineUp(Serving(classifier)))
        self._answers = None if cache is None else AnswerCache(cache, namespace)
        self._events = events or _NoEvents()
        self._coalescer: Coalescer[Found] = Coalescer()
        self._leases = Leases()

    @property
    def line_up(self) -> LineUp:
        """The models that answer now."""
        return self._roster.line_up

    @property
    def classifier(self) -> Classifier:
        """That of the live model, to look at its facts.

        It may be closed as soon as another one is live; `hold_live` keeps it open.
        """
        return self._roster.line_up.live.classifier

    def switch(self, line_up: LineUp) -> tuple[Serving, ...]:
        """Let others answer from the next request on; requests under way keep their model.

        Returns:
            Those that no longer answer, retired. Close their classifiers once they are drained.
        """
        return self._roster.switch(line_up)

    def hold_live(self) -> AbstractContextManager[Serving]:
        """The live model, kept open until the block ends, for several pictures of one request."""
        return self._roster.hold()

    def recall(
        self,
        picture: Picture,
        *,
        top_k: int = DEFAULT_TOP_K,
        cache: CacheMode = "use",
        serving: Serving | None = None,
    ) -> Reply | None:
        """The answer, if this process knows it already; None if that takes longer to find out.

        Never waits for a disk, a network or the model, so an event loop may call it.

        Args:
            picture: In a format that `whatsit.images.decode.decode_image` reads.
            top_k: How many labels to return, 1 to 20.
            cache: As for `classify`.
            serving: The model to use, if the caller holds one; chosen by the picture otherwise.

        Raises:
            InvalidParameter: `top_k` lies outside its range.
        """
        require_top_k(top_k)
        if self._answers is None or cache != "use":
            return None
        start = time.perf_counter()
        model = (serving or self._roster.line_up.choose(picture.sha256)).model
        known = self._answers.recall(model, picture.sha256)
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
            any_model: True to accept an answer of a model that no longer answers this picture,
                where the present one has not been asked.

        Returns:
            None where no answer is kept, or the cache is off or can't be asked.

        Raises:
            InvalidParameter: `top_k` lies outside its range.
        """
        require_top_k(top_k)
        if self._answers is None:
            return None
        models = self._roster.models(sha256)
        stopwatch = Stopwatch()
        with stopwatch.measure("total"), stopwatch.measure("cache"):
            looked_up = (
                self._answers.look_up(model, sha256)
                for model in (models if any_model else models[:1])
            )
            known = next(filter(None, looked_up), None)
        if known is None:
            return None
        return Reply(known, known.top[:top_k], "hit", stopwatch.timings_ms)

    def classify(
        self, picture: Picture, *, top_k: int = DEFAULT_TOP_K, cache: CacheMode = "use"
    ) -> Reply:
        """Say what a picture shows.

        Args:
            picture: In a format that `whatsit.images.decode.decode_image` reads.
            top_k: How many labels to return, 1 to 20.
            cache: ``use`` it, ``refresh`` its entry with a newly computed one, or ``bypass`` it.

        Raises:
            InputError: The picture can't be answered, or `top_k` is out of range.
            Overloaded: Too many pictures wait already.
            InferenceFailed: The engine failed.
        """
        known = self.recall(picture, top_k=top_k, cache=cache)
        return known or self.submit(picture, top_k=top_k, cache=cache).reply()

    def submit(
        self,
        picture: Picture,
        *,
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
        if len(picture.image_bytes) > self.max_upload_bytes:
            raise ImageTooLarge(self.max_upload_bytes)
        start = time.perf_counter()
        mode: CacheMode = "bypass" if self._answers is None else cache
        with self._hold(picture, serving) as held:
            if mode == "use":
                flight, leads = self._coalescer.board((held.model, picture.sha256))
            else:
                flight, leads = Flight[Found](), True
            if leads:
                # Holds the model itself, for as long as it takes.
                Computation(
                    picture,
                    mode,
                    held,
                    flight,
                    answers=self._answers,
                    workers=self.workers,
                    leases=self._leases,
                    on_computed=self._events.computed,
                ).start()

        def shape(found: Found) -> Reply:
            total = {"total": (time.perf_counter() - start) * 1000}
            if leads:
                timings_ms = {**found.timings_ms, **total}
                return self._reply(found.prediction, top_k, found.cache, timings_ms)
            outcome: CacheOutcome = "hit" if found.cache == "hit" else "coalesced"
            return self._reply(found.prediction, top_k, outcome, total)

        return Pending(flight, shape)

    def explain(
        self, picture: Picture, *, label: str | int | None = None, cache: CacheMode = "use"
    ) -> Explanation:
        """Show which parts of a picture support a label. Runs in the caller's thread.

        Args:
            picture: In a format that `whatsit.images.decode.decode_image` reads.
            label: A label or a class index; None for the best label.
            cache: As for `classify`.

        Raises:
            InputError: The picture can't be answered, or the label does not exist.
            InferenceFailed: The engine failed.
        """
        stopwatch = Stopwatch()
        with stopwatch.measure("total"):
            if len(picture.image_bytes) > self.max_upload_bytes:
                raise ImageTooLarge(self.max_upload_bytes)
            with self._hold(picture) as held:
                heat_map, outcome = self._explain(held.classifier, picture, label, cache, stopwatch)
        return Explanation(heat_map, outcome, stopwatch.timings_ms)

    def _hold(
        self, picture: Picture, serving: Serving | None = None
    ) -> AbstractContextManager[Serving]:
        return self._roster.hold(picture.sha256) if serving is None else serving.hold()

    def _explain(
        self,
        classifier: Classifier,
        picture: Picture,
        label: str | int | None,
        cache: CacheMode,
        stopwatch: Stopwatch,
    ) -> tuple[HeatMap, CacheOutcome]:
        class_index = require_class_index(classifier.labels, label)
        if self._answers is not None and cache == "use":
            with stopwatch.measure("cache"):
                known = self._answers.look_up_heat_map(
                    classifier.model, picture.sha256, class_index
                )
            if known is not None:
                return known, "hit"
        heat_map = explain(classifier, picture, class_index, stopwatch=stopwatch)
        if self._answers is None or cache == "bypass":
            return heat_map, "bypass"
        with stopwatch.measure("cache"):
            self._answers.keep_heat_map(heat_map, class_index)
        return heat_map, "miss"

    def _reply(
        self,
        prediction: Prediction,
        top_k: int,
        outcome: CacheOutcome,
        timings_ms: Mapping[str, float],
    ) -> Reply:
        self._events.answered(prediction, outcome, timings_ms)
        return Reply(prediction, prediction.top[:top_k], outcome, timings_ms)


class _NoEvents:
    def answered(
        self, prediction: Prediction, outcome: CacheOutcome, timings_ms: Mapping[str, float]
    ) -> None:
        del prediction, outcome, timings_ms

    def computed(self, computed: Computed) -> None:
        del computed


def require_top_k(top_k: int) -> None:
    """Refuse a number of labels that no answer has.

    Raises:
        InvalidParameter: `top_k` does not lie between 1 and 20.
    """
    if not 1 <= top_k <= MAX_TOP_K:
        raise InvalidParameter(f"top_k is {top_k}; it must lie between 1 and {MAX_TOP_K}.")
