"""Parts of the cache that need no server: codec, key, breaker, tiers, memory."""

import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whatsit.cache.breaker import CircuitBreaker
from whatsit.cache.codec import decode_prediction, encode_prediction
from whatsit.cache.key import build_cache_key
from whatsit.cache.memory import MemoryCache
from whatsit.cache.redis import connect
from whatsit.cache.tiers import TieredCache
from whatsit.cache.write_behind import WriteBehind
from whatsit.errors import CacheError, SettingsError
from whatsit.prediction import Answer, AnswerPart, ScoredLabel
from whatsit.testing import fake_classifier, plain_picture

PREDICTION = fake_classifier().classify(plain_picture("red"))


class Clock:
    """Seconds that pass when the test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class FailingCache:
    """A shared tier that is away."""

    def get(self, key):
        raise CacheError("away")

    def claim(self, key, seconds):
        raise CacheError("away")

    def put(self, key, prediction):
        raise CacheError("away")

    def put_all(self, entries):
        raise CacheError("away")

    def close(self):
        pass


def test_a_prediction_survives_the_codec():
    assert decode_prediction("key", encode_prediction("key", PREDICTION)) == PREDICTION


def test_a_group_its_path_the_set_and_the_parts_survive_the_codec():
    entries = tuple(
        ScoredLabel(name, None, index, 0.5 / (index + 1))
        for index, name in enumerate(("beagle", "basset", "teapot"))
    )
    said = Answer(
        *("A dog.", "dog", "n1", 0.75, "sure", "group", ("animal", "dog"), entries[:2]),
        parts=(
            AnswerPart("stated", "almost_certain", "dog", "n1", "group", 0.75),
            AnswerPart("guess", "possible", "basset", None, "class", 0.25),
            AnswerPart("guess", "possible", "not among the best", None, "class", 0.001),
        ),
    )
    prediction = replace(PREDICTION, top=entries, answer=said)

    assert decode_prediction("key", encode_prediction("key", prediction)) == prediction


@given(st.binary(max_size=200))
def test_foreign_bytes_are_never_taken_for_a_prediction(stored):
    with pytest.raises(CacheError):
        decode_prediction("key", stored)


@given(st.data())
def test_no_changed_bit_goes_unnoticed(data):
    stored = bytearray(encode_prediction("key", PREDICTION))
    position = data.draw(st.integers(0, len(stored) - 1))
    stored[position] ^= 1 << data.draw(st.integers(0, 7))

    with pytest.raises(CacheError):
        decode_prediction("key", bytes(stored))


def test_the_key_differs_with_each_ingredient_and_only_with_them():
    base = ("whatsit", "f" * 64, "0" * 64)
    keys = {
        build_cache_key(*base),
        build_cache_key("other", *base[1:]),
        build_cache_key(base[0], "e" + "f" * 63, base[2]),
        build_cache_key(*base[:2], "1" + "0" * 63),
    }

    assert len(keys) == 4
    assert build_cache_key(*base) in keys


def test_the_breaker_opens_probes_and_closes():
    clock = Clock()
    breaker = CircuitBreaker(pause_seconds=2.0, clock=clock)
    assert breaker.admits()

    breaker.failed()
    assert not breaker.admits()
    clock.now = 2.0
    assert breaker.admits()
    assert not breaker.admits(), "only one probe in a pause"

    breaker.succeeded()
    assert not breaker.is_open
    assert breaker.admits()


def test_a_failed_probe_keeps_the_breaker_open():
    clock = Clock()
    breaker = CircuitBreaker(pause_seconds=2.0, clock=clock)
    breaker.failed()
    clock.now = 2.0
    assert breaker.admits()
    breaker.failed()

    clock.now = 3.9
    assert not breaker.admits()
    clock.now = 4.0
    assert breaker.admits()


def test_one_slow_call_is_forgiven_and_three_in_a_row_open_the_breaker():
    clock = Clock()
    changes: list[bool] = []
    breaker = CircuitBreaker(
        pause_seconds=2.0, slow_seconds=0.1, clock=clock, on_change=changes.append
    )
    for elapsed in (0.2, 0.2, 0.05, 0.2, 0.2):
        breaker.succeeded(elapsed)
    assert not breaker.is_open

    breaker.succeeded(0.2)
    assert not breaker.admits()
    clock.now = 2.0
    assert breaker.admits()
    breaker.succeeded(0.2)
    assert breaker.is_open, "a slow probe does not close it"
    clock.now = 4.0
    assert breaker.admits()
    breaker.succeeded(0.05)
    assert not breaker.is_open
    assert changes == [True, False]


def test_an_entry_under_another_key_is_damaged():
    with pytest.raises(CacheError) as caught:
        decode_prediction("other", encode_prediction("key", PREDICTION))

    assert caught.value.failure == "damaged"


def test_a_failing_shared_tier_is_a_miss_and_is_reported():
    failures: list[str] = []
    cache = TieredCache(MemoryCache(10, 60), FailingCache(), failures.append)

    assert cache.get("some") is None
    cache.put("some", PREDICTION)
    assert cache.get("some") == PREDICTION
    assert cache.claim("other", 1) == (None, True)
    assert failures == ["unreachable"] * 3


class OtherProcess(MemoryCache):
    """A shared tier in which somebody else computes whatever is not there."""

    def claim(self, key, seconds):
        return self.get(key), False

    def put_all(self, entries):
        for key, entry in entries:
            self.put(key, entry)


def test_what_the_shared_tier_has_is_kept_in_front():
    front, back = MemoryCache(10, 60), OtherProcess(10, 60)
    back.put("some", PREDICTION)
    cache = TieredCache(front, back)

    assert cache.get_fast("some") is None
    assert cache.get("some") == PREDICTION
    assert cache.get_fast("some") == PREDICTION


def test_memory_forgets_the_least_recently_used():
    cache = MemoryCache(2, 60)
    for key in ("a", "b"):
        cache.put(key, PREDICTION)
    cache.get("a")
    cache.put("c", PREDICTION)

    assert [cache.get(key) is not None for key in ("a", "b", "c")] == [True, False, True]


def test_memory_forgets_after_the_time_to_live():
    clock = Clock()
    cache = MemoryCache(2, 60, clock)
    cache.put("a", PREDICTION)
    clock.now = 59.9
    assert cache.get("a") == PREDICTION
    clock.now = 60.0
    assert cache.get("a") is None


def test_an_address_that_is_none_is_refused_without_its_password():
    with pytest.raises(SettingsError) as caught:
        connect("http://user:secret@host", timeout_seconds=1)

    assert "secret" not in caught.value.detail


class StuckCache(FailingCache):
    """A shared tier that holds every write back until it is let go."""

    def __init__(self):
        self.released = threading.Event()
        self.written: list[str] = []

    def put_all(self, entries):
        assert self.released.wait(10)
        self.written += [key for key, _ in entries]


def test_writing_behind_never_waits_and_finishes_at_the_end():
    tier = StuckCache()
    cache = WriteBehind(tier)
    for number in range(10):
        cache.put(str(number), PREDICTION)
    assert tier.written == []

    tier.released.set()
    cache.close()
    assert tier.written == [str(number) for number in range(10)]


def test_writing_behind_drops_what_the_queue_can_not_hold():
    dropped: list[str] = []
    tier = StuckCache()
    cache = WriteBehind(tier, dropped.append)
    for number in range(1_200):
        cache.put(str(number), PREDICTION)
    tier.released.set()
    cache.close()

    # The queue, and what the writer had taken out of it already.
    assert 1_000 <= len(tier.written) <= 1_100
    assert len(tier.written) + len(dropped) == 1_200


def test_a_failed_write_is_reported():
    failures: list[str] = []
    cache = WriteBehind(FailingCache(), failures.append)
    cache.put("some", PREDICTION)
    cache.close()

    assert failures == ["unreachable"]
