"""Many ask for the same new picture at once: it is computed once, and all get the answer."""

import io
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from PIL import Image

from tests.support.load import Load, burst, post, send_and_leave
from tests.support.pictures import large_png, new_picture, png_with_text, with_comment, with_exif
from tests.support.private_redis import PrivateRedis
from tests.support.running import RunningServer, start_server
from tests.trouble.answers import CLASSIFY, COMPUTATIONS, compute_answers
from whatsit.data import example_pictures

REQUESTS = 64
LEAVERS = 50


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RunningServer]]:
    """Two server processes that share one Redis and nothing else."""
    with ExitStack() as stack:
        private_redis = stack.enter_context(PrivateRedis(tmp_path_factory.mktemp("redis")))
        yield [
            stack.enter_context(
                start_server(
                    tmp_path_factory.mktemp("home"),
                    "--no-ui",
                    model="efficientnet-lite2",
                    environment={"WHATSIT_REDIS_URL": private_redis.url},
                )
            )
            for _ in range(2)
        ]


@pytest.fixture(scope="module")
def big_picture() -> bytes:
    return large_png(36)


def computations(servers: list[RunningServer]) -> float:
    return sum(server.metric(COMPUTATIONS) for server in servers)


def ask_together(servers: list[RunningServer], picture: bytes) -> Load:
    urls = [f"{server.url}{CLASSIFY}" for server in servers]
    return burst([post(urls[number % len(urls)], picture, "it") for number in range(REQUESTS)])


@pytest.mark.parametrize("processes", [1, 2])
def test_simultaneous_requests_for_a_new_picture_compute_it_once(servers, processes):
    asked = servers[:processes]
    seen = []
    for attempt in range(5):
        picture = new_picture(10_000 + 100 * processes + attempt)
        (right,) = compute_answers(servers[0], {"it": picture}).values()
        before = computations(asked)

        load = ask_together(asked, picture).require_ok()

        wrong = [wrong for each in load.outcomes if (wrong := right.is_wrong(each))]
        outcomes = dict(Counter(outcome.cache for outcome in load.outcomes))
        seen.append((computations(asked) - before, outcomes))
        assert wrong == []
    for computed, outcomes in seen:
        assert computed == 1, seen
        assert outcomes.get("miss") == 1, seen
        assert set(outcomes) <= {"miss", "coalesced", "hit"}, seen


def test_the_same_pixels_in_other_bytes_are_a_hit(servers):
    image = Image.open(io.BytesIO(new_picture(20_000)))
    jpeg = new_picture(20_001)
    webp = io.BytesIO()
    image.save(webp, "WEBP", lossless=True)
    again = {
        "PNG, saved again": (
            png_with_text(image, "first"),
            png_with_text(image, "second", compress_level=1),
        ),
        "PNG, saved as lossless WebP": (png_with_text(image, "third"), webp.getvalue()),
        "JPEG with another comment": (jpeg, with_comment(jpeg, "mine")),
        "JPEG with other EXIF": (jpeg, with_exif(jpeg, "taken on a Monday")),
    }
    with servers[0].client() as client:
        for what, (first, second) in again.items():
            assert first != second
            one = client.post(CLASSIFY, content=first).json()
            other = client.post(CLASSIFY, content=second).json()
            assert other["cache"] == "hit", what
            assert other["image"]["sha256"] != one["image"]["sha256"], what
            assert (other["answer"], other["top"]) == (one["answer"], one["top"]), what


def test_a_client_that_leaves_does_not_take_the_answer_along(servers, big_picture):
    picture = big_picture + b"left early"
    (right,) = compute_answers(servers[0], {"it": picture}).values()
    url = f"{servers[0].url}{CLASSIFY}"
    with ThreadPoolExecutor(1) as pool:
        leaver = pool.submit(send_and_leave, post(url, picture), 0.15)
        time.sleep(0.1)  # it has to be the first one, and still be there when the others come
        load = burst([post(url, picture, "it") for _ in range(8)])
        leaver.result()

    load.require_ok()
    assert [wrong for each in load.outcomes if (wrong := right.is_wrong(each))] == []


def test_clients_that_leave_free_their_places(servers, big_picture):
    url = f"{servers[0].url}{CLASSIFY}"
    # Nobody waits for any of these any more when the good one comes.
    for number in range(LEAVERS):
        send_and_leave(post(url, big_picture + b"%d" % number))
    before = time.monotonic()
    load = burst([post(url, example_pictures()["bee"] + b"good", "good")])
    waited = time.monotonic() - before

    load.require_ok()
    assert load.outcomes[0].document["answer"]["label"] == "bee"
    assert waited < 2.0
