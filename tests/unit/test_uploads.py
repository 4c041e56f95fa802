"""The gate before the page's upload route, with Streamlit's own store behind it."""

import asyncio

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec

from whatsit.web.ui import uploads
from whatsit.web.ui.uploads import UPLOAD_PREFIX, UploadGate


@pytest.fixture
def store() -> MemoryUploadedFileManager:
    return MemoryUploadedFileManager(UPLOAD_PREFIX)


def client_of(store: MemoryUploadedFileManager, **limits: float) -> httpx.AsyncClient:
    """A client of a gate, behind which everything is stored."""

    async def take(scope, receive, send):
        session_id, file_id = scope["path"].split("/")[-2:]
        data = await Request(scope, receive).body()
        store.add_file(session_id, UploadedFileRec(file_id, "name", "type", data))
        await Response(status_code=204)(scope, receive, send)

    gate = UploadGate(take, store=lambda: store, **limits)  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url="http://page")


@pytest.fixture
def passes() -> list[object]:
    """Keeps three sessions admitted; dropping one ends its session."""
    held: list[object] = []
    for session in "abc":
        ticket = uploads._Pass()
        uploads._passes[session] = ticket
        held.append(ticket)
    return held


def stored(store: MemoryUploadedFileManager) -> list[tuple[str, str]]:
    return [(session, file) for session, files in store.file_storage.items() for file in files]


def test_only_admitted_sessions_may_upload_and_only_while_they_live(store, passes):
    async def run() -> None:
        async with client_of(store) as client:
            for session, status in (("a", 204), ("stranger", 403)):
                answer = await client.put(f"{UPLOAD_PREFIX}{session}/1", content=b"x")
                assert answer.status_code == status
            del passes[0]
            assert (await client.put(f"{UPLOAD_PREFIX}a/2", content=b"x")).status_code == 403

    asyncio.run(run())
    assert stored(store) == [("a", "1")]


def test_a_session_holds_the_latest_picture_only(store, passes):
    async def run() -> None:
        async with client_of(store) as client:
            for number in range(4):
                await client.put(f"{UPLOAD_PREFIX}a/{number}", content=b"x")

    asyncio.run(run())
    assert stored(store) == [("a", "3")]


def test_all_sessions_together_hold_a_bounded_number(store, passes):
    async def run() -> None:
        async with client_of(store, max_at_once=2) as client:
            for session, status in (("a", 204), ("b", 204), ("c", 503)):
                answer = await client.put(f"{UPLOAD_PREFIX}{session}/1", content=b"x")
                assert answer.status_code == status
            assert answer.headers["Retry-After"] == "1"
            assert "Try again in 1 s" in answer.text
            store.remove_session_files("a")
            assert (await client.put(f"{UPLOAD_PREFIX}c/1", content=b"x")).status_code == 204

    asyncio.run(run())


def test_what_nobody_asks_for_is_dropped(store, passes):
    async def run() -> None:
        async with client_of(store, kept_seconds=0.05) as client:
            await client.put(f"{UPLOAD_PREFIX}a/1", content=b"x")
            assert stored(store) == [("a", "1")]
            await asyncio.sleep(0.1)

    asyncio.run(run())
    assert stored(store) == []


def test_other_requests_pass(store):
    async def run() -> None:
        async with client_of(store) as client:
            for method in ("GET", "DELETE", "OPTIONS"):
                answer = await client.request(method, f"{UPLOAD_PREFIX}stranger/1")
                assert answer.status_code == 204

    asyncio.run(run())
