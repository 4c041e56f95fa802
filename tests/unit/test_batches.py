"""What the protocols of other programs share: JSON, base64, and several pictures at once."""

import asyncio
import base64
import binascii
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect
from starlette.types import Message

from tests.support.waiting import wait_until
from whatsit.errors import ImageUnreadable, InvalidParameter
from whatsit.prediction import Reply
from whatsit.service.line_up import LineUp, Serving
from whatsit.service.service import Service
from whatsit.service.workers import Workers
from whatsit.testing import FakeEngine, fake_card, fake_classifier, plain_picture
from whatsit.web.api import batches as protocols
from whatsit.web.api.batches import LargeBodies, answer_each, parse_base64, parse_json

# Base64 and JSON


def require_sentence(error: InvalidParameter, end: str = ".") -> None:
    assert error.detail.endswith(end)


@given(st.binary(max_size=300), st.sampled_from(["", " ", "\n", "\r\n", "\t"]), st.integers(1, 80))
def test_base64_comes_out_as_it_went_in(content, space, width):
    text = base64.b64encode(content).decode()
    wrapped = space.join(text[at : at + width] for at in range(0, len(text), width))

    assert parse_base64(wrapped, "x") == parse_base64(f"data:a/b;base64,{wrapped}", "x") == content


@given(st.text("AQgw01+/= -_?\n", max_size=12) | st.text(max_size=8))
def test_any_text_is_base64_in_the_strict_sense_or_refused(text):
    try:
        found = parse_base64(text, "x")
    except InvalidParameter as error:
        require_sentence(error, "x must be a picture in base64.")
    else:
        letters = text.partition(",")[2] if text.startswith("data:") else text
        compact = "".join(each for each in letters if each not in " \t\r\n")
        assert found == base64.b64decode(compact, validate=True)


@pytest.mark.parametrize("slice_length", [4, 8])
def test_base64_in_slices_is_as_strict(monkeypatch, slice_length):
    monkeypatch.setattr(protocols, "_BASE64_SLICE", slice_length)

    assert parse_base64("YWJjZGVmZw==", "x") == b"abcdefg"
    for wrong in ("YQ==YQ==", "YWJjYQ==YWJj", "YWJjY", "YWJj===="):
        with pytest.raises((binascii.Error, InvalidParameter), match="must be a picture"):
            parse_base64(wrong, "x")


@given(st.binary(max_size=60))
def test_any_bytes_are_a_json_object_or_refused(text):
    try:
        assert isinstance(parse_json(text), dict)
    except InvalidParameter as error:
        require_sentence(error)


def test_json_of_many_parts_is_refused_before_it_takes_memory():
    for part in (b"[],", b"{},", b"0,", b"[", b'{"a":'):
        with pytest.raises(InvalidParameter, match="more than 2,000 parts"):
            parse_json(b'{"a":[' + part * 3_000)


def test_long_json_has_only_letters_that_take_one_byte():
    assert parse_json('{"a": "🐝"}'.encode()) == {"a": "🐝"}
    with pytest.raises(InvalidParameter, match="ASCII"):
        parse_json(f'{{"a": "{"a" * 70_000}🐝"}}'.encode())


def test_large_bodies_are_parsed_one_at_a_time_beside_the_event_loop():
    running, most, loop_thread = 0, 0, threading.get_ident()

    def parse(body: bytes) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        threading.Event().wait(0.02)
        running -= 1
        return threading.get_ident()

    async def parse_some() -> list[int]:
        bodies = LargeBodies()
        return await asyncio.gather(*(bodies.parse(bytes(1_000_001), parse) for _ in range(4)))

    assert loop_thread not in asyncio.run(parse_some())
    assert most == 1


# Several pictures


class HeldEngine(FakeEngine):
    """Answers once it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.let = threading.Event()

    def infer(self, pixels):
        assert self.let.wait(10)
        return super().infer(pixels)


@pytest.fixture
def engine() -> HeldEngine:
    return HeldEngine()


@pytest.fixture
def one_worker(engine: HeldEngine) -> Iterator[Workers]:
    workers = Workers(1)
    yield workers
    engine.let.set()
    workers.close()


@pytest.fixture
def service(engine: HeldEngine, one_worker: Workers) -> Service:
    return Service(fake_classifier(engine), None, workers=one_worker)


PICTURES = [plain_picture(colour) for colour in ("red", "lime", "blue") * 4]


async def _stays() -> Message:
    await asyncio.sleep(60)
    raise AssertionError("nobody waits that long")


async def _collect(service: Service, pictures: list[bytes], into: list[Reply]) -> None:
    async for reply in answer_each(service, pictures, _stays, 1):
        into.append(reply)


def test_one_model_answers_all_pictures_of_a_request_and_a_canary_only_lone_ones(service, engine):
    engine.let.set()
    canary = Serving(fake_classifier(card=fake_card(name="canary")))
    service.switch(LineUp(service.line_up.live, canary, 0.999999))

    def names(pictures: list[bytes]) -> set[str]:
        replies: list[Reply] = []
        asyncio.run(_collect(service, pictures, replies))
        return {reply.prediction.model.name for reply in replies}

    assert names(PICTURES[:3]) == {"colours"}
    assert names(PICTURES[:1]) == {"canary"}
    (live,) = service.switch(LineUp(canary))
    assert live.drain(5)


def test_replies_come_in_the_order_of_the_pictures(service, engine):
    replies: list[Reply] = []
    engine.let.set()
    asyncio.run(_collect(service, PICTURES, replies))

    assert [reply.top[0].label for reply in replies] == [
        "red thing",
        "green thing",
        "blue thing",
    ] * 4


def test_a_request_of_many_pictures_leaves_room_for_others(service, engine, one_worker):
    async def look() -> int:
        asking = asyncio.create_task(_collect(service, PICTURES, []))
        for _ in range(200):
            await asyncio.sleep(0.005)
            if one_worker.waiting >= 3:
                break
        await asyncio.sleep(0.05)
        waiting: int = one_worker.waiting
        engine.let.set()
        await asking
        return waiting

    assert asyncio.run(look()) == 3


def test_who_leaves_gives_all_places_back(service, one_worker):
    async def leave() -> Message:
        await asyncio.sleep(0.1)
        return {"type": "http.disconnect"}

    async def ask() -> None:
        async for _ in answer_each(service, PICTURES, leave, 1):
            pytest.fail("nothing was answered")

    with pytest.raises(ClientDisconnect):
        asyncio.run(ask())
    assert wait_until(lambda: one_worker.waiting == 0)


def test_a_picture_that_is_refused_ends_it_after_those_before_it(service, engine, one_worker):
    replies: list[Reply] = []
    engine.let.set()
    with pytest.raises(ImageUnreadable):
        asyncio.run(_collect(service, [*PICTURES[:2], b"no picture", *PICTURES[:2]], replies))

    assert len(replies) == 2
    assert wait_until(lambda: one_worker.waiting == 0)
