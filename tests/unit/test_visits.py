"""How many pages are open, and how often they are drawn: the layer before the page's server."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.types import Message, Scope
from streamlit import config
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.scriptrunner import ScriptRunner
from uvicorn.protocols.utils import ClientDisconnected

from whatsit.web.ui.scripts import QueuedRunner
from whatsit.web.ui.visits import VisitLimits, Visits

HERE, THERE = "198.51.100.7", "198.51.100.8"


def ask(kind: str) -> bytes:
    """A message of the page's client."""
    message = BackMsg()
    if kind == "rerun_script":
        message.rerun_script.query_string = ""
    else:
        setattr(message, kind, True)
    serialized: bytes = message.SerializeToString()
    return serialized


RERUN = ask("rerun_script")


class Clock:
    """A time that the test decides."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Client:
    """A browser's page; what it sends arrives at once, and it reads as long as it likes."""

    def __init__(self, visits: Visits, address: str, *, reads: bool = True) -> None:
        self.incoming: asyncio.Queue[Message] = asyncio.Queue()
        self.outgoing: list[Message] = []
        self.is_gone = False
        self.may_read = asyncio.Event()
        if reads:
            self.may_read.set()
        self.incoming.put_nowait({"type": "websocket.connect"})
        scope: Scope = {
            "type": "websocket",
            "path": "/_stcore/stream",
            "client": (address, 4000),
            "headers": [],
            "extensions": {"websocket.http.response": {}},
        }
        self.visit = asyncio.create_task(visits(scope, self.incoming.get, self._send))

    async def _send(self, message: Message) -> None:
        await self.may_read.wait()
        if self.is_gone:
            raise ClientDisconnected
        self.outgoing.append(message)

    def send(self, data: bytes | None = RERUN, text: str | None = None) -> None:
        self.incoming.put_nowait({"type": "websocket.receive", "bytes": data, "text": text})

    async def leave(self) -> None:
        self.incoming.put_nowait({"type": "websocket.disconnect", "code": 1001})
        await self.visit


class Drawn:
    """Stands behind the layer: takes every visitor, and notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"ok"})
            return
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            self.asked.append(message["bytes"])
            await send({"type": "websocket.send", "bytes": b"drawn"})


async def settle() -> None:
    """Let everything run that can run now."""
    for _ in range(500):
        await asyncio.sleep(0)


async def ping(visits: Visits, address: str, path: str = "/_stcore/health") -> tuple[int, bytes]:
    """What the page's client is told before it tries again."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "client": (address, 1), "headers": []}
    await visits(scope, asyncio.Queue().get, send)
    return sent[0]["status"], sent[1]["body"]


def status(client: Client) -> int:
    """Of a handshake."""
    return 101 if client.outgoing[0]["type"] == "websocket.accept" else client.outgoing[0]["status"]


def run(
    scene: Callable[[Visits, Drawn, Clock], Awaitable[None]], pages: int = 100, per_address: int = 3
) -> None:
    drawn, clock = Drawn(), Clock()
    visits = Visits(drawn, VisitLimits(pages, per_address), clock=clock)
    asyncio.run(asyncio.wait_for(scene(visits, drawn, clock), 20))


def test_a_page_too_many_is_told_so_and_opens_when_another_closes():
    async def scene(visits: Visits, drawn: Drawn, clock: Clock) -> None:
        clients = [Client(visits, HERE) for _ in range(4)]
        await settle()
        assert [status(client) for client in clients] == [101, 101, 101, 503]
        told, sentence = await ping(visits, HERE)
        assert told == 503
        assert json.loads(sentence) == (
            "3 pages are open from your address, which is the limit. Close one of them. "
            "This page waits and opens by itself."
        )
        assert (await ping(visits, HERE, "/_stcore/host-config"))[0] == 503
        assert (await ping(visits, THERE))[0] == 200
        await clients[0].leave()
        assert (await ping(visits, HERE))[0] == 200
        again = Client(visits, HERE)
        await settle()
        assert status(again) == 101

    run(scene)


def test_pages_of_all_addresses_together_are_bounded():
    async def scene(visits: Visits, drawn: Drawn, clock: Clock) -> None:
        clients = [Client(visits, f"198.51.100.{number}") for number in range(6)]
        await settle()
        assert [status(client) for client in clients] == [101] * 5 + [503]
        assert b"As many pages are open" in (await ping(visits, HERE))[1]

    run(scene, pages=5)


def test_one_ipv6_network_is_one_address():
    async def scene(visits: Visits, drawn: Drawn, clock: Clock) -> None:
        clients = [Client(visits, f"2001:db8::{number}") for number in range(4)]
        await settle()
        assert [status(client) for client in clients].count(503) == 1

    run(scene)


def test_messages_wait_for_their_turn_and_none_is_lost():
    async def scene(visits: Visits, drawn: Drawn, clock: Clock) -> None:
        client = Client(visits, HERE)
        for _ in range(20):
            client.send()
        await settle()
        assert len(drawn.asked) == 5  # and one turn for the page itself
        assert client.incoming.qsize() == 14  # nothing is read while one message waits
        clock.now += 60
        await asyncio.sleep(0.6)
        assert len(drawn.asked) == 12  # the one that waited, and as many as at once again

    run(scene)


def test_another_address_does_not_wait():
    async def scene(visits: Visits, drawn: Drawn, clock: Clock) -> None:
        flood, other = Client(visits, HERE), Client(visits, THERE)
        for _ in range(1000):
            flood.send()
        await settle()
        drawn.asked.clear()
        for _ in range(3):
            other.send()
        await settle()
        assert drawn.asked == [RERUN] * 3

    run(scene)


def test_opening_again_and_again_is_refused():
    async def scene(visits: Visits, drawn: Drawn, clock: Clock) -> None:
        statuses = []
        for _ in range(8):
            client = Client(visits, HERE)
            await settle()
            statuses.append(status(client))
            if statuses[-1] == 101:
                await client.leave()
        assert statuses == [101] * 6 + [503] * 2
        clock.now += 2
        client = Client(visits, HERE)
        await settle()
        assert status(client) == 101

    run(scene)


def test_nothing_is_drawn_for_who_does_not_read():
    async def scene(visits: Visits, drawn: Drawn, clock: Clock) -> None:
        client = Client(visits, HERE)
        await settle()
        client.may_read.clear()
        for _ in range(4):
            client.send()
        await settle()
        assert len(drawn.asked) == 1
        client.may_read.set()
        await settle()
        assert len(drawn.asked) == 4

    run(scene)


def test_who_leaves_while_it_is_drawn_has_left():
    async def scene(visits: Visits, drawn: Drawn, clock: Clock) -> None:
        client = Client(visits, HERE)
        await settle()
        client.is_gone = True
        client.send()
        client.send()
        await client.visit
        assert drawn.asked == [RERUN]

    run(scene)


@pytest.mark.parametrize(
    ("data", "text"), [(None, "hello"), (b"\xff\xff\xff", None), (RERUN[:-1], None)]
)
def test_what_no_client_of_ours_sends_ends_the_visit(data, text):
    async def scene(visits: Visits, drawn: Drawn, clock: Clock) -> None:
        client = Client(visits, HERE)
        client.send(data, text)
        await client.visit
        assert client.outgoing[-1] == {"type": "websocket.close", "code": 1008}
        assert drawn.asked == []

    run(scene)


def test_only_what_the_page_needs_reaches_its_server():
    async def scene(visits: Visits, drawn: Drawn, clock: Clock) -> None:
        client = Client(visits, HERE)
        for kind in ("load_git_info", "clear_cache", "set_run_on_save", "app_heartbeat"):
            client.send(ask(kind))
        client.send(b"")
        await settle()
        assert drawn.asked == [ask("app_heartbeat")]

    run(scene)


def test_addresses_are_forgotten():
    async def scene(visits: Visits, drawn: Drawn, clock: Clock) -> None:
        for number in range(5000):
            clock.now += 10
            client = Client(visits, f"10.1.{number // 250}.{number % 250}")
            await asyncio.sleep(0)
            await client.leave()
        assert len(visits._visitors) < 4200

    run(scene)


def test_streamlit_still_runs_scripts_as_the_queue_expects():
    # What scripts.py replaces or calls, and the option that keeps one run for each visitor.
    assert "ScriptRunner" in AppSession._create_scriptrunner.__code__.co_names
    assert {"_script_thread"} <= set(ScriptRunner.start.__code__.co_names)
    assert "_script_thread" in ScriptRunner._is_in_script_thread.__code__.co_names
    assert ScriptRunner.start.__code__.co_names.count("_run_script_thread") == 1
    assert QueuedRunner.start is not ScriptRunner.start
    assert "runner.fastReruns" in config._config_options_template
    assert "runner.fastReruns" in AppSession.request_rerun.__code__.co_consts
