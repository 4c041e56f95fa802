"""HEAD, answered wherever GET is."""

from starlette.types import ASGIApp, Receive, Scope, Send


class HeadAsGet:
    """Asks an application for GET where a client asks for HEAD.

    The headers are those of GET, ``Content-Length`` among them; the web server, which knows what
    the client asked for, leaves the body out.

    Args:
        app: Knows GET alone.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection; see the ASGI specification."""
        if scope.get("method") != "HEAD":
            await self._app(scope, receive, send)
            return
        as_get = {**scope, "method": "GET"}
        try:
            await self._app(as_get, receive, send)
        finally:
            # Its entries for the log.
            scope.update({**as_get, "method": "HEAD"})
