"""Whoever can write to Redis can seal what they like; the answer is computed again all the same."""

import asyncio
import base64
import hashlib
import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import redis

from tests.support.private_redis import PrivateRedis
from whatsit.access.rate_counters import RedisCounters, Window
from whatsit.cache.base import CacheEntry
from whatsit.cache.bounded import MAX_ANSWER_BYTES, AnswerTooLong, BoundedParser
from whatsit.cache.codec import (
    MAX_STORED_BYTES,
    Seal,
    decode_entry,
    encode_entries,
    encode_heat_map,
    encode_prediction,
)
from whatsit.cache.key import build_cache_key
from whatsit.cache.memory import MemoryCache
from whatsit.cache.redis import LEASE, RedisCache, connect
from whatsit.cache.tiers import TieredCache
from whatsit.errors import CacheError
from whatsit.explain import explain
from whatsit.images.overlay import draw_picture
from whatsit.picture import Picture
from whatsit.service.service import Service
from whatsit.testing import fake_classifier, plain_picture

PICTURE = plain_picture("red")
CLASSIFIER = fake_classifier()
PREDICTION = CLASSIFIER.classify(PICTURE)
HEAT_MAP = explain(CLASSIFIER, PICTURE, budget_seconds=0)

Forge = Callable[[Any], Any]


def forge(key: str, payload: bytes, head: bytes = b"") -> bytes:
    """A value whose checksum fits, as anybody can make it."""
    checksum = hashlib.blake2b(key.encode() + b"\0" + payload, digest_size=8).digest()
    return head + checksum + payload


def document_of(stored: bytes, head: bytes = b"") -> Any:
    return json.loads(stored[len(head) + 8 :])


def put(*place: Any) -> Forge:
    """Changes one member: the way there, then what stands there instead."""
    *way, last, value = place

    def change(document: Any) -> Any:
        inner = document
        for step in way:
            inner = inner[step]
        inner[last] = value
        return document

    return change


ANSWER, TOP, IMAGE = 1, 2, 3
WRONG_PREDICTIONS: dict[str, Forge] = {
    "another form": lambda document: {"answer": document},
    "a part is missing": lambda document: document[:3],
    "a part too many": lambda document: [*document, []],
    "null": lambda document: None,
    "object as sentence": put(ANSWER, 0, {"a": 1}),
    "null as sentence": put(ANSWER, 0, None),
    "half a surrogate as sentence": put(ANSWER, 0, "\ud800"),
    "half a surrogate as label": put(TOP, 0, 0, "a \udfff"),
    "number as label": put(ANSWER, 1, 5),
    "list as wnid": put(ANSWER, 2, []),
    "text as score": put(ANSWER, 3, "0.5"),
    "true as score": put(ANSWER, 3, True),
    "null as score": put(TOP, 0, 3, None),
    "not a number as score": put(TOP, 0, 3, float("nan")),
    "infinite score": put(ANSWER, 3, float("inf")),
    "score above 1": put(TOP, 0, 3, 1.5),
    "score below 0": put(ANSWER, 3, -0.1),
    "list as certainty": put(ANSWER, 4, ["sure"]),
    "unknown certainty": put(ANSWER, 4, "certain"),
    "unknown level": put(ANSWER, 5, "kingdom"),
    "text as path": put(ANSWER, 6, "dog"),
    "numbers in the path": put(ANSWER, 6, [1]),
    "endless path": put(ANSWER, 6, ["a"] * 101),
    "text as set": put(ANSWER, 7, "2"),
    "negative set": put(ANSWER, 7, -1),
    "set larger than the list": put(ANSWER, 7, 4),
    "number as recognised": put(ANSWER, 8, 1),
    "text as parts": put(ANSWER, 9, "2"),
    "endless parts": put(ANSWER, 9, [["guess", "possible", 0]] * 9),
    "a part that is too short": put(ANSWER, 9, [["guess", "possible"]]),
    "unknown role": put(ANSWER, 9, [["oath", "possible", 0]]),
    "unknown hedge": put(ANSWER, 9, [["guess", "never", 0]]),
    "list as hedge": put(ANSWER, 9, [["guess", ["possible"], 0]]),
    "a part behind the list": put(ANSWER, 9, [["guess", "possible", 20]]),
    "a part before the list": put(ANSWER, 9, [["guess", "possible", -1]]),
    "a part of another level": put(ANSWER, 9, [["guess", "possible", ["a", None, "kin", 0.5]]]),
    "a part with a number as label": put(
        ANSWER, 9, [["guess", "possible", [1, None, "class", 0.5]]]
    ),
    "a part that scores above 1": put(ANSWER, 9, [["guess", "possible", ["a", None, "class", 2]]]),
    "no labels": put(TOP, []),
    "labels as object": put(TOP, {"a": 1}),
    "too many labels": put(TOP, [["a", None, 0, 0.1]] * 21),
    "labels that rise": lambda d: put(TOP, d[TOP][::-1])(d),
    "negative index": put(TOP, 0, 2, -1),
    "true as index": put(TOP, 0, 2, True),
    "huge index": put(TOP, 0, 2, 10**40),
    "text as width": put(IMAGE, 0, "640"),
    "no width": put(IMAGE, 0, 0),
    "infinite height": put(IMAGE, 1, float("inf")),
    "null as format": put(IMAGE, 2, None),
    "list as digest": put(IMAGE, 3, [1]),
    "short digest": put(IMAGE, 3, "00"),
    "number as fingerprint": put(0, 1, 7),
}
GRID, BOX = 3, 4
WRONG_HEAT_MAPS: dict[str, Forge] = {
    "another form": lambda document: document[0],
    "number as label": put(2, 0, 1),
    "text as index": put(2, 2, "1"),
    "negative index": put(2, 2, -1),
    "unknown method": put(2, 3, "guess"),
    "huge grid": put(GRID, [6_000, 6_000, base64.b64encode(bytes(300)).decode()]),
    "grid of another shape": put(GRID, 0, 5),
    "negative side": put(GRID, 0, -1),
    "empty grid": put(GRID, [0, 0, ""]),
    "list as grid": put(GRID, 2, [0, 1]),
    "text that is no base64": put(GRID, 2, "\u00e4"),
    "box without a number": put(BOX, 0, float("nan")),
    "box of text": put(BOX, ["0", "0", "1", "1"]),
    "box outside the picture": put(BOX, 2, 1e9),
    "box turned round": put(BOX, [20, 0, 10, 10]),
    "text as width": put(1, 0, "x"),
}


@pytest.mark.parametrize("name", WRONG_PREDICTIONS)
def test_a_sealed_prediction_that_could_not_be_is_damaged(name):
    document = document_of(encode_prediction("key", PREDICTION))
    payload = json.dumps(WRONG_PREDICTIONS[name](document)).encode()

    with pytest.raises(CacheError) as caught:
        decode_entry("key", forge("key", payload))
    assert caught.value.failure == "damaged"


@pytest.mark.parametrize("name", WRONG_HEAT_MAPS)
def test_a_sealed_heat_map_that_could_not_be_is_damaged(name):
    document = document_of(encode_heat_map("key", HEAT_MAP), b"heat map")
    payload = json.dumps(WRONG_HEAT_MAPS[name](document)).encode()

    with pytest.raises(CacheError) as caught:
        decode_entry("key", forge("key", payload, b"heat map"))
    assert caught.value.failure == "damaged"


@pytest.mark.parametrize("head", [b"", b"heat map"], ids=["prediction", "heat map"])
@pytest.mark.parametrize(
    "payload",
    [
        b"[" * 30_000,
        b'{"a":' * 6_000,
        b"1" * 5_000,
        b"",
        b"\xff\xfe",
        json.dumps(["\ud800"]).encode("utf-16", "surrogatepass"),
        b'["\xed\xa0\x80"]',
        b"[1e999, -Infinity]",
        b"[" + b"0," * 20_000 + b"0]",
    ],
    ids=["deep", "deep objects", "digits", "empty", "bytes", "utf-16", "surrogate", "inf", "long"],
)
def test_whatever_a_sealed_text_does_to_its_reader_it_is_damaged(payload, head):
    with pytest.raises(CacheError) as caught:
        decode_entry("key", forge("key", payload, head))
    assert caught.value.failure == "damaged"


def test_an_entry_that_would_not_be_read_is_not_written():
    said = replace(PREDICTION.answer, text="x" * MAX_STORED_BYTES)
    long = replace(PREDICTION, answer=said)
    wide = replace(HEAT_MAP, grid=np.zeros((200, 200), dtype=np.float32))
    entries: list[tuple[str, CacheEntry]] = [
        *(("a", long), ("b", PREDICTION), ("c", wide), ("d", HEAT_MAP)),
    ]

    assert [key for key, _ in encode_entries(entries)] == ["b", "d"]
    with pytest.raises(CacheError, match="longer than any entry"):
        decode_entry("a", encode_prediction("a", long))


# Through a real Redis


@dataclass
class Stack:
    """A service in front of a Redis, and what of its cache failed."""

    inside: redis.Redis
    service: Service
    failures: list[str]


@pytest.fixture(scope="module")
def private_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRedis]:
    with PrivateRedis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def stack(private_redis: PrivateRedis, workers: Any) -> Iterator[Stack]:
    failures: list[str] = []
    shared = RedisCache(connect(private_redis.url, timeout_seconds=5), 60)
    # Without its own memory the process has to ask Redis for every picture.
    cache = TieredCache(MemoryCache(0, 60), shared, failures.append)
    with private_redis.client() as inside:
        for key in inside.scan_iter():
            inside.delete(key)
        yield Stack(inside, Service(CLASSIFIER, cache, workers=workers, namespace="n"), failures)
    cache.close()


def file_key(asked: str = "") -> str:
    sha256 = hashlib.sha256(PICTURE).hexdigest()
    return build_cache_key("n", CLASSIFIER.model.fingerprint, sha256, asked)


def pixels_key(inside: redis.Redis) -> str:
    key: bytes = next(inside.scan_iter("*:pixels"))
    return key.decode()


ODD_VALUES: dict[str, Callable[[redis.Redis, str], object]] = {
    "deep": lambda inside, key: inside.set(key, forge(key, b"[" * 30_000)),
    "null scores": lambda inside, key: inside.set(
        key, forge(key, json.dumps(put(TOP, 0, 3, None)(prediction_document())).encode())
    ),
    "empty": lambda inside, key: inside.set(key, b""),
    "100 MB": lambda inside, key: inside.setrange(key, 100_000_000, b"x"),
    "300 kB": lambda inside, key: inside.set(key, bytes(300_000)),
    "list": lambda inside, key: inside.rpush(key, "a"),
    "hash": lambda inside, key: inside.hset(key, "a", "b"),
    "stream": lambda inside, key: inside.xadd(key, {"a": "b"}),
    "heat map in its place": lambda inside, key: inside.set(key, encode_heat_map(key, HEAT_MAP)),
}


def prediction_document() -> Any:
    return document_of(encode_prediction("key", PREDICTION))


@pytest.mark.parametrize("odd", ODD_VALUES)
def test_odd_values_under_every_key_of_a_picture_cost_nothing_but_time(stack, odd):
    stack.service.classify(Picture.of(PICTURE))
    keys = [file_key(), pixels_key(stack.inside)]
    for key in keys:
        stack.inside.delete(key, f"{key}{LEASE}")
        ODD_VALUES[odd](stack.inside, key)

    reply = stack.service.classify(Picture.of(PICTURE))

    assert (reply.prediction, reply.cache) == (PREDICTION, "miss")
    assert stack.failures == ([] if odd.startswith("heat map") else ["damaged"] * 2)
    assert stack.service.classify(Picture.of(PICTURE)).cache == "hit"


@pytest.mark.parametrize("odd", ["list", "100 MB", "forged"])
def test_odd_heat_maps_are_made_again(stack, odd):
    key = file_key("why:best")
    if odd == "forged":
        wrong = WRONG_HEAT_MAPS["huge grid"]
        document = document_of(encode_heat_map(key, HEAT_MAP), b"heat map")
        stack.inside.set(key, forge(key, json.dumps(wrong(document)).encode(), b"heat map"))
    else:
        ODD_VALUES[odd](stack.inside, key)

    assert stack.service.explain(Picture.of(PICTURE)).cache == "miss"
    assert stack.failures == ["damaged"]
    assert stack.service.explain(Picture.of(PICTURE)).cache == "hit"


@pytest.mark.parametrize("odd", ["eternal", "list", "100 MB"])
def test_odd_leases_hold_nobody_up_for_long(stack, odd):
    stack.service.classify(Picture.of(PICTURE))
    key = pixels_key(stack.inside)
    stack.inside.delete(file_key(), key, f"{key}{LEASE}")
    if odd == "eternal":
        stack.inside.set(f"{key}{LEASE}", "x")
    else:
        ODD_VALUES[odd](stack.inside, f"{key}{LEASE}")

    assert stack.service.classify(Picture.of(PICTURE)).prediction == PREDICTION
    assert stack.failures == []


def test_a_heat_map_over_the_last_sliver_of_a_picture_can_be_drawn():
    box = (31.9, 23.9, 32, 24)

    assert draw_picture(PICTURE, replace(HEAT_MAP, box=box)).startswith(b"\x89PNG")


def test_keys_that_are_none_of_ours_are_not_counted_as_models(stack):
    stack.inside.set("n:3:\x1b[2J:x", "")
    stack.inside.set(file_key(), "")
    shared = RedisCache(stack.inside, 60)

    assert shared.count("n") == {CLASSIFIER.model.fingerprint[:32]: 1}


def test_an_answer_without_end_is_not_read_to_its_end():
    near, far = socket.socketpair()
    near.settimeout(10)

    class Connection:
        _sock = near
        socket_timeout = 10
        encoder = type("Encoder", (), {"encoding_errors": "strict", "decode_responses": False})

    parser = BoundedParser(65_536)
    parser.on_connect(Connection)
    far.settimeout(10)
    far.sendall(b"$100000000\r\n")

    def go_on() -> None:
        while True:
            far.sendall(bytes(20_000))
            parser.read_from_socket()

    with pytest.raises(AnswerTooLong):
        go_on()
    assert parser._reader.len() <= MAX_ANSWER_BYTES + 65_536
    near.close()
    far.close()


# Counts


@pytest.mark.parametrize("odd", ["-100", "9223372036854775000", "x", "1" * 300_000, "1.5", ""])
@pytest.mark.parametrize("offset", [0, -1], ids=["this window", "the one before"])
def test_odd_counts_neither_lock_a_caller_out_nor_let_one_pass_for_ever(private_redis, odd, offset):
    window = Window(7, 60, 0.5, 3)

    async def ask() -> list[Any]:
        counters = RedisCounters(private_redis.url, f"odd-{offset}-{odd[:9]}", breaker=None)
        key = counters._key("a", window.number + offset)
        with private_redis.client() as inside:
            inside.set(key, odd)
        told: list[Any] = []
        for _ in range(2):
            try:
                told.append(await counters.count("a", window))
            except CacheError as error:
                told.append(error.failure)
        await counters.close()
        return told

    told = asyncio.run(ask())
    if offset == 0:
        # The caller of this is then counted by the process alone.
        assert set(told) <= {"damaged", "refused"}
    elif len(odd) > MAX_ANSWER_BYTES:
        assert told == ["damaged"] * 2
    else:
        assert [(tally.current, tally.previous) for tally in told] == [(0, 0), (1, 0)]


# With a secret


SECRET = "a secret of the replicas"


def test_without_a_secret_keys_and_bytes_are_as_they_were():
    key = build_cache_key("whatsit", "f" * 64, "0" * 64)
    payload = encode_prediction(key, PREDICTION)[8:]

    assert encode_prediction(key, PREDICTION) == forge(key, payload)
    assert Seal().place(key) == key


def test_with_a_secret_only_those_who_know_it_are_believed(private_redis):
    def open_cache(secret: str | None) -> RedisCache:
        return RedisCache(connect(private_redis.url, timeout_seconds=5), 60, seal=Seal(secret))

    ours, same, other, none = map(open_cache, (SECRET, SECRET, f"{SECRET} 2", None))
    key = build_cache_key("secret", "f" * 64, "0" * 64)
    place = Seal(SECRET).place(key)
    ours.put(key, PREDICTION)

    assert same.get(key) == PREDICTION
    assert (other.get(key), none.get(key)) == (None, None), "an old entry is a miss"
    assert ours.count("secret") == {"f" * 32: 1}

    with private_redis.client() as inside:
        stored = inside.get(place)
        assert stored is not None
        assert SECRET.encode() not in stored + place.encode()
        payload = stored[16:]
        stranger = RedisCache(connect(private_redis.url, timeout_seconds=5), 60)
        stranger.put(place, PREDICTION)  # what anybody can seal
        forged = [
            inside.get(place),
            forge(key, payload),
            forge(place, payload),
            bytes(16) + payload,
            Seal(f"{SECRET} 2").make(key, payload) + payload,
            stored[:16] + payload.replace(b"red thing", b"sad thing"),
            Seal(SECRET).make(f"{key}0", payload) + payload,
        ]
        for value in forged:
            assert value is not None
            inside.set(place, value)
            with pytest.raises(CacheError) as caught:
                ours.get(key)
            assert caught.value.failure == "damaged"
            assert inside.get(place) is None, "a forged entry stays"
    assert ours.claim(key, 1) == (None, True)
    assert same.claim(key, 1) == (None, False)
    for cache in (ours, same, other, none, stranger):
        cache.close()


@pytest.mark.parametrize("head", [b"", b"heat map"])
def test_no_changed_bit_of_a_signed_entry_goes_unnoticed(head):
    seal = Seal(SECRET)
    ((_, stored),) = encode_entries([("key", HEAT_MAP if head else PREDICTION)], seal)
    decode_entry("key", stored, seal)
    for place in range(len(stored)):
        changed = bytearray(stored)
        changed[place] ^= 1 << (place % 8)
        with pytest.raises(CacheError):
            decode_entry("key", bytes(changed), seal)
