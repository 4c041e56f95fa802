"""An answer again, by the digest of its picture: while it is kept, in the process or in Redis."""

import concurrent.futures
import hashlib
import time

import pytest

from tests.integration.test_api import CLASSIFY, require_problem
from tests.support.private_redis import PrivateRedis
from tests.support.running import RunningServer, start_server
from tests.support.waiting import wait_until
from whatsit.data import example_pictures
from whatsit.testing import plain_picture
from whatsit.web.api.schemas import ClassifyDocument
from whatsit.web.paths import does_work, is_open

MODEL = "efficientnet-lite2"
UNKNOWN = "0" * 64


def path_of(picture: bytes) -> str:
    return f"/api/v1/answers/{hashlib.sha256(picture).hexdigest()}"


@pytest.fixture(scope="module")
def client(server: RunningServer):
    with server.client() as client:
        yield client


def test_a_kept_answer_is_given_again(client):
    bee = example_pictures()["bee"]
    asked = ClassifyDocument.model_validate(client.post(CLASSIFY, content=bee).json())
    again = client.get(path_of(bee))

    document = ClassifyDocument.model_validate(again.json())
    assert again.status_code == 200
    assert (document.answer, document.top) == (asked.answer, asked.top)
    assert (document.image, document.model) == (asked.image, asked.model)
    assert document.cache == again.headers["x-cache"] == "hit"
    assert document.id == again.headers["x-request-id"] != asked.id
    assert again.headers["cache-control"] == "no-store"
    assert "total;dur=" in again.headers["server-timing"]


def test_a_digest_may_be_written_in_capitals_and_with_fewer_labels(client):
    bee = example_pictures()["bee"]
    client.post(CLASSIFY, content=bee)
    capitals = hashlib.sha256(bee).hexdigest().upper()

    again = client.get(f"/api/v1/answers/{capitals}", params={"top_k": 1})
    assert len(ClassifyDocument.model_validate(again.json()).top) == 1


def test_head_tells_whether_there_is_one(client):
    bee = example_pictures()["bee"]
    client.post(CLASSIFY, content=bee)

    there, missing = client.head(path_of(bee)), client.head(f"/api/v1/answers/{UNKNOWN}")
    assert (there.status_code, missing.status_code) == (200, 404)
    assert there.content == missing.content == b""
    assert there.headers["cache-control"] == missing.headers["cache-control"] == "no-store"


def test_an_unknown_picture_has_no_answer(client):
    answered = client.get(f"/api/v1/answers/{UNKNOWN}")

    assert "Send the picture again" in require_problem(answered, 404, "answer_unknown").detail
    assert answered.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "digest", ["0" * 63, "0" * 65, "g" * 64, "%C3%A9" * 32, "\u0661" * 64, "a", "0" * 64 + "%0A"]
)
def test_what_is_no_digest_is_refused(client, digest):
    require_problem(client.get(f"/api/v1/answers/{digest}"), 422, "invalid_parameter")


@pytest.mark.parametrize("top_k", ["0", "21", "x"])
def test_the_number_of_labels_has_its_range_here_too(client, top_k):
    answered = client.get(f"/api/v1/answers/{UNKNOWN}", params={"top_k": top_k})

    require_problem(answered, 422, "invalid_parameter")


def test_a_picture_asked_about_without_the_cache_has_no_answer_later(client):
    picture = plain_picture("#0f0e0d")
    client.post(CLASSIFY, content=picture, params={"cache": "bypass"})

    require_problem(client.get(path_of(picture)), 404, "answer_unknown")


def test_keys_and_rates_are_for_answers_too():
    path = f"/api/v1/answers/{UNKNOWN}"

    assert not is_open(path)
    assert does_work(path)


def test_answers_come_from_redis_and_a_frozen_one_costs_its_time_out(tmp_path):
    private_redis = PrivateRedis(tmp_path)
    environment = {
        "WHATSIT_REDIS_URL": private_redis.url,
        # Without its own memory the process has to ask Redis for every answer.
        "WHATSIT_CACHE_MEMORY_ENTRIES": "0",
        "WHATSIT_REDIS_TIMEOUT_SECONDS": "1",
    }
    with (
        private_redis,
        start_server(tmp_path, "--no-ui", model=MODEL, environment=environment) as server,
        server.client() as client,
        server.client() as other,
        concurrent.futures.ThreadPoolExecutor(1) as pool,
    ):
        bee = example_pictures()["bee"]
        require_problem(client.get(path_of(bee)), 404, "answer_unknown")
        client.post(CLASSIFY, content=bee)
        # It is stored after it was given.
        assert wait_until(lambda: client.get(path_of(bee)).status_code == 200)

        private_redis.freeze()
        start = time.monotonic()
        waiting = pool.submit(client.get, path_of(bee))
        time.sleep(0.1)
        # Others are answered meanwhile.
        assert other.get("/healthz").status_code == 200
        assert not waiting.done()
        require_problem(waiting.result(), 404, "answer_unknown")
        assert 0.8 < time.monotonic() - start < 30
