"""The source of the answers: this process, or a running server."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from whatsit.client import Client
from whatsit.errors import (
    HostNotAllowed,
    ModelNotReady,
    Overloaded,
    RateLimited,
    ServerError,
    Unauthorized,
    WhatsitError,
)
from whatsit.picture import Picture
from whatsit.prediction import Reply

if TYPE_CHECKING:
    from whatsit.models.catalogue import Progress
    from whatsit.running import Running
    from whatsit.settings import Settings

_FIRST_RETRIES = 2
"""Short, so that a mistyped address does not cost minutes."""
_MAX_RETRIES = 20
_MAX_WAIT_SECONDS = 300.0
_CONCURRENCY = 8
_MOST_BYTES = 500_000_000
"""No server takes more; see `whatsit.settings.Settings.max_upload_bytes`."""


class Answers(Protocol):
    """Answers pictures. Safe to call from several threads."""

    threads: int
    """How many pictures it should be asked for at a time."""
    max_bytes: int
    """Longer pictures are refused, so no more of them is read."""

    def classify(self, image_bytes: bytes, top_k: int) -> Reply:
        """Say what a picture shows; see `whatsit.service.service.Service.classify`."""
        ...

    def explain(self, image_bytes: bytes, class_index: int) -> bytes:
        """A PNG of the picture, bright where it supports a class."""
        ...

    def concerns_all(self, error: WhatsitError) -> bool:
        """True if every other picture would fail with this error too."""
        ...

    def hurry(self) -> None:
        """Give up waiting for anything but what is being worked on."""
        ...


@contextmanager
def answer_here(settings: "Settings", progress: "Progress | None") -> Iterator[Answers]:
    """Answers that this process computes.

    Args:
        settings: See `whatsit.opening.open_service`.
        progress: Called during the download of a model that is not in the store yet.

    Raises:
        WhatsitError: Something can't be opened.
    """
    from whatsit.opening import open_service

    with open_service(settings, progress) as running:
        yield _Here(running)


@contextmanager
def answer_there(url: str, key: str | None, threads: int | None) -> Iterator[Answers]:
    """Answers of a running server; waits for it patiently.

    Args:
        url: Its address.
        key: API key, where it asks for one.
        threads: How many requests are sent at a time; 8 if left out.

    Raises:
        InvalidParameter: The address or the key is malformed.
        WhatsitError: The server can't be reached, does not know the key, or is not whatsit.
    """
    with Client(url, key, max_retries=_FIRST_RETRIES) as client:
        client.models()
    with Client(url, key, max_retries=_MAX_RETRIES, max_wait_seconds=_MAX_WAIT_SECONDS) as client:
        yield _There(client, threads or _CONCURRENCY)


class _Here:
    def __init__(self, running: "Running") -> None:
        self._service = running.service
        self._max_pixels = running.settings.max_pixels
        self.threads = running.settings.inference_threads
        self.max_bytes = running.settings.max_upload_bytes

    def classify(self, image_bytes: bytes, top_k: int) -> Reply:
        return self._service.classify(Picture.of(image_bytes), top_k=top_k)

    def explain(self, image_bytes: bytes, class_index: int) -> bytes:
        from whatsit.images.overlay import draw_picture

        heat_map = self._service.explain(Picture.of(image_bytes), label=class_index).heat_map
        return draw_picture(image_bytes, heat_map, max_pixels=self._max_pixels)

    def concerns_all(self, error: WhatsitError) -> bool:
        del error
        return False

    def hurry(self) -> None:
        pass


class _There:
    def __init__(self, client: Client, threads: int) -> None:
        self._client = client
        self.threads = threads
        self.max_bytes = _MOST_BYTES

    def classify(self, image_bytes: bytes, top_k: int) -> Reply:
        return self._client.classify(image_bytes, top_k=top_k)

    def explain(self, image_bytes: bytes, class_index: int) -> bytes:
        return self._client.explain(image_bytes, class_index)

    def concerns_all(self, error: WhatsitError) -> bool:
        busy = (Overloaded, RateLimited, ModelNotReady)
        if isinstance(error, (Unauthorized, HostNotAllowed, *busy)):
            return True
        if not isinstance(error, ServerError):
            return False
        if error.status is not None and error.status < 500:
            return error.status not in (400, 408, 413, 415, 422)  # said about this picture
        # One picture may break a server; a server that is ready takes the next one.
        return not self._client.is_ready()

    def hurry(self) -> None:
        self._client.close()
