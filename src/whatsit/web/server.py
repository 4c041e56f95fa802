"""Starting the web server, and stopping it in order."""

import logging
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from whatsit.models.catalogue import Progress
from whatsit.opening import open_service
from whatsit.running import Running
from whatsit.settings import Settings
from whatsit.telemetry.logs import configure_logging
from whatsit.telemetry.processes import ExpositionFolder
from whatsit.telemetry.traces import Tracing, open_tracing
from whatsit.web.listener import bind
from whatsit.web.memory import give_memory_back
from whatsit.web.signals import Ending, at_hangup

if TYPE_CHECKING:
    from whatsit.web.uvicorn_server import UvicornServer

_log = logging.getLogger(__name__)


def serve(
    settings: Settings, *, page_enabled: bool = True, progress: Progress | None = None
) -> None:
    """Serve until a signal stops the process.

    Args:
        settings: The settings of the server, the address included.
        page_enabled: True to serve the page as well as the API.
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
        listener: See `whatsit.web.listener.bind`.
        settings: The settings of the server.
        page_enabled: True to serve the page as well as the API.
        on_ready: Called once, as soon as requests are answered.
        progress: Called during the download of a model that is not in the store yet.
        expositions: Where to leave the metrics for processes that share the port.

    Raises:
        WhatsitError: Something can't be opened.
    """
    give_memory_back()
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
                web.result()
                server = _build_server(
                    running, tracing, ending, lambda: on_ready(running), page_enabled=page_enabled
                )
                try:
                    server.run(sockets=[listener])
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


def _load_web(*, page_enabled: bool) -> None:
    for module in ("application", "uvicorn_server", "connection.protocols"):
        import_module(f"whatsit.web.{module}")
    if page_enabled:
        import_module("whatsit.web.ui.server")


def _build_server(
    running: Running,
    tracing: Tracing | None,
    ending: Ending,
    on_ready: Callable[[], None],
    *,
    page_enabled: bool,
) -> "UvicornServer":
    from whatsit.web.application import build_application
    from whatsit.web.connection.protocols import protocol_options
    from whatsit.web.uvicorn_server import UvicornServer

    application = build_application(
        running,
        page_enabled=page_enabled,
        tracing=tracing,
        is_ending=lambda: ending.has_begun,
    )
    protocols = protocol_options(running.settings, page_enabled=page_enabled)
    return UvicornServer(application, protocols, ending, on_ready)


def _greeting(running: Running, listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    model = running.service.classifier.model.name
    return f"whatsit is ready on http://{shown}:{port} with the model {model}"
