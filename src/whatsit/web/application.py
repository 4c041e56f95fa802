"""The whole web application: API and page, behind their guards and one front door."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial

from starlette.types import ASGIApp

from whatsit.access.keys import KeyRing
from whatsit.access.page_tokens import PageTokens
from whatsit.access.rate_counters import RedisCounters
from whatsit.running import Running
from whatsit.settings import Settings
from whatsit.telemetry.traces import Tracing
from whatsit.web.api.app import build_api, build_classify
from whatsit.web.api.batches import json_limit
from whatsit.web.caller import believe_proxies
from whatsit.web.envelope import Envelope
from whatsit.web.front_door import FrontDoor
from whatsit.web.guard.door import Door, Rule, refuse
from whatsit.web.guard.headers import SecurityHeaders
from whatsit.web.guard.hosts import HostRule
from whatsit.web.guard.keys import KeyRule, declare_keys
from whatsit.web.guard.origins import OriginRule
from whatsit.web.guard.rates import RateRule
from whatsit.web.head_requests import HeadAsGet
from whatsit.web.intake.intake import Intake
from whatsit.web.intake.layer import IntakeLayer
from whatsit.web.journal import Journal
from whatsit.web.paths import does_work, is_open, is_open_on_page
from whatsit.web.ui.assets import Assets

_log = logging.getLogger(__name__)


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
        page_enabled: True to serve the page; without it, its server is not even loaded.
        tracing: Traces the API's requests; None where they are not collected.
        is_ending: True once the server stops; messages of the page wait no longer then.
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
    api = build_api(running, intake)
    declare_keys(api, required=settings.keys_required)
    tokens = PageTokens() if page_enabled else None
    rules = partial(_rules, settings, _open_keys(settings))
    api_rules = [*rules(is_open, tokens), *_rates(settings, counters)]
    journal = Journal(running.telemetry, tracing)

    def guard(app: ASGIApp) -> ASGIApp:
        return Envelope(Door(app, api_rules, refuse), journal)

    classify = guard(build_classify(running, intake))
    guarded_api = guard(HeadAsGet(api))
    if tokens is None:
        door = FrontDoor(classify, guarded_api, None, _lifespan(counters))
        return believe_proxies(door, settings.proxy_networks)
    from whatsit.web.ui.server import build_page
    from whatsit.web.ui.visits import VisitLimits, Visits

    page = build_page(running, tokens)
    limits = VisitLimits(settings.max_pages, settings.max_pages_per_address)
    guarded_page = Door(
        HeadAsGet(Assets(Visits(IntakeLayer(page, intake), limits, is_ending))),
        rules(is_open_on_page),
        Envelope(refuse, Journal(running.telemetry)),
    )
    lifespan = _lifespan(counters, page.lifespan()(page))
    door = FrontDoor(classify, guarded_api, SecurityHeaders(guarded_page), lifespan)
    return believe_proxies(door, settings.proxy_networks)


def _rules(
    settings: Settings,
    keys: KeyRing,
    is_open: Callable[[str], bool],
    tokens: PageTokens | None = None,
) -> list[Rule]:
    rules: list[Rule] = []
    if settings.host_names is not None:
        rules.append(HostRule(settings.host_names))
    rules.append(OriginRule())
    if settings.keys_required:
        rules.append(KeyRule(keys, is_open, tokens))
    return rules


def _rates(settings: Settings, counters: RedisCounters | None) -> list[Rule]:
    """The rate of one caller, which holds for the page as well: its pictures go to the API."""
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
