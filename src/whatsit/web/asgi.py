"""The front door: one ASGI application, API and page behind it."""

from contextlib import AbstractAsyncContextManager, nullcontext

from starlette.types import ASGIApp, Receive, Scope, Send

from whatsit.bootstrap import Running
from whatsit.web.api.app import API_PREFIXES, Api
from whatsit.web.intake import Intake
from whatsit.web.requests import RequestScope

Lifespan = AbstractAsyncContextManager[object]


class FrontDoor:
    """Sends each request to the API or to the page, by its path.

    The page's server would route the API's requests as well, but through its session and
    compression layers, which cost more than a cached answer does.

    Args:
        api: Answers everything below the API's prefixes.
        page: Answers everything else; None to have no page.
        lifespan: Entered before the first request, left after the last.
    """

    def __init__(self, api: ASGIApp, page: ASGIApp | None, lifespan: Lifespan) -> None:
        self._api = api
        self._page = page or api
        self._lifespan = lifespan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection; see the ASGI specification."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif _belongs_to_api(scope["path"]) and scope["type"] == "http":
            await self._api(scope, receive, send)
        else:
            await self._page(scope, receive, send)

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


def build_application(running: Running, *, page_enabled: bool = True) -> FrontDoor:
    """The whole web application of one running service.

    Args:
        running: Opened by the caller, who closes it after the server has stopped.
        page_enabled: Whether to serve the page; without it, its server is not even loaded.
    """
    settings = running.settings
    intake = Intake(settings.max_held_bytes, settings.body_grace_seconds, running.telemetry.holding)
    api = RequestScope(Api(running, intake), running.telemetry)
    if not page_enabled:
        return FrontDoor(api, None, nullcontext())
    from whatsit.web.ui.server import build_page

    page = build_page(running)
    return FrontDoor(api, page, page.lifespan()(page))


def _belongs_to_api(path: str) -> bool:
    return path.startswith(API_PREFIXES) and any(
        path == prefix or path.startswith(f"{prefix}/") for prefix in API_PREFIXES
    )
