"""A client that waits for each answer."""

import socket
import threading
from collections.abc import Generator, Iterable
from contextlib import suppress
from typing import Any, Self
from weakref import WeakSet

import httpx

from whatsit.client.pictures import Picture, read_picture
from whatsit.client.protocol import (
    DEFAULT_TIMEOUT_SECONDS,
    DEFAULT_URL,
    MODELS,
    READY,
    Models,
    Outcome,
    Request,
    classify_request,
    explain_request,
    judge,
    parse_target,
    read_models,
    read_reply,
)
from whatsit.client.retries import (
    DEFAULT_MAX_RETRIES,
    DEFAULT_MAX_WAIT_SECONDS,
    Attempts,
    RetryPolicy,
)
from whatsit.errors import WhatsitError
from whatsit.parallel import map_in_order
from whatsit.prediction import CacheMode, Reply


class Client:
    """Asks a running server; keeps its connections open between calls.

    Safe to call from several threads. A request is sent again only where that is safe and may
    help: nothing listens at the address, the connection broke, or the server answered 429, 502,
    503 or 504. The client then waits for the server's ``Retry-After``. It raises everything else at
    once, as the error that
    `whatsit.Classifier` would raise.

    Args:
        url: Address of the server; a proxy's name and password may stand in it.
        key: API key, where the server asks for one.
        timeout: How long the server may be silent, seconds.
        max_retries: How often a request is sent again.
        max_wait_seconds: How long one call pauses between its requests, all together.

    Raises:
        InvalidParameter: The address or the key is malformed.
        SettingsError: The environment names a proxy or certificates that can't be used.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        key: str | None = None,
        *,
        timeout: float = DEFAULT_TIMEOUT_SECONDS,
        max_retries: int = DEFAULT_MAX_RETRIES,
        max_wait_seconds: float = DEFAULT_MAX_WAIT_SECONDS,
    ) -> None:
        self._target = parse_target(url, key, timeout)
        self._policy = RetryPolicy(max_retries, max_wait_seconds)
        self._http = httpx.Client(**self._target.options)
        self._closed = threading.Event()
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._sockets_lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; calls of other threads end at once, with an error."""
        self._closed.set()
        # Closing a socket does not wake the thread that reads from it, shutting it down does.
        with self._sockets_lock:
            for each in self._sockets:
                _shut(each)
        self._http.close()

    def classify(self, picture: Picture, *, top_k: int = 5, cache: CacheMode = "use") -> Reply:
        """Say what a picture shows.

        Args:
            picture: See `whatsit.client.pictures.read_picture`.
            top_k: How many labels to return, 1 to 20; `Prediction.top` has only these here.
            cache: ``use`` it, ``refresh`` its entry with a newly computed one, or ``bypass`` it.

        Raises:
            InputError: The server can't answer this; the subclass says why.
            Overloaded: The server has too much to do, for longer than this client waits.
            ServerError: It failed, or can't be reached (`ServerUnreachable`).
            OSError: The file can't be read.
        """
        return self._classify(picture, top_k, cache, self._closed)

    def classify_many(
        self,
        pictures: Iterable[Picture],
        *,
        concurrency: int = 8,
        top_k: int = 5,
        cache: CacheMode = "use",
    ) -> Generator[Outcome, None, None]:
        """Yield the outcome of each picture, in their order, as soon as it is known.

        Takes a few pictures ahead of the outcomes fetched, so `pictures` may be endless. One that
        is refused, or whose file can't be read, does not stop the rest.

        Args:
            pictures: As for `classify`.
            concurrency: How many are asked for at a time.
            top_k: As for `classify`.
            cache: As for `classify`.
        """
        halt = threading.Event()

        def ask(numbered: tuple[int, Picture]) -> Outcome:
            index, picture = numbered
            try:
                return Outcome(index, picture, self._classify(picture, top_k, cache, halt))
            except (WhatsitError, OSError) as error:
                return Outcome(index, picture, error=error)

        yield from map_in_order(ask, enumerate(pictures), concurrency, hurry=halt.set)

    def explain(self, picture: Picture, label: str | int | None = None) -> bytes:
        """A PNG of the picture, bright where it supports a label.

        Args:
            picture: As for `classify`.
            label: A label or a class index; None for the best label.

        Raises:
            WhatsitError: As for `classify`.
            OSError: The file can't be read.
        """
        return self._send(explain_request(read_picture(picture), label), self._closed).content

    def models(self) -> Models:
        """The model that answers, and those that could.

        Raises:
            WhatsitError: As for `classify`.
        """
        return read_models(self._send(MODELS, self._closed), self._target)

    def is_ready(self) -> bool:
        """True if pictures are answered now. Asks once; an unreachable server is not ready."""
        if self._closed.is_set():
            return False
        try:
            return self._request(READY).status_code == httpx.codes.OK
        except httpx.RequestError:
            return False

    def _classify(
        self, picture: Picture, top_k: int, cache: CacheMode, halt: threading.Event
    ) -> Reply:
        request = classify_request(read_picture(picture), top_k, cache)
        return read_reply(self._send(request, halt), self._target)

    def _send(self, request: Request, halt: threading.Event) -> httpx.Response:
        attempts = Attempts(self._policy)
        while True:
            result: httpx.Response | httpx.RequestError
            try:
                result = self._request(request)
                if result.status_code == httpx.codes.OK:
                    return result
            except httpx.RequestError as error:
                result = error
            failure, pause = judge(result, attempts, self._target)
            if pause is None or halt.wait(pause):
                raise failure

    def _request(self, request: Request) -> httpx.Response:
        return self._http.request(**request.options, extensions={"trace": self._note_socket})

    def _note_socket(self, event: str, info: dict[str, Any]) -> None:  # a trace of httpcore
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            connected = info["return_value"].get_extra_info("socket")
            with self._sockets_lock:
                self._sockets.add(connected)
                # `close` has been through the others already.
                if self._closed.is_set():
                    _shut(connected)


def _shut(connected: socket.socket) -> None:
    with suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)
