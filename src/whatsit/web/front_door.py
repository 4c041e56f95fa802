"""The front door: one dispatcher for all requests."""

from contextlib import AbstractAsyncContextManager

from starlette.types import ASGIApp, Receive, Scope, Send

from whatsit.web.api.classify import CLASSIFY_PATH
from whatsit.web.paths import belongs_to_api

Lifespan = AbstractAsyncContextManager[object]


class FrontDoor:
    """Sends each request to the application that answers it, by its path.

    The page's server would route the API's requests as well, but through its session and
    compression layers, which cost more than a cached answer does. The most used route of the API
    does without a router for the same reason.

    Args:
        classify: Answers ``POST /api/v1/classify``.
        api: Answers everything else below the API's prefixes.
        page: Answers all other paths; None without a page, when the API refuses them.
        lifespan: Entered before the first request, left after the last.
    """

    def __init__(
        self, classify: ASGIApp, api: ASGIApp, page: ASGIApp | None, lifespan: Lifespan
    ) -> None:
        self._classify = classify
        self._api = api
        self._page = page or api
        self._lifespan = lifespan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection; see the ASGI specification."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await self._app_for(scope)(scope, receive, send)

    def _app_for(self, scope: Scope) -> ASGIApp:
        path = scope["path"]
        if scope["type"] != "http":
            return self._page
        if path == CLASSIFY_PATH and scope["method"] == "POST":
            return self._classify
        return self._api if belongs_to_api(path) else self._page

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self._lifespan.__aenter__()
        except Exception as error:  # noqa: BLE001 - reported to the server, which then stops
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._lifespan.__aexit__(None, None, None)
        await send({"type": "lifespan.shutdown.complete"})
