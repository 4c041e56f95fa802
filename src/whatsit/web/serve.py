"""Starting the web server, and stopping it in order."""

import logging
import socket
import threading
from importlib import import_module

import uvicorn

from whatsit.bootstrap import Running, open_service
from whatsit.models.catalogue import Progress
from whatsit.settings import Settings
from whatsit.telemetry import configure_logging
from whatsit.web.asgi import build_application

_log = logging.getLogger(__name__)

_GRACE_SECONDS = 10


def serve(
    settings: Settings, *, page_enabled: bool = True, progress: Progress | None = None
) -> None:
    """Serve until a signal stops the process.

    Args:
        settings: What to open and where to listen.
        page_enabled: Whether to serve the page as well as the API.
        progress: Told about the download of a model that is not there yet.

    Raises:
        WhatsitError: Something can't be opened.
        OSError: The address can't be listened on.
    """
    configure_logging(settings.log_level, settings.log_format)
    listener = _listen(settings.host, settings.port)
    if page_enabled:
        # Loading the page's server takes as long as loading the model, so both happen at once.
        threading.Thread(
            target=import_module, args=("streamlit.web.server.starlette",), daemon=True
        ).start()
    with listener, open_service(settings, progress) as running:
        server = _GreetingServer(
            uvicorn.Config(
                build_application(running, page_enabled=page_enabled),
                loop="uvloop",
                http="httptools",
                lifespan="on",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                date_header=False,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            ),
            _greeting(running, listener),
        )
        server.run(sockets=[listener])


class _GreetingServer(uvicorn.Server):
    """Says where it is once it answers there."""

    def __init__(self, config: uvicorn.Config, greeting: str) -> None:
        super().__init__(config)
        self._greeting = greeting

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            _log.info(self._greeting)


def _listen(host: str, port: int) -> socket.socket:
    # Opened here because a socket made for TCP by name makes asyncio switch Nagle's algorithm
    # off, which costs an answered keep-alive request 40 ms otherwise.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


def _greeting(running: Running, listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    model = running.service.classifier.model.name
    return f"whatsit is ready on http://{shown}:{port} with the model {model}"
