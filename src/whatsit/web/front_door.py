"""The front door: one ASGI application, API and page behind it."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from whatsit.access.counters import RedisCounters
from whatsit.access.keys import KeyRing
from whatsit.access.page_tokens import PagePasses
from whatsit.running import Running
from whatsit.settings import Settings
from whatsit.telemetry.traces import Tracing
from whatsit.web.api.app import Api
from whatsit.web.api.batches import json_limit
from whatsit.web.envelope import RequestScope
from whatsit.web.guard.door import Door, Rule, refuse
from whatsit.web.guard.headers import SecurityHeaders
from whatsit.web.guard.hosts import HostRule
from whatsit.web.guard.keys import KeyRule, declare_keys
from whatsit.web.guard.origins import OriginRule
from whatsit.web.guard.rates import RateRule
from whatsit.web.head_requests import HeadAsGet
from whatsit.web.intake.intake import Intake
from whatsit.web.intake.layer import IntakeLayer
from whatsit.web.paths import belongs_to_api, does_work, is_open, is_open_on_page
from whatsit.web.ui.assets import Assets

_log = logging.getLogger(__name__)

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
        elif belongs_to_api(scope["path"]) and scope["type"] == "http":
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


def build_application(
    running: Running,
    *,
    page_enabled: bool = True,
    tracing: Tracing | None = None,
    is_ending: Callable[[], bool] = lambda: False,
) -> ASGIApp:
    """The whole web application of one running service.

    Args:
        running: Opened by the caller, who closes it after the server has stopped.
        page_enabled: Whether to serve the page; without it, its server is not even loaded.
        tracing: Traces the API's requests; None where nobody collects traces.
        is_ending: Whether the server was told to stop; messages of the page wait no longer then.
    """
    settings = running.settings
    intake = Intake(
        settings.max_held_bytes,
        settings.body_grace_seconds,
        # In base64 the largest picture is larger.
        json_limit(settings.max_upload_bytes),
    )
    running.telemetry.watch_held_bytes(lambda: intake.held_bytes)
    counters = _open_counters(running)
    api = Api(running, intake)
    declare_keys(api.described, required=settings.keys_required)
    passes = PagePasses() if page_enabled else None
    rules = partial(_rules, settings, _open_keys(settings))
    door = Door(api, [*rules(is_open, passes), *_rates(settings, counters)], refuse)
    guarded_api = RequestScope(door, running.telemetry, tracing)
    if passes is None:
        lifespan = _lifespan(counters)
        return _face_the_network(FrontDoor(guarded_api, None, lifespan), settings)
    from whatsit.web.ui.server import build_page
    from whatsit.web.ui.visits import VisitLimits, Visits

    page = build_page(running, passes)
    limits = VisitLimits(settings.max_pages, settings.max_pages_per_address)
    guarded_page = Door(
        HeadAsGet(Assets(Visits(IntakeLayer(page, intake), limits, is_ending))),
        rules(is_open_on_page),
        RequestScope(refuse, running.telemetry),
    )
    lifespan = _lifespan(counters, page.lifespan()(page))
    return _face_the_network(FrontDoor(guarded_api, guarded_page, lifespan), settings)


def _face_the_network(app: ASGIApp, settings: Settings) -> ASGIApp:
    if networks := settings.proxy_networks:
        trusted = [str(network) for network in networks]
        # Its types are the web server's own words for the same interface.
        app = ProxyHeadersMiddleware(app, trusted)  # type: ignore[assignment, arg-type]
    return SecurityHeaders(app)


def _rules(
    settings: Settings,
    keys: KeyRing,
    is_open: Callable[[str], bool],
    passes: PagePasses | None = None,
) -> list[Rule]:
    rules: list[Rule] = []
    if settings.host_names is not None:
        rules.append(HostRule(settings.host_names))
    rules.append(OriginRule())
    if settings.keys_required:
        rules.append(KeyRule(keys, is_open, passes))
    return rules


def _rates(settings: Settings, counters: RedisCounters | None) -> list[Rule]:
    """What the page does counts here too: its pictures go to the API."""
    return [] if settings.rate is None else [RateRule(settings.rate, counters, does_work)]


def _open_keys(settings: Settings) -> KeyRing:
    keys = KeyRing(settings.keys_store)
    if settings.keys_required and keys.is_empty():
        _log.warning(
            "The API asks for keys, and there is none that works. "
            "Make one with: whatsit keys create NAME --store %s",
            settings.store,
        )
    elif settings.is_exposed and not settings.keys_required:
        _log.warning("Everybody who reaches %s may use the API without a key.", settings.host)
    return keys


def _open_counters(running: Running) -> RedisCounters | None:
    settings = running.settings
    if settings.rate is None or running.redis_url is None:
        return None
    return RedisCounters(
        running.redis_url.get_secret_value(),
        settings.cache_namespace,
        settings.redis_timeout_seconds,
    )


@asynccontextmanager
async def _lifespan(
    counters: RedisCounters | None,
    *inner: AbstractAsyncContextManager[object],
) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        if counters is not None:
            stack.push_async_callback(counters.close)
        for context in inner:
            await stack.enter_async_context(context)
        yield
