"""The rules of the door: which key, which caller, which path, which rate."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Scope

from whatsit.access.hosts import HostNames
from whatsit.access.keys import KeyFile, KeyRing
from whatsit.access.rate_counters import ProcessCounters, Tally, Window
from whatsit.access.rates import Rate
from whatsit.errors import CacheError, HostNotAllowed, RateLimited, Unauthorized
from whatsit.web.caller import caller_of
from whatsit.web.guard.door import Door, Rule, refuse
from whatsit.web.guard.headers import SecurityHeaders
from whatsit.web.guard.hosts import HostRule
from whatsit.web.guard.keys import KeyRule, offered_key
from whatsit.web.guard.rates import (
    RateRule,
    seconds_until_room,
)
from whatsit.web.paths import does_work, is_open, is_open_on_page
from whatsit.web.request_facts import facts_of


def http(path: str = "/api/v1/classify", **facts: Any) -> Scope:
    headers = [
        (name.lower().replace("_", "-").encode(), value.encode())
        for name, value in facts.pop("headers", {}).items()
    ]
    return {
        "type": "http",
        "method": "POST",
        "path": path,
        "headers": headers,
        "client": ("203.0.113.7", 5),
        **facts,
    }


# Paths


@pytest.mark.parametrize(
    "path",
    [
        *("/healthz", "/readyz", "/api/docs", "/api/openapi.json"),
        *("/api/docs-assets/swagger-ui.css", "/api/docs/oauth2-redirect"),
    ],
)
def test_health_and_documentation_are_open(path):
    assert is_open(path)
    assert not does_work(path)


@pytest.mark.parametrize(
    "path",
    [
        *("/api/v1/classify", "/api/v1/models", "/api/hf/models/x", "/v2", "/v2/", "/metrics"),
        *("/api", "/api/", "/api//docs", "/api/docs/", "/api/docs/x", "/API/docs", "/healthz/"),
        *("//healthz", "/healthz/../api/v1/classify", "/healthz;x", "/healthz%2f", "/healthz?"),
        *("", "/", "/readyz\n", "/api/docs-assets", "/api/openapi.json/", "/v2/health/live"),
    ],
)
def test_everything_else_is_closed_however_it_is_spelled(path):
    assert not is_open(path)


@given(st.text(max_size=30))
def test_no_invented_path_is_open(path):
    assert not is_open(f"/api/v1/{path}")
    assert not is_open(f"/v2/{path}")
    assert not is_open(f"/healthz{path}") or path == ""


def test_the_page_is_open_but_for_its_figures_and_its_door_for_programs():
    opened = ["/", "/model", "/_stcore/stream", "/_stcore/health", "/media/x.png"]
    closed = ["/_stcore/metrics", "/_stcore/agent/interact", "/_stcore/agent/mcp"]

    assert [is_open_on_page(path) for path in opened] == [True] * 5
    assert [is_open_on_page(path) for path in closed] == [False] * 3


# Keys


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"Authorization": "Bearer k"}, "k"),
        ({"Authorization": "bearer  k "}, "k"),
        ({"X-API-Key": "k"}, "k"),
        ({"Authorization": "Basic abc", "X-API-Key": "k"}, "k"),
        ({"X-API-Key": "other", "Authorization": "Bearer k"}, "k"),
        ({"Authorization": "Basic abc"}, None),
        ({"Authorization": "Bearer"}, ""),
    ],
)
def test_a_key_is_found_where_clients_put_it(headers, expected):
    assert offered_key(http(headers=headers)["headers"]) == expected


def test_a_valid_key_opens_the_door_and_leaves_its_id(tmp_path):
    key = KeyFile(tmp_path).create("shop")
    rule = KeyRule(KeyRing(tmp_path), is_open)
    scope = http(headers={"X_API_Key": key})

    assert asyncio.run(rule.refusal(scope)) is None
    assert facts_of(scope).key_id == key.split("_")[1]
    for wrong in ({}, {"X-API-Key": "ü"}, {"X-API-Key": key[:-1]}):
        assert isinstance(asyncio.run(rule.refusal(http(headers=wrong))), Unauthorized)


# Hosts


@pytest.mark.parametrize(
    ("path", "headers", "refused"),
    [
        ("/", [(b"host", b"localhost:8501")], False),
        ("/", [(b"host", b"attacker.example")], True),
        ("/", [], True),
        ("/", [(b"host", b"localhost"), (b"host", b"attacker.example")], True),
        ("/", [(b"host", b"localhost"), (b"host", b"localhost")], True),
        ("/healthz", [(b"host", b"10.0.0.7:8501")], False),
        ("/readyz", [], False),
        ("/metrics", [(b"host", b"10.0.0.7:8501")], True),
    ],
)
def test_a_request_needs_exactly_one_right_host_but_for_probes(path, headers, refused):
    rule = HostRule(HostNames(("localhost",)))

    refusal = asyncio.run(rule.refusal({**http(path), "headers": headers}))

    assert isinstance(refusal, HostNotAllowed) is refused


# Rates


class Clock:
    now = 1_000_020.0  # a third into a minute

    def __call__(self) -> float:
        return self.now


class Broken:
    """Counters that fail while they are told to."""

    works = False

    async def count(self, caller: str, window: Window) -> Tally:
        if self.works:
            return Tally(0, 0)
        raise CacheError("Redis does not answer.")


class Shared:
    """Counters of all processes, which take their time before they fail."""

    works = False

    def __init__(self) -> None:
        self._counters = ProcessCounters()

    async def count(self, caller: str, window: Window) -> Tally:
        if self.works:
            return await self._counters.count(caller, window)
        await asyncio.sleep(0.01)
        raise CacheError("Redis does not answer.")


def outcome(rule: RateRule, scope: Scope | None = None) -> float | None:
    """Seconds to wait; None where the request may go on."""
    refusal = asyncio.run(rule.refusal(scope or http()))
    return None if refusal is None else refusal.retry_after_seconds


@given(st.integers(1, 12), st.lists(st.floats(0, 40), max_size=60))
def test_no_stretch_of_a_window_holds_more_than_the_rate_by_much(count, pauses):
    clock = Clock()
    rule = RateRule(Rate(count, "minute"), None, does_work, clock)
    admitted: list[float] = []
    for pause in pauses:
        clock.now += pause
        if outcome(rule) is None:
            admitted.append(clock.now)

    for start in admitted:
        # The share of the window before assumes that its requests were spread evenly.
        assert sum(start <= moment < start + 60 for moment in admitted) <= 2 * count - (count == 1)
    for minute in {moment // 60 for moment in admitted}:
        assert sum(moment // 60 == minute for moment in admitted) <= count


@given(st.integers(1, 12), st.lists(st.floats(0, 40), min_size=1, max_size=40))
def test_who_waits_as_long_as_told_is_let_in_and_not_much_earlier(count, pauses):
    clock = Clock()
    rule = RateRule(Rate(count, "minute"), None, does_work, clock)
    for pause in pauses:
        clock.now += pause
        wait = outcome(rule)
        if wait is not None:
            assert 0 < wait <= 120
            refused_at = clock.now
            clock.now = refused_at + wait * 0.98
            assert outcome(rule) is not None
            clock.now = refused_at + wait + 0.001
            assert outcome(rule) is None


def test_the_refusal_tells_the_rate_and_when_to_come_back():
    clock = Clock()
    rule = RateRule(Rate(2, "minute"), None, does_work, clock)
    assert [outcome(rule), outcome(rule)] == [None, None]

    refusal = asyncio.run(rule.refusal(http()))

    assert isinstance(refusal, RateLimited)
    assert "more than 2 requests a minute" in refusal.detail
    # 40 s to the next minute, in which half of the two has to fade: 30 s.
    assert clock.now % 60 == 0
    assert refusal.retry_after_seconds == pytest.approx(60 + 30)


def test_a_window_that_is_not_full_by_itself_frees_up_as_the_one_before_fades():
    window = Window(7, 60, 0.25, limit=10)
    tally = Tally(current=4, previous=8)

    assert not window.has_room(4, 8)
    # 5 places are left beside these 4 and the new one: 8 x (1 - e) = 5.
    assert seconds_until_room(window, tally) == pytest.approx((1 - 5 / 8 - 0.25) * 60)


def test_health_and_figures_are_not_counted():
    rule = RateRule(Rate(1, "day"), None, does_work)
    uncounted = ["/healthz", "/readyz", "/metrics", "/v2/health/ready", "/api/docs"]

    assert [outcome(rule, http(path)) for path in uncounted * 3] == [None] * 15
    assert outcome(rule) is None
    assert outcome(rule) is not None


def test_while_shared_counts_fail_the_process_counts_alone_and_says_so_once(caplog):
    shared = Broken()
    rule = RateRule(Rate(2, "day"), shared, does_work)

    assert [outcome(rule) is None for _ in range(4)] == [True, True, False, False]
    assert caplog.text.count("counts the requests alone") == 1

    shared.works = True
    assert outcome(rule) is not None


@pytest.mark.parametrize("fails_at", range(0, 60, 7))
def test_counters_that_fail_in_between_give_no_second_allowance(fails_at):
    shared = Shared()
    rule = RateRule(Rate(20, "day"), shared, does_work)
    admitted = 0
    for number in range(60):
        shared.works = number < fails_at
        admitted += outcome(rule) is None

    assert admitted == 20


def test_many_requests_that_wait_for_slow_counters_at_once_get_one_allowance():
    rule = RateRule(Rate(20, "day"), Shared(), does_work)

    async def run() -> int:
        refusals = await asyncio.gather(*(rule.refusal(http()) for _ in range(60)))
        return refusals.count(None)

    assert asyncio.run(run()) == 20


def test_what_other_processes_let_in_counts_and_what_they_refuse_does_not_count_here():
    clock, shared = Clock(), Shared()
    shared.works = True
    one, other = (RateRule(Rate(10, "minute"), shared, does_work, clock) for _ in range(2))
    assert [outcome(one) for _ in range(10)] == [None] * 10
    assert None not in [outcome(other) for _ in range(30)]

    clock.now += 60 + 45  # three quarters of the next minute
    assert [outcome(other) for _ in range(7)] == [None] * 7
    assert outcome(other) is not None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.7", "203.0.113.8", False),
        ("203.0.113.7", "::ffff:203.0.113.7", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("unix:", "unix:", True),
    ],
)
def test_an_address_is_a_caller_and_so_is_an_ipv6_network(one, other, same):
    callers = [caller_of(http(client=(host, 1))) for host in (one, other)]

    assert (callers[0] == callers[1]) is same


def test_a_key_is_a_caller_wherever_it_comes_from():
    scopes = [http(client=(host, 1)) for host in ("192.0.2.1", "::1")]
    for scope in scopes:
        facts_of(scope).key_id = "0a1b2c3d"

    assert caller_of(scopes[0]) == caller_of(scopes[1]) != caller_of(http())
    assert caller_of(http(client=None)) == "somebody"


# The door and the headers


def talk(app: Any, scope: Scope) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        raise AssertionError("Nothing of a refused request is read.")

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent


async def inside(scope: Scope, receive: Any, send: Any) -> None:
    headers = [(b"Content-Security-Policy", b"anything"), (b"X-Mine", b"1")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def test_the_first_refusal_counts_and_nothing_is_read():
    rules: list[Rule] = [
        HostRule(HostNames(("localhost",))),
        RateRule(Rate(1, "day"), None, does_work),
    ]
    door = Door(inside, rules, refuse)

    assert talk(door, http())[0]["status"] == 421
    assert [talk(door, http(headers={"Host": "localhost"}))[0]["status"] for _ in "ab"] == [
        200,
        429,
    ]


@pytest.mark.parametrize(
    ("extensions", "kind"),
    [({"websocket.http.response": {}}, "websocket.http.response.start"), ({}, "websocket.close")],
)
def test_a_websocket_is_refused_before_it_is_accepted(extensions, kind):
    door = Door(inside, [HostRule(HostNames(("localhost",)))], refuse)

    sent = talk(door, {**http("/_stcore/stream"), "type": "websocket", "extensions": extensions})

    assert sent[0]["type"] == kind
    assert sent[0].get("status", 421) == 421


@pytest.mark.parametrize(
    ("path", "policy"),
    [
        ("/", "default-src 'self'; script-src 'self' blob: 'unsafe-inline'"),
        ("/apiary", "default-src 'self'; script-src 'self' blob: 'unsafe-inline'"),
        ("/api/docs", "default-src 'none'; script-src 'self' 'unsafe-inline'"),
        ("/api/v1/classify", "default-src 'none'; frame-ancestors 'none'; sandbox"),
        ("/v2", "default-src 'none'; frame-ancestors 'none'; sandbox"),
        ("/healthz", "default-src 'none'; frame-ancestors 'none'; sandbox"),
        ("/media/0a.png", "default-src 'none'; frame-ancestors 'none'; sandbox"),
    ],
)
def test_each_kind_of_path_has_its_policy_once(path, policy):
    headers = talk(SecurityHeaders(inside), http(path))[0]["headers"]

    (found,) = (value for name, value in headers if name.lower() == b"content-security-policy")
    assert found.decode().startswith(policy)
    assert b"'unsafe-eval'" not in found
    assert (b"X-Mine", b"1") in headers
