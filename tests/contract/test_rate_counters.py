"""Counts in the process and in Redis keep the same promises; Redis adds sharing and trouble."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.private_redis import PrivateRedis
from whatsit.access.rate_counters import Counters, ProcessCounters, RedisCounters, Tally, Window
from whatsit.errors import CacheError, SettingsError

Ask = Callable[..., list[Tally]]


@pytest.fixture
def private_redis(tmp_path: Path) -> Iterator[PrivateRedis]:
    with PrivateRedis(tmp_path) as server:
        yield server


@pytest.fixture(params=["process", "redis"])
def make_counters(request: pytest.FixtureRequest) -> Callable[[], Counters]:
    if request.param == "process":
        return ProcessCounters
    server: PrivateRedis = request.getfixturevalue("private_redis")
    return lambda: RedisCounters(server.url, "whatsit")


def ask(counters: Counters, *questions: tuple[str, Window]) -> list[Tally]:
    """Count one question after the other, in an event loop of their own."""

    async def all_of_them() -> list[Tally]:
        try:
            return [await counters.count(caller, window) for caller, window in questions]
        finally:
            if isinstance(counters, RedisCounters):
                await counters.close()

    return asyncio.run(all_of_them())


def window(number: int = 7, elapsed_ratio: float = 0.5, limit: int = 3) -> Window:
    return Window(number, 60, elapsed_ratio, limit)


def test_requests_are_counted_until_the_window_is_full(make_counters):
    tallies = ask(make_counters(), *[("a", window())] * 5)

    assert [tally.current for tally in tallies] == [0, 1, 2, 3, 3]
    assert {tally.previous for tally in tallies} == {0}


def test_callers_are_counted_apart(make_counters):
    tallies = ask(make_counters(), ("a", window()), ("a", window()), ("b", window()))

    assert [tally.current for tally in tallies] == [0, 1, 0]


def test_the_window_before_is_told_and_older_ones_are_not(make_counters):
    first, second, fourth = window(7), window(8, 0.9, limit=9), window(10)

    tallies = ask(
        make_counters(), ("a", first), ("a", first), ("a", second), ("a", second), ("a", fourth)
    )

    assert tallies[2:] == [Tally(0, 2), Tally(1, 2), Tally(0, 0)]


def test_what_does_not_fit_because_of_the_window_before_is_not_counted(make_counters):
    full, next_one = window(7, limit=2), window(8, elapsed_ratio=0.1, limit=2)

    tallies = ask(make_counters(), ("a", full), ("a", full), ("a", next_one), ("a", next_one))

    assert tallies[2:] == [Tally(0, 2), Tally(0, 2)]


def test_a_process_forgets_old_windows_and_the_callers_beyond_its_room():
    counters = ProcessCounters(max_callers=2)

    tallies = ask(counters, *[(caller, window()) for caller in "abcbca"])
    assert [tally.current for tally in tallies] == [0, 0, 0, 1, 1, 0]

    ask(counters, ("a", window(20)))
    assert sum(len(callers) for callers in counters._windows.values()) == 1


def test_two_processes_count_together_in_redis(private_redis):
    one, other = (RedisCounters(private_redis.url, "whatsit") for _ in range(2))

    assert [tally.current for tally in ask(one, *[("a", window())] * 2)] == [0, 1]
    assert [tally.current for tally in ask(other, *[("a", window())] * 3)] == [2, 3, 3]


def test_keys_tell_no_caller_change_with_the_window_and_expire(private_redis):
    questions = [("203.0.113.7", window(7)), ("203.0.113.7", window(8))]
    ask(RedisCounters(private_redis.url, "name.space"), *questions)

    with private_redis.client() as inside:
        keys = sorted(inside.keys())
        assert [key.rsplit(b":", 1)[0] for key in keys] == [
            b"name.space:rate:7",
            b"name.space:rate:8",
        ]
        assert len({key.rsplit(b":", 1)[1] for key in keys}) == 2
        assert b"203" not in b"".join(key.rsplit(b":", 1)[1][:3] for key in keys)
        assert all(0 < inside.ttl(key) <= 120 for key in keys)


def test_keys_expire_even_when_redis_has_lost_them_meanwhile(private_redis):
    counters = RedisCounters(private_redis.url, "whatsit")

    async def lose_between() -> None:
        await counters.count("a", window())
        with private_redis.client() as inside:
            inside.flushall()
        await counters.count("a", window())
        await counters.close()

    asyncio.run(lose_between())

    with private_redis.client() as inside:
        (key,) = inside.keys()
        assert inside.ttl(key) > 0


def test_a_user_with_rights_to_these_commands_and_keys_only_is_enough(private_redis):
    with private_redis.client() as inside:
        inside.execute_command(
            *(["ACL", "SETUSER", "app", "on", ">secret", "resetkeys", "~whatsit:*"]),
            *(["-@all", "+incrby", "+expire", "+get", "+ping", "+select"]),
        )
    url = private_redis.url.replace("://", "://app:secret@")

    tallies = ask(RedisCounters(url, "whatsit"), *[("a", window(limit=1))] * 2)

    assert [tally.current for tally in tallies] == [0, 1]
    with pytest.raises(CacheError, match="does not let this user use these keys"):
        ask(RedisCounters(url, "elsewhere"), ("a", window()))


def test_a_frozen_redis_costs_a_fifth_of_a_second_once_for_all_who_wait(private_redis):
    counters = RedisCounters(private_redis.url, "whatsit", timeout_seconds=5)

    async def freeze() -> tuple[float, float, list[object]]:
        await counters.count("a", window())
        private_redis.freeze()
        started = time.perf_counter()
        answers: list[object] = await asyncio.gather(
            *(counters.count("a", window()) for _ in range(40)), return_exceptions=True
        )
        waited = time.perf_counter() - started
        started = time.perf_counter()
        answers += await asyncio.gather(
            *(counters.count("a", window()) for _ in range(40)), return_exceptions=True
        )
        waited_again = time.perf_counter() - started
        private_redis.thaw()
        return waited, waited_again, answers

    waited, waited_again, answers = asyncio.run(freeze())

    assert {type(answer) for answer in answers} == {CacheError}
    assert 0.15 < waited < 4  # once 0.2 s, not 40 times
    assert waited_again < waited


@pytest.mark.parametrize("trouble", ["gone", "full", "another type"])
def test_trouble_with_redis_is_one_kind_of_error(private_redis, trouble):
    counters = RedisCounters(private_redis.url, "whatsit")
    if trouble == "gone":
        private_redis.kill()
    else:
        with private_redis.client() as inside:
            if trouble == "full":
                inside.config_set("maxmemory-policy", "noeviction")
                inside.config_set("maxmemory", "1")
            else:
                inside.lpush(counters._key("a", 7), "x")

    with pytest.raises(CacheError):
        ask(counters, ("a", window()))


def test_counts_go_on_in_redis_when_it_is_back(private_redis):
    counters = RedisCounters(private_redis.url, "whatsit")

    async def kill_and_start() -> Tally:
        await counters.count("a", window())
        private_redis.kill()
        with pytest.raises(CacheError):
            await counters.count("a", window())
        private_redis.start()
        await asyncio.sleep(1.1)  # the breaker's pause
        tally = await counters.count("a", window())
        await counters.close()
        return tally

    assert asyncio.run(kill_and_start()) == Tally(0, 0)


def test_an_address_of_no_known_form_is_told():
    with pytest.raises(SettingsError, match="WHATSIT_REDIS_URL: It must be the address"):
        RedisCounters("http://x", "whatsit")
