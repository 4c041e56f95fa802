"""Lets a running service follow the live model, without a request that fails or waits."""

import logging
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Literal, Protocol

from whatsit.classifier import Classifier
from whatsit.data import example_pictures
from whatsit.errors import WhatsitError
from whatsit.models.folder import ModelFolder
from whatsit.models.live import Canary, LiveAlias, LiveState, describe_fallback
from whatsit.models.store import ModelStore
from whatsit.service.line_up import LineUp, Serving
from whatsit.service.service import Service
from whatsit.service.workers import give_way

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.25
"""Looking is one call to the system, which takes microseconds."""
_DRAIN_SECONDS = 60.0
"""Far more than the slowest request takes; a model that is still in use then is closed later."""

SwapOutcome = Literal["switched", "failed"]


class SwapEvents(Protocol):
    """A listener for changes of the models that answer; see `whatsit.telemetry.metrics`."""

    def serving(self, line_up: LineUp) -> None:
        """These answer now."""
        ...

    def swapped(self, outcome: SwapOutcome) -> None:
        """The live model has changed, and the service followed or could not."""
        ...


class Follower:
    """Watches the live model from its own thread and makes a service answer with it.

    A new model is opened, verified and tried on a picture beside the old one, and answers from
    one request to the next. The old one is closed when its last request is done. A model that
    can't be opened or fails its trial replaces nothing. At most two models are open at a time.

    Args:
        alias: Names the live model.
        store: Where the models are.
        service: The service that follows.
        open_classifier: Opens a verified model folder.
        events: Notified of every change.
        look_seconds: How often to look.
        drain_seconds: How long to wait for the last request of a model before looking again.
    """

    def __init__(
        self,
        alias: LiveAlias,
        store: ModelStore,
        service: Service,
        open_classifier: Callable[[ModelFolder], Classifier],
        events: SwapEvents,
        *,
        look_seconds: float = _LOOK_SECONDS,
        drain_seconds: float = _DRAIN_SECONDS,
    ) -> None:
        self._alias = alias
        self._store = store
        self._service = service
        self._open_classifier = open_classifier
        self._events = events
        self._look_seconds = look_seconds
        self._drain_seconds = drain_seconds
        self._note: str | None = None
        self._leaving: list[Serving] = []
        # Its `put` may be called from a signal's handler at any moment; an Event's `set` may not.
        self._asked: queue.SimpleQueue[Literal["look", "stop"]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="whatsit-follower", daemon=True)

    @property
    def note(self) -> str | None:
        """Why another model answers than the live one, as a sentence; None where it does not."""
        return self._note

    def read(self) -> LiveState:
        """The live model, even if the service was not able to follow."""
        return self._alias.read()

    def start(self) -> None:
        """Begin to watch; starts with the present live model."""
        self._thread.start()

    def look_now(self) -> None:
        """Look without waiting for a change, and repeat failed attempts. Fit for a signal."""
        self._asked.put("look")

    def close(self) -> None:
        """Stop watching; waits for a model that is being opened, and does not use it."""
        self._asked.put("stop")
        self._thread.join()
        for serving in self._leaving:
            serving.classifier.close()

    def _run(self) -> None:
        give_way()
        seen: object = self  # no stamp is equal to it, so the first look always follows
        asked: str | None = None
        while asked != "stop":
            self._close_what_has_left()
            stamp = self._alias.stamp()
            if stamp != seen or asked == "look":
                seen = stamp
                self._follow(stamp)
            asked = None
            with suppress(queue.Empty):
                asked = self._asked.get(timeout=self._look_seconds)

    def _follow(self, stamp: object) -> None:
        state = self._alias.read()
        live, canary = state.current, state.canary
        if live is None:
            # Nothing was ever promoted, or the file is damaged: no reason to change anything.
            return
        try:
            self._follow_live(live.name, canary, stamp)
            self._note = None
        except _ChangedAgain:
            return
        except Exception as error:  # noqa: BLE001 - whatever the error, answers go on
            self._note = describe_fallback(live.name, self._service.line_up.live.model.name)
            self._report(live.name, error)
            return
        if canary is not None:
            try:
                self._follow_canary(canary, stamp)
            except _ChangedAgain:
                return
            except Exception as error:  # noqa: BLE001 - the live model answers its share
                self._report(canary.name, error)

    def _follow_live(self, name: str, canary: Canary | None, stamp: object) -> None:
        folder = self._store.open(name)
        line_up = self._service.line_up
        live = _find(folder, line_up)
        if live is None:
            # With a third model beside the two there might be no room for any of them.
            self._switch(LineUp(line_up.live))
            live = self._open(folder, stamp)
        beside = self._service.line_up.canary
        if canary is not None and beside is not None and beside is not live:
            with suppress(WhatsitError):  # reported when it is opened in its turn
                if _matches(beside, self._store.open(canary.name)):
                    self._switch(LineUp(live, beside, canary.ratio))
                    return
        self._switch(LineUp(live))

    def _follow_canary(self, canary: Canary, stamp: object) -> None:
        line_up = self._service.line_up
        folder = self._store.open(canary.name)
        beside = _find(folder, line_up) or self._open(folder, stamp)
        self._switch(LineUp(line_up.live, beside, canary.ratio))

    def _open(self, folder: ModelFolder, stamp: object) -> Serving:
        start = time.perf_counter()
        classifier = self._open_classifier(folder)
        try:
            # A run on a blank picture does not prove that its answer can be worded.
            classifier.classify(example_pictures()["bee"])
            if self._alias.stamp() != stamp:
                # It may be rolled back meanwhile: then it must not answer even for a moment.
                raise _ChangedAgain
        except BaseException:
            classifier.close()
            raise
        _log.info("Opened %s in %.1f s.", folder.card.name, time.perf_counter() - start)
        return Serving(classifier)

    def _switch(self, line_up: LineUp) -> None:
        if line_up == self._service.line_up:
            return
        gone = self._service.switch(line_up)
        self._events.serving(line_up)
        self._events.swapped("switched")
        _log.info("%s", _say(line_up))
        self._leaving += gone
        for serving in gone:
            serving.drain(self._drain_seconds)
        self._close_what_has_left()

    def _close_what_has_left(self) -> None:
        for serving in [each for each in self._leaving if each.drain(0)]:
            self._leaving.remove(serving)
            serving.classifier.close()
            _log.info("Closed %s.", serving.model.name)

    def _report(self, name: str, error: Exception) -> None:
        self._events.swapped("failed")
        reason = error.detail if isinstance(error, WhatsitError) else repr(error)
        answering = self._service.line_up.live.model.name
        _log.error("%s can't be opened, so %s continues to answer: %s", name, answering, reason)


class _ChangedAgain(Exception):
    """The live model has changed while a model was being opened for it."""


def _find(folder: ModelFolder, line_up: LineUp) -> Serving | None:
    return next((each for each in line_up.servings if _matches(each, folder)), None)


def _matches(serving: Serving, folder: ModelFolder) -> bool:
    # The card holds the digest of the weights.
    classifier = serving.classifier
    return classifier.card == folder.card and classifier.labels == folder.labels


def _say(line_up: LineUp) -> str:
    live = f"{line_up.live.model.name} ({line_up.live.model.fingerprint[:16]}) answers now"
    if line_up.canary is None:
        return f"{live}."
    return f"{live}, and {line_up.canary.model.name} a share of {line_up.canary_ratio:g}."
