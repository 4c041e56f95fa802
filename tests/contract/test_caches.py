"""Every tier of the prediction cache keeps the same promises."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.private_redis import PrivateRedis
from tests.support.waiting import wait_until
from whatsit.cache.base import PredictionCache
from whatsit.cache.memory import MemoryCache
from whatsit.cache.redis import RedisCache, connect
from whatsit.cache.write_behind import WriteBehind
from whatsit.prediction import Prediction
from whatsit.testing import fake_classifier, plain_picture

MakeCache = Callable[[int], PredictionCache]
"""Makes a cache whose entries live for so many seconds."""


class Settled(WriteBehind):
    """Waits until a write has arrived, so that a test can read it back at once."""

    def put(self, key, prediction):
        super().put(key, prediction)
        assert wait_until(lambda: self.get(key) == prediction)


@pytest.fixture(scope="module")
def private_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRedis]:
    with PrivateRedis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(params=["memory", "redis", "behind"])
def make_cache(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeCache]:
    made: list[PredictionCache] = []

    def make(ttl_seconds: int) -> PredictionCache:
        if request.param == "memory":
            made.append(MemoryCache(100, ttl_seconds))
        else:
            server = request.getfixturevalue("private_redis")
            cache = RedisCache(connect(server.url, timeout_seconds=1.0), ttl_seconds)
            made.append(Settled(cache) if request.param == "behind" else cache)
        return made[-1]

    yield make
    for cache in made:
        cache.close()


@pytest.fixture
def prediction() -> Prediction:
    return fake_classifier().classify(plain_picture("red"))


def test_an_entry_written_is_read_back(make_cache, prediction, tmp_path):
    cache = make_cache(60)
    cache.put(f"{tmp_path}:some", prediction)

    assert cache.get(f"{tmp_path}:some") == prediction


def test_an_absent_entry_is_none(make_cache, tmp_path):
    assert make_cache(60).get(f"{tmp_path}:absent") is None


def test_a_later_entry_replaces_an_earlier_one(make_cache, prediction, tmp_path):
    cache = make_cache(60)
    later = replace(prediction, top=prediction.top[:1])
    cache.put(f"{tmp_path}:some", prediction)
    cache.put(f"{tmp_path}:some", later)

    assert cache.get(f"{tmp_path}:some") == later


def test_an_entry_is_gone_after_its_time_to_live(make_cache, prediction, tmp_path):
    cache = make_cache(1)
    cache.put(f"{tmp_path}:brief", prediction)
    assert cache.get(f"{tmp_path}:brief") == prediction

    assert wait_until(lambda: cache.get(f"{tmp_path}:brief") is None)


def test_labels_beyond_ascii_survive(make_cache, prediction, tmp_path):
    cache = make_cache(60)
    answer = replace(prediction.answer, text="Ein Bär — 熊 (93 %).")
    worded = replace(prediction, answer=answer)
    cache.put(f"{tmp_path}:some", worded)

    assert cache.get(f"{tmp_path}:some") == worded
