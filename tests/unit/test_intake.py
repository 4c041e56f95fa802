"""Bodies of an application that knows nothing of limits: too slow, too many, and in order."""

import asyncio
import json
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from whatsit.web.intake import Intake, IntakeLayer

SCOPE = {"type": "http", "method": "PUT", "path": "/somewhere", "headers": []}


async def swallow(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the whole body and says how long it was."""
    body = await Request(scope, receive).body()
    await PlainTextResponse(str(len(body)))(scope, receive, send)


def talk(layer: IntakeLayer, *chunks: bytes, stalls: bool = False) -> list[Message]:
    """What is answered to a body of these chunks; if it stalls, there is always more to come."""
    waiting = list(chunks)
    sent: list[Message] = []

    async def receive() -> Message:
        if not waiting:
            await asyncio.sleep(60)
        more = len(waiting) > 1 or stalls
        return {"type": "http.request", "body": waiting.pop(0), "more_body": more}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(layer(dict(SCOPE), receive, send))
    return sent


def held(changes: list[int]) -> Intake:
    return Intake(1_000, 0.1, changes.append)


def test_a_whole_body_passes_and_is_let_go():
    changes: list[int] = []
    start, body = talk(IntakeLayer(swallow, held(changes)), b"x" * 600, b"y" * 300)

    assert (start["status"], body["body"]) == (200, b"900")
    assert changes == [600, 900, 0]


@pytest.mark.parametrize(
    ("chunks", "status", "code"),
    [((b"x",), 408, "request_too_slow"), ((b"x" * 600, b"y" * 600), 503, "overloaded")],
)
def test_what_stalls_or_finds_no_room_is_answered_with_the_reason(chunks, status, code):
    changes: list[int] = []
    start, body = talk(IntakeLayer(swallow, held(changes)), *chunks, stalls=True)

    assert start["status"] == status
    assert (b"connection", b"close") in start["headers"]
    assert json.loads(body["body"])["code"] == code
    assert changes[-1] == 0


def test_an_application_that_takes_leaving_calmly_is_not_heard():
    async def calm(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await swallow(scope, receive, send)
        except ClientDisconnect:
            await PlainTextResponse("bye")(scope, receive, send)

    start, _ = talk(IntakeLayer(calm, held([])), b"x", stalls=True)
    assert start["status"] == 408


def test_other_failures_of_the_application_are_its_own():
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        talk(IntakeLayer(broken, held([])), b"x")


def test_a_body_earns_time_as_it_comes():
    intake = Intake(10**6, 0.2)

    async def run() -> list[Any]:
        chunks = [b"x" * 16_000] * 4

        async def receive() -> Message:
            await asyncio.sleep(0.1)
            return {"type": "http.request", "body": chunks.pop(), "more_body": bool(chunks)}

        async with intake.take(dict(SCOPE), receive) as body:
            return [await body() for _ in range(4)]

    assert len(asyncio.run(run())) == 4
