"""A Redis that is away costs speed, never an answer; hits come back by themselves."""

import itertools
from pathlib import Path

import pytest

from tests.integration.test_api import CLASSIFY
from tests.private_redis import PrivateRedis
from tests.running import RunningServer, start_server
from tests.waiting import wait_until
from whatsit.testing import plain_picture

_colours = itertools.count(1)


def new_picture() -> bytes:
    return plain_picture(f"#{next(_colours):06x}")


@pytest.fixture
def private_redis(tmp_path: Path) -> PrivateRedis:
    return PrivateRedis(tmp_path)


def serve(tmp_path: Path, private_redis: PrivateRedis):
    return start_server(
        tmp_path,
        "--no-ui",
        model="efficientnet-lite2",
        # Without its own memory the process has to ask Redis for every picture.
        environment={
            "WHATSIT_REDIS_URL": private_redis.url,
            "WHATSIT_CACHE_MEMORY_ENTRIES": "0",
        },
    )


def classify(server: RunningServer, picture: bytes) -> str:
    with server.client() as client:
        response = client.post(CLASSIFY, content=picture)
    assert response.status_code == 200, response.text
    assert response.json()["answer"]["text"]
    return str(response.json()["cache"])


def becomes_hit(server: RunningServer, picture: bytes) -> bool:
    """Whether the answer is found in Redis before long; it is stored after it was given."""
    return wait_until(lambda: classify(server, picture) == "hit", seconds=10)


def hits_return(server: RunningServer) -> bool:
    return becomes_hit(server, new_picture())


def cache_state(server: RunningServer) -> str:
    with server.client() as client:
        return str(client.get("/readyz").json()["cache"])


def test_redis_may_be_unreachable_at_start_and_come_later(tmp_path, private_redis):
    with serve(tmp_path, private_redis) as server:
        picture = new_picture()
        assert [classify(server, picture) for _ in range(3)] == ["miss"] * 3
        assert cache_state(server) == "unreachable"

        with private_redis:
            assert hits_return(server)
            assert wait_until(lambda: cache_state(server) == "reachable", seconds=5)


def test_redis_may_be_killed_and_come_back(tmp_path, private_redis):
    with private_redis, serve(tmp_path, private_redis) as server:
        picture = new_picture()
        assert classify(server, picture) == "miss"
        assert becomes_hit(server, picture)

        private_redis.kill()
        assert [classify(server, picture) for _ in range(5)] == ["miss"] * 5

        private_redis.start()
        assert hits_return(server)


def test_redis_may_freeze(tmp_path, private_redis):
    with private_redis, serve(tmp_path, private_redis) as server:
        picture = new_picture()
        classify(server, picture)

        private_redis.freeze()
        assert [classify(server, picture) for _ in range(5)] == ["miss"] * 5

        private_redis.thaw()
        assert hits_return(server)


def test_redis_may_be_full(tmp_path, private_redis):
    with private_redis, serve(tmp_path, private_redis) as server:
        with private_redis.client() as inside:
            inside.config_set("maxmemory-policy", "noeviction")
            inside.config_set("maxmemory", "1mb")
        picture = new_picture()

        assert [classify(server, picture) for _ in range(3)] == ["miss"] * 3


@pytest.mark.parametrize("damage", ["garbage", "cut", "list", "other picture's"])
def test_a_damaged_entry_is_dropped_and_computed_again(tmp_path, private_redis, damage):
    with private_redis, serve(tmp_path, private_redis) as server:
        picture, other = plain_picture("red"), plain_picture("blue")
        classify(server, other)
        with private_redis.client() as inside:
            assert wait_until(lambda: len(inside.keys()) == 1, seconds=5)
            (others_key,) = inside.keys()
            assert classify(server, picture) == "miss"
            assert wait_until(lambda: len(inside.keys()) == 2, seconds=5)
            (key,) = set(inside.keys()) - {others_key}
            if damage == "garbage":
                inside.set(key, b"\x80\x04garbage")
            elif damage == "cut":
                inside.set(key, inside.get(key)[:-1])
            elif damage == "list":
                inside.delete(key)
                inside.lpush(key, "a")
            else:
                inside.set(key, inside.get(others_key))

        assert classify(server, picture) == "miss"
        assert becomes_hit(server, picture)


def test_keys_lie_in_the_namespace_and_expire(tmp_path, private_redis):
    with private_redis, serve(tmp_path, private_redis) as server:
        classify(server, new_picture())
        with private_redis.client() as inside:
            assert wait_until(lambda: len(inside.keys()) == 1, seconds=5)
            (key,) = inside.keys()

            assert key.startswith(b"whatsit:")
            assert 0 < inside.ttl(key) <= 604_800 * 1.1
