"""The client against a running server, and against one that behaves badly."""

import asyncio
import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from PIL import Image

import whatsit
from tests.support.pictures import large_png, small_bitmap
from tests.support.running import RunningServer, start_server
from tests.support.scripted_server import RESET, SILENCE, Prepared, ScriptedServer
from tests.support.waiting import wait_until
from whatsit.client import Outcome
from whatsit.data import example_pictures
from whatsit.errors import (
    ImageUnreadable,
    ImageUnsupported,
    InputError,
    InvalidParameter,
    Overloaded,
    RateLimited,
    ServerError,
    ServerUnreachable,
    Unauthorized,
)
from whatsit.prediction import Answer

MODEL = "efficientnet-lite2"
BEE = example_pictures()["bee"]


@pytest.fixture
def client(server: RunningServer) -> Iterator[whatsit.Client]:
    with whatsit.Client(server.url) as client:
        yield client


@pytest.fixture(scope="module")
def answer(server: RunningServer) -> Prepared:
    """What a real server answers, for a prepared one to say."""
    with server.client() as http:
        return Prepared(200, http.post("/api/v1/classify", content=BEE).content)


# What a server answers


def without_scores(answer: Answer) -> Answer:
    """All that an answer says, but for the numbers, which a document rounds."""
    parts = tuple(replace(part, score=0) for part in answer.parts)
    return replace(answer, score=0, set=(), parts=parts)


def test_the_answer_is_that_of_a_local_classifier(client, bundled):
    local, reply = bundled.classify(BEE), client.classify(BEE, top_k=20, cache="bypass")
    prediction = reply.prediction

    assert prediction.image == local.image
    assert prediction.model == local.model
    assert [replace(each, score=0) for each in prediction.top] == [
        replace(each, score=0) for each in local.top
    ]
    assert without_scores(prediction.answer) == without_scores(local.answer)
    for there, here in zip(prediction.top, local.top, strict=True):
        # Under load the engine takes the form of the model for several pictures at once.
        assert there.score == pytest.approx(here.score, abs=1e-3)
    assert reply.cache == "bypass"
    assert reply.timings_ms["total"] > 0


def test_top_k_and_the_cache_are_asked_for(client):
    first = client.classify(small_bitmap(1), top_k=3, cache="refresh")
    second = client.classify(small_bitmap(1), top_k=2)

    assert (len(first.top), len(second.top)) == (3, 2)
    assert (first.cache, second.cache) == ("miss", "hit")


def test_every_way_to_hold_a_picture_gets_the_same_answer(client, tmp_path):
    (tmp_path / "bee.jpg").write_bytes(BEE)
    with Image.open(io.BytesIO(BEE)) as image, (tmp_path / "bee.jpg").open("rb") as file:
        held = (BEE, tmp_path / "bee.jpg", str(tmp_path / "bee.jpg"), file, image)
        replies = [client.classify(picture) for picture in held]

    assert {reply.prediction.answer.label for reply in replies} == {"bee"}
    assert replies[-1].prediction.image.format == "PNG"


def test_why_is_a_png_for_the_label_that_is_asked_for(client):
    best, other = client.explain(BEE), client.explain(BEE, "espresso")

    assert best.startswith(b"\x89PNG")
    assert client.explain(BEE, 309) == best != other
    with pytest.raises(InvalidParameter, match="no such"):
        client.explain(BEE, "no such label")


def test_the_models_are_listed(client):
    models = client.models()

    assert models.serving == client.classify(BEE).prediction.model
    assert {each.name for each in models.known} >= {MODEL, "resnet50"}
    assert [each.name for each in models.known if each.serving] == [MODEL]


@pytest.mark.parametrize(
    "picture", [b"", b"no picture", BEE[:5000], b"%PDF-1.7 \n"], ids=["empty", "text", "cut", "pdf"]
)
def test_a_bad_picture_raises_what_a_local_classifier_raises(client, bundled, picture):
    with pytest.raises(InputError) as here:
        bundled.classify(picture)
    with pytest.raises(InputError) as there:
        client.classify(picture)

    assert type(there.value) is type(here.value)
    assert there.value.detail == here.value.detail
    assert type(here.value) in (ImageUnreadable, ImageUnsupported)


def test_a_parameter_out_of_range_is_told(client):
    with pytest.raises(InvalidParameter, match="from 1 to 20"):
        client.classify(BEE, top_k=21)


def test_a_server_is_ready_or_not(client):
    assert client.is_ready()
    with whatsit.Client("http://localhost:9") as nobody:
        start = time.monotonic()
        assert not nobody.is_ready()
        assert time.monotonic() - start < 20
    with ScriptedServer(Prepared(503)) as busy, whatsit.Client(busy.url) as other:
        assert not other.is_ready()
        assert len(busy.heads) == 1


# Many pictures


def mixed() -> list[Any]:
    pictures: list[Any] = [small_bitmap(number) for number in range(20)]
    pictures[5] = b"no picture"
    pictures[11] = "/nowhere/missing.jpg"
    return pictures


def require_mixed(outcomes: list[Outcome]) -> None:
    pictures = mixed()
    assert len(outcomes) == 20
    assert all(each.picture == pictures[each.index] for each in outcomes)
    failed = {each.index: type(each.error) for each in outcomes if each.error is not None}
    assert failed == {5: ImageUnreadable, 11: FileNotFoundError}
    assert all((each.reply is None) != (each.error is None) for each in outcomes)


def test_many_pictures_keep_their_order_and_one_bad_one_stops_nothing(client):
    outcomes = list(client.classify_many(iter(mixed())))

    assert [each.index for each in outcomes] == list(range(20))
    require_mixed(outcomes)


def test_many_pictures_are_answered_as_they_come_with_a_loop(server):
    async def ask() -> list[Outcome]:
        async with whatsit.AsyncClient(server.url) as client:
            return [each async for each in client.classify_many(mixed(), top_k=1)]

    outcomes = asyncio.run(ask())
    require_mixed(sorted(outcomes, key=lambda each: each.index))
    assert {len(each.reply.top) for each in outcomes if each.reply} == {1}


def test_what_is_quick_is_told_first_with_a_loop(server):
    async def ask() -> list[int]:
        async with whatsit.AsyncClient(server.url) as client:
            pictures = [large_png(20), *(small_bitmap(number) for number in range(3))]
            return [each.index async for each in client.classify_many(pictures, cache="bypass")]

    assert asyncio.run(ask())[-1] == 0


def test_pictures_without_end_are_taken_as_they_are_needed(server, client):
    taken: list[int] = []

    def endless() -> Iterator[bytes]:
        while True:
            taken.append(1)
            yield small_bitmap(len(taken) % 5)

    outcomes = client.classify_many(endless(), concurrency=2)
    assert [next(outcomes).index for _ in range(10)] == list(range(10))
    outcomes.close()
    assert len(taken) < 20

    async def ask() -> int:
        taken.clear()
        async with whatsit.AsyncClient(server.url) as other:
            several = other.classify_many(endless(), concurrency=2)
            seen = 0
            async for _ in several:
                seen += 1
                if seen == 10:
                    break
            await several.aclose()
            return seen

    assert asyncio.run(ask()) == 10
    assert len(taken) < 20


def test_leaving_many_pictures_does_not_wait_for_pauses(answer):
    busy = Prepared(503, headers={"Retry-After": "20"})
    # While the first answer is on its way, the second picture gets in line.
    first = replace(answer, delay_seconds=0.5)
    with ScriptedServer(first, busy) as prepared, whatsit.Client(prepared.url) as client:
        outcomes = client.classify_many([BEE] * 9, concurrency=1)
        assert next(outcomes).error is None
        assert wait_until(lambda: len(prepared.heads) == 2)
        start = time.monotonic()
        outcomes.close()

    assert time.monotonic() - start < 20
    assert len(prepared.heads) == 2


def test_the_loop_has_all_that_the_other_client_has(server, tmp_path):
    (tmp_path / "bee.jpg").write_bytes(BEE)

    async def ask() -> None:
        async with whatsit.AsyncClient(server.url) as client:
            assert (await client.classify(tmp_path / "bee.jpg")).prediction.answer.label == "bee"
            assert (await client.explain(BEE)).startswith(b"\x89PNG")
            assert (await client.models()).serving.name == MODEL
            assert await client.is_ready()
            with pytest.raises(ImageUnreadable):
                await client.classify(b"no picture")
        async with whatsit.AsyncClient("http://localhost:9", max_retries=1) as nobody:
            assert not await nobody.is_ready()
            with pytest.raises(ServerUnreachable):
                await nobody.classify(BEE)

    asyncio.run(ask())


def test_one_client_serves_several_threads(client):
    with ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(lambda n: client.classify(small_bitmap(n % 7)), range(60)))
    expected = [client.classify(small_bitmap(n % 7)).prediction for n in range(60)]

    assert [reply.prediction for reply in replies] == expected


def test_connections_are_used_again(answer):
    with ScriptedServer(answer) as prepared, whatsit.Client(prepared.url) as client:
        for _ in range(5):
            client.classify(BEE)

    assert (len(prepared.heads), prepared.connections) == (5, 1)


# Trouble


def test_a_key_is_asked_for_and_sent(tmp_path):
    keys = {"WHATSIT_API_KEYS": "required"}
    with start_server(tmp_path, "--no-ui", model=MODEL, environment=keys) as server:
        made = [sys.executable, "-m", "whatsit", "keys", "create", "x", "--store", str(tmp_path)]
        key = subprocess.run(made, capture_output=True, text=True, check=True).stdout.strip()
        with whatsit.Client(server.url, key) as client:
            assert wait_until(lambda: _is_let_in(client))
            assert client.classify(BEE).prediction.answer.label == "bee"
        for wrong in (None, "wsk_wrong"):
            with whatsit.Client(server.url, wrong) as client, pytest.raises(Unauthorized):
                client.classify(BEE)
        with whatsit.Client(server.url.replace("//", "//a:b@"), key) as client:
            assert client.models().serving.name == MODEL


def test_keys_may_be_in_a_folder_that_servers_share(tmp_path):
    home, keys = tmp_path / "home", tmp_path / "keys"
    home.mkdir()
    settings = {"WHATSIT_API_KEYS": "required", "WHATSIT_KEYS_FOLDER": str(keys)}
    made = [sys.executable, "-m", "whatsit", "keys", "create", "x", "--store", str(home)]
    key = subprocess.run(
        made, env={**os.environ, **settings}, capture_output=True, text=True, check=True
    ).stdout.strip()
    with (
        start_server(home, "--no-ui", model=MODEL, environment=settings) as server,
        whatsit.Client(server.url, key) as client,
    ):
        assert _is_let_in(client)
    assert (keys / "keys.json").exists()
    assert not (home / "keys.json").exists()


def _is_let_in(client: whatsit.Client) -> bool:
    try:
        client.models()
    except Unauthorized:
        return False
    return True


@pytest.mark.extended
def test_an_overloaded_server_is_waited_for(tmp_path):
    tight = {"WHATSIT_INFERENCE_THREADS": "1", "WHATSIT_MAX_QUEUE": "0"}
    with (
        start_server(tmp_path, "--no-ui", model=MODEL, environment=tight) as server,
        whatsit.Client(server.url, max_retries=0) as hasty,
        whatsit.Client(server.url, max_retries=10) as patient,
        ThreadPoolExecutor(1) as pool,
    ):
        # Decoding it takes longer than asking twice.
        busy = pool.submit(patient.classify, large_png(48))
        assert wait_until(lambda: server.metric("whatsit_working_pictures") == 1)
        with pytest.raises(Overloaded) as caught:
            hasty.classify(small_bitmap(100))
        start = time.monotonic()
        outcomes = list(patient.classify_many(map(small_bitmap, range(12)), concurrency=6))
        elapsed = time.monotonic() - start
        refused = server.metric('whatsit_refusals_total{code="overloaded"}')
        busy.result()

    assert caught.value.retry_after_seconds == 1
    assert [each.error for each in outcomes] == [None] * 12
    assert refused > 1
    assert elapsed > 1


@pytest.mark.extended
def test_a_server_that_restarts_between_two_calls_is_found_again(tmp_path):
    def start(*arguments: str) -> Any:  # a context manager of `start_server`
        return start_server(tmp_path, "--no-ui", *arguments, model=MODEL)

    with start() as first:
        client = whatsit.Client(first.url, max_retries=20)
        assert client.classify(BEE).prediction.answer.label == "bee"
    port = first.url.rsplit(":", 1)[1]
    with client, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(client.classify, BEE)
        time.sleep(0.3)
        assert not asked.done()
        with start("--port", port):
            assert asked.result(30).prediction.answer.label == "bee"


def soon(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize("trouble", [RESET, Prepared(502, b"<html>"), Prepared(504), Prepared(429)])
def test_what_passes_is_tried_again_with_growing_pauses(answer, trouble):
    with (
        ScriptedServer(trouble, trouble, answer) as prepared,
        whatsit.Client(prepared.url) as client,
    ):
        assert client.classify(BEE).prediction.answer.label == "bee"

    first, second, third = prepared.asked_at
    assert second - first >= 0.12
    assert third - second >= 0.24


def test_a_retry_after_is_waited_for(answer):
    busy = Prepared(503, headers={"Retry-After": "1"})
    with ScriptedServer(busy, answer) as prepared, whatsit.Client(prepared.url) as client:
        client.classify(BEE)
    with ScriptedServer(busy, answer) as later:

        async def ask() -> None:
            async with whatsit.AsyncClient(later.url) as client:
                await client.classify(BEE)

        asyncio.run(ask())

    for server in (prepared, later):
        first, second = server.asked_at
        assert second - first >= 1


def test_a_retry_after_may_be_a_date(answer):
    busy = Prepared(429, headers={"Retry-After": soon(3)})
    with ScriptedServer(busy, answer) as prepared, whatsit.Client(prepared.url) as client:
        client.classify(BEE)

    first, second = prepared.asked_at
    assert second - first > 1.5


def test_who_would_have_to_wait_too_long_is_told_at_once(answer):
    document = b'{"code": "rate_limited", "detail": "That was more than 1/hour."}'
    busy = Prepared(429, document, {"Retry-After": "3600"})
    with (
        ScriptedServer(busy, answer) as prepared,
        whatsit.Client(prepared.url) as client,
        pytest.raises(RateLimited, match="1/hour") as caught,
    ):
        client.classify(BEE)

    assert caught.value.retry_after_seconds == 3600
    assert len(prepared.heads) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 413, 500, 501])
def test_what_would_stay_is_not_tried_again(answer, status):
    with (
        ScriptedServer(Prepared(status), answer) as prepared,
        whatsit.Client(prepared.url) as client,
        pytest.raises(ServerError) as caught,
    ):
        client.classify(BEE)

    assert caught.value.status == status
    assert len(prepared.heads) == 1


def test_attempts_end():
    with (
        ScriptedServer(Prepared(503)) as prepared,
        whatsit.Client(prepared.url, max_retries=2) as client,
        pytest.raises(ServerError, match="503"),
    ):
        client.classify(BEE)

    assert len(prepared.heads) == 3


def test_silence_ends_and_is_not_tried_again(answer):
    with (
        ScriptedServer(SILENCE, answer) as prepared,
        whatsit.Client(prepared.url, timeout=0.3) as client,
        pytest.raises(ServerUnreachable, match=r"silent for 0\.3 s") as caught,
    ):
        client.classify(BEE)

    assert len(prepared.heads) == 1
    assert isinstance(caught.value.__cause__, httpx.ReadTimeout)


def test_closing_ends_a_pause_in_another_thread():
    with ScriptedServer(Prepared(503, headers={"Retry-After": "30"})) as busy:
        client = whatsit.Client(busy.url)
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(client.classify, BEE)
            assert wait_until(lambda: len(busy.heads) == 1)
            client.close()
            with pytest.raises(ServerError):
                asked.result(3)


def ask(client: whatsit.Client) -> bool:
    try:
        client.classify(BEE)
    except ServerError:
        return client.is_ready()
    return True


def ask_until_closed() -> list[bool]:
    """Whether each of eight calls of a server that is silent got anything but an error."""
    with ScriptedServer(SILENCE) as silent, ThreadPoolExecutor(8) as pool:
        client = whatsit.Client(silent.url)
        asked = [pool.submit(ask, client) for _ in range(8)]
        assert wait_until(lambda: len(silent.heads) == 8)
        client.close()
        return [each.result(10) for each in asked]


def test_closing_ends_also_what_is_asked_while_it_closes():
    assert not any(any(ask_until_closed()) for _ in range(20))


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(answer, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with ScriptedServer(answer) as prepared, whatsit.Client(prepared.url, max_retries=0) as client:
        assert client.classify(BEE).prediction.answer.label == "bee"


def test_a_path_before_the_api_is_kept(answer):
    with (
        ScriptedServer(answer) as prepared,
        whatsit.Client(f"{prepared.url}/whatsit/", "a-key") as client,
    ):
        client.classify(BEE)

    assert prepared.heads[0].startswith("POST /whatsit/api/v1/classify?top_k=5&cache=use HTTP/1.1")
    assert "x-api-key: a-key" in prepared.heads[0].lower()
