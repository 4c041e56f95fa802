"""The protocols of one server's connections, as options of uvicorn."""

from functools import partial
from typing import Any

from whatsit.settings import Settings
from whatsit.web.connection.http import HttpConnection
from whatsit.web.connection.lines import Bounds, Lines, raise_descriptor_limit


def protocol_options(settings: Settings, *, page_enabled: bool) -> dict[str, Any]:
    """Options of uvicorn for HTTP, and for WebSocket where there is a page, within bounds."""
    bounds = Bounds(
        per_address=settings.max_connections_per_address,
        in_all=min(Bounds.in_all, raise_descriptor_limit()),
        linger_bytes=2 * settings.max_upload_bytes,
    )
    lines = Lines(bounds, settings.proxy_networks)
    http = partial(HttpConnection, lines=lines)
    if not page_enabled:
        return {"http": http, "ws": "none"}
    from whatsit.web.connection.websocket import WebSocketConnection

    return {
        "http": http,
        "ws": partial(WebSocketConnection, lines=lines),
        "ws_max_size": bounds.message_bytes,
        "ws_per_message_deflate": False,
    }
