"""One caller's flood of refusals does not flood the log."""

import asyncio
import logging

import pytest
from starlette.types import Message, Receive, Scope, Send

from tests.support.quick_time import run_quickly
from whatsit.errors import RateLimited, Unauthorized, WhatsitError
from whatsit.telemetry.metrics import Telemetry
from whatsit.web.envelope import Envelope
from whatsit.web.guard.door import refuse
from whatsit.web.journal import Journal
from whatsit.web.request_facts import facts_of

DENIED = Unauthorized("A key is needed.")


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuses what a test wants refused."""
    if facts_of(scope).refusal is not None:
        await refuse(scope, receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


class Talk:
    """Requests from some addresses."""

    def __init__(self) -> None:
        self._envelope = Envelope(answer, Journal(Telemetry()))

    async def ask(self, host: str, error: WhatsitError | None = DENIED, times: int = 1) -> None:
        facts: Scope = {"type": "http", "method": "GET", "path": "/api/v1/models", "headers": []}
        for _ in range(times):
            scope = {**facts, "client": (host, 1)}
            if error is not None:
                facts_of(scope).refusal = error
            await self._envelope(scope, receive, send)


async def receive() -> Message:
    return {"type": "http.request"}


async def send(message: Message) -> None:
    return None


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "whatsit.requests")
    return caplog


def test_a_flood_of_one_caller_is_summed_up_and_others_are_not(log):
    async def run() -> None:
        talk = Talk()
        await talk.ask("203.0.113.7", times=2_000)
        await talk.ask("203.0.113.7", RateLimited("120 requests a minute", 1), times=30)
        await talk.ask("203.0.113.8")
        await talk.ask("203.0.113.7", None, times=3)
        assert len(log.records) == 20 + 1 + 3
        await asyncio.sleep(61)

    run_quickly(run())
    said = log.records[-1]
    assert said.getMessage() == "2010 more like this within a minute"
    assert vars(said)["codes"] == "unauthorized:1980,rate_limited:30"
    assert "203.0.113" not in " ".join(str(vars(line)) for line in log.records)


def test_what_few_refusals_there_are_is_written_and_a_new_minute_begins(log):
    async def run() -> None:
        talk = Talk()
        for _ in range(2):
            await talk.ask("a", times=20)
            await asyncio.sleep(61)

    run_quickly(run())
    assert len(log.records) == 40


def test_many_callers_together_are_bounded_as_well(log):
    async def run() -> None:
        talk = Talk()
        for number in range(3_000):
            await talk.ask(f"10.0.{number // 256}.{number % 256}")
        await asyncio.sleep(61)

    run_quickly(run())
    assert len(log.records) == 100 + 20 + 1


def test_whoever_looks_closely_sees_all(caplog):
    caplog.set_level(logging.DEBUG, "whatsit.requests")
    asyncio.run(Talk().ask("a", times=50))

    assert len(caplog.records) == 50
