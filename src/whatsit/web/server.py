"""Starting the web server, and stopping it in order."""

import asyncio
import ctypes
import gc
import logging
import os
import socket
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from whatsit.models.catalogue import Progress
from whatsit.opening import open_service
from whatsit.running import Running
from whatsit.settings import Settings
from whatsit.telemetry.logs import configure_logging
from whatsit.telemetry.processes import ExpositionFolder
from whatsit.telemetry.traces import open_tracing
from whatsit.web.ending import Ending
from whatsit.web.processes import at_hangup, bind

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_log = logging.getLogger(__name__)

_CLOSING_SECONDS = 1.0
"""A page's connection has nothing left to be told once it was closed."""
_GRACE_SECONDS = 3.0
"""What was accepted is answered by then, at the speed that decides what is accepted."""
_GARBAGE_THRESHOLDS = (5_000, 20, 20)
"""Objects more than before, and rounds of the younger generation: Python's own are 700, 10, 10."""
# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8


def serve(
    settings: Settings, *, page_enabled: bool = True, progress: Progress | None = None
) -> None:
    """Serve until a signal stops the process.

    Args:
        settings: What to open and where to listen.
        page_enabled: Whether to serve the page as well as the API.
        progress: Called during the download of a model that is not in the store yet.

    Raises:
        WhatsitError: Something can't be opened, or the address can't be listened on.
    """
    configure_logging(settings.log_level, settings.log_format)
    with bind(settings.host, settings.port, is_shared=False) as listener:
        serve_on(
            listener,
            settings,
            page_enabled=page_enabled,
            on_ready=lambda running: _log.info(_greeting(running, listener)),
            progress=progress,
        )


def serve_on(
    listener: socket.socket,
    settings: Settings,
    *,
    page_enabled: bool,
    on_ready: Callable[[Running], None],
    progress: Progress | None = None,
    expositions: ExpositionFolder | None = None,
) -> None:
    """Serve on a bound socket until a signal stops the process.

    Args:
        listener: See `whatsit.web.processes.bind`.
        settings: What to open.
        page_enabled: Whether to serve the page as well as the API.
        on_ready: Called once, as soon as requests are answered.
        progress: Called during the download of a model that is not in the store yet.
        expositions: Where to leave the metrics for processes that share the port.

    Raises:
        WhatsitError: Something can't be opened.
    """
    _give_memory_back()
    _stand_somewhere(settings.store)
    ending = Ending()
    try:
        with ThreadPoolExecutor(1) as loader:
            # Loading the web frameworks takes as long as loading the model, so both happen at once.
            web = loader.submit(_load_web, page_enabled=page_enabled)
            with (
                open_tracing(os.environ) as tracing,
                open_service(
                    settings, progress, expositions, takes_feedback=True, follows_live=True
                ) as running,
            ):
                if running.follower is not None:
                    at_hangup(running.follower.look_now)
                application = web.result()(
                    running,
                    page_enabled=page_enabled,
                    tracing=tracing,
                    is_ending=lambda: ending.has_begun,
                )
                protocols = _protocols(settings, page_enabled=page_enabled)
                try:
                    _run(application, protocols, listener, ending, lambda: on_ready(running))
                finally:
                    ending.begin()
    finally:
        ending.is_closed = True


def _stand_somewhere(store: Path) -> None:
    """Give the process a home and a working folder where it has none: frameworks ask for both.

    A container's user need not be in its list of users, and a service may be started from a folder
    that is deleted.
    """
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = str(store)
    try:
        Path.cwd()
    except OSError:
        os.chdir("/")


def _give_memory_back() -> None:
    """Tell malloc, before there are threads, not to keep what large pictures leave behind.

    glibc gives every thread a pool of its own, and what is freed in one is of no use to another:
    with two, the process stays 30 MB smaller in `make soak` (267 instead of 299). Blocks from
    4 MB on go straight back to the system; left alone, that limit rises with every large picture.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library than glibc
            library = ctypes.CDLL(None)
            library.mallopt(_M_ARENA_MAX, 2)
            library.mallopt(_M_MMAP_THRESHOLD, 4 * 2**20)
            library.mallopt(_M_TRIM_THRESHOLD, 8 * 2**20)


def _spare_what_stays() -> None:
    """Keep Python from looking for garbage among what is there for good, again and again.

    Frameworks, model and labels are some hundred thousand objects. Looking through them takes
    the only thread that can run Python, and empties the processor's cache for the model.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GARBAGE_THRESHOLDS)


def _load_web(*, page_enabled: bool) -> "Callable[..., ASGIApp]":
    from whatsit.web.front_door import build_application

    if page_enabled:
        import_module("whatsit.web.ui.server")
    return build_application


def _protocols(settings: Settings, *, page_enabled: bool) -> dict[str, Any]:
    """What speaks HTTP and WebSocket on the connections, within bounds: options of uvicorn."""
    from whatsit.web.connection.http import HttpConnection
    from whatsit.web.connection.lines import Bounds, Lines, raise_descriptor_limit

    bounds = Bounds(
        per_address=settings.max_connections_per_address,
        in_all=min(Bounds.in_all, raise_descriptor_limit()),
        linger_bytes=2 * settings.max_upload_bytes,
    )
    lines = Lines(bounds, settings.proxy_networks)
    options: dict[str, Any] = {"http": partial(HttpConnection, lines=lines), "ws": "none"}
    if page_enabled:
        from whatsit.web.connection.websocket import WebSocketConnection

        options |= {
            "ws": partial(WebSocketConnection, lines=lines),
            "ws_max_size": bounds.message_bytes,
            "ws_per_message_deflate": False,
        }
    return options


def _run(
    application: "ASGIApp",
    protocols: Mapping[str, Any],
    listener: socket.socket,
    ending: Ending,
    on_ready: Callable[[], None],
) -> None:
    import uvicorn

    class OrderlyServer(uvicorn.Server):
        """Tells when it answers, and does not wait without end for those who keep it from going.

        A second signal says that nobody is to be waited for.
        """

        _hurry = asyncio.Event()

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            _spare_what_stays()
            if self.started:
                on_ready()

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            if ending.has_begun:
                self._hurry.set()
                return
            ending.begin()
            super().handle_exit(sig, frame)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            hanging_up = asyncio.create_task(self._hang_up())
            await super().shutdown(sockets)
            hanging_up.cancel()

        async def _hang_up(self) -> None:
            # To whom it belongs, each connection then looks as if its client had left.
            await self._wait(_CLOSING_SECONDS)
            self._abort(lambda connection: not hasattr(connection, "cycle"))  # WebSockets
            await self._wait(_GRACE_SECONDS - _CLOSING_SECONDS)
            self._abort(lambda connection: True)

        async def _wait(self, seconds: float) -> None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), seconds)

        def _abort(self, is_meant: Callable[[object], bool]) -> None:
            for connection in filter(is_meant, list(self.server_state.connections)):
                connection.transport.abort()

    config = uvicorn.Config(
        application,
        loop="uvloop",
        **protocols,
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # by itself it would believe anything on this machine
        date_header=False,
        timeout_graceful_shutdown=int(_GRACE_SECONDS) + 1,
    )
    OrderlyServer(config).run(sockets=[listener])


def _greeting(running: Running, listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    model = running.service.classifier.model.name
    return f"whatsit is ready on http://{shown}:{port} with the model {model}"
