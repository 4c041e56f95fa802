"""A Redis that is away costs speed, never an answer; hits come back by themselves."""

import hashlib
import itertools
import os
import re
import ssl
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis
import trustme

from tests.integration.test_api import CLASSIFY
from tests.support.private_redis import PrivateRedis, free_port
from tests.support.proxy import Proxy
from tests.support.running import RunningServer, start_server
from tests.support.waiting import wait_until
from whatsit.cache.key import build_cache_key
from whatsit.cache.reasons import Trouble
from whatsit.cache.redis import LEASE, RedisCache, connect
from whatsit.errors import SettingsError
from whatsit.testing import plain_picture

_colours = itertools.count(1)
RED = plain_picture("red")


def new_picture() -> bytes:
    return plain_picture(f"#{next(_colours):06x}")


@pytest.fixture
def private_redis(tmp_path: Path) -> PrivateRedis:
    return PrivateRedis(tmp_path)


def serve(tmp_path: Path, private_redis: PrivateRedis | Proxy):
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


def timed_classify(server: RunningServer, picture: bytes) -> float:
    start = time.perf_counter()
    classify(server, picture)
    return time.perf_counter() - start


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
            assert wait_until(lambda: cache_state(server) == "reachable")


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


def entries(inside: redis.Redis) -> set[bytes]:
    """The keys of all entries; those of leases end by themselves."""
    return {key for key in inside.scan_iter() if not key.endswith(LEASE.encode())}


def await_entries(inside: redis.Redis, number: int) -> set[bytes]:
    assert wait_until(lambda: len(entries(inside)) == number)
    return entries(inside)


@pytest.mark.parametrize("damage", ["garbage", "cut", "list", "other picture's"])
def test_a_damaged_entry_is_dropped_and_computed_again(tmp_path, private_redis, damage):
    with private_redis, serve(tmp_path, private_redis) as server:
        picture, other = plain_picture("red"), plain_picture("blue")
        classify(server, other)
        with private_redis.client() as inside:
            # One under the digest of the file, one under that of its pixels.
            others_keys = await_entries(inside, 2)
            assert classify(server, picture) == "miss"
            for key in await_entries(inside, 4) - others_keys:
                if damage == "garbage":
                    inside.set(key, b"\x80\x04garbage")
                elif damage == "cut":
                    inside.set(key, inside.get(key)[:-1])
                elif damage == "list":
                    inside.delete(key)
                    inside.lpush(key, "a")
                else:
                    inside.set(key, inside.get(next(iter(others_keys))))

        assert classify(server, picture) == "miss"
        assert becomes_hit(server, picture)
        with server.client() as client:
            metrics = client.get("/metrics").text
        assert 'whatsit_cache_failures_total{failure="damaged"} 2.0' in metrics


def test_keys_lie_in_the_namespace_and_expire(tmp_path, private_redis):
    with private_redis, serve(tmp_path, private_redis) as server:
        classify(server, new_picture())
        with private_redis.client() as inside:
            for key in await_entries(inside, 2):
                assert key.startswith(b"whatsit:")
                assert 0 < inside.ttl(key) <= 604_800 * 1.1
            assert wait_until(lambda: len(inside.keys()) == 2), "a lease does not end"


def test_another_file_with_the_same_pixels_is_a_hit(tmp_path, private_redis):
    with private_redis, serve(tmp_path, private_redis) as server:
        first = plain_picture("red", image_format="PNG")
        same, other = (plain_picture(colour, image_format="BMP") for colour in ("red", "blue"))
        assert classify(server, first) == "miss"
        with private_redis.client() as inside:
            await_entries(inside, 2)
        with server.client() as client:
            facts = client.post(CLASSIFY, content=same).json()

        assert (facts["cache"], facts["image"]["format"]) == ("hit", "BMP")
        assert facts["image"]["sha256"] == hashlib.sha256(same).hexdigest()
        assert classify(server, other) == "miss"


def test_a_slow_redis_is_left_alone(tmp_path, private_redis):
    with (
        private_redis,
        Proxy(private_redis.port, delay_seconds=0.15) as proxy,
        serve(tmp_path, proxy) as server,
    ):
        took = [timed_classify(server, new_picture()) for _ in range(20)]
        # Every answer that asks Redis takes at least 0.15 s; a probe a second may.
        assert statistics.median(took[5:]) < 0.15
        with server.client() as client:
            assert "whatsit_cache_breaker_open 1.0" in client.get("/metrics").text

        proxy.delay_seconds = 0.0
        assert hits_return(server)


def test_clearing_walks_to_the_end_and_touches_nothing_else(private_redis):
    with private_redis, private_redis.client() as inside:
        mine = [
            build_cache_key("mine", f"{number % 3}" * 64, f"{number:064x}")
            for number in range(2_500)
        ]
        others = ["mine:rate:someone", "minus:3:f:0", build_cache_key("other", "f" * 64, "0" * 64)]
        inside.mset(dict.fromkeys([*mine, *others], "x"))
        cache = RedisCache(connect(private_redis.url, timeout_seconds=1), 60)

        assert sorted(cache.count("mine").values()) == [833, 833, 834]
        assert cache.clear("mine") == 2_500
        assert cache.clear("mine") == 0
        assert sorted(key.decode() for key in inside.scan_iter()) == sorted(others)
        cache.close()


ACL_COMMANDS = "+get +set +del +unlink +scan +ping +hello +client|setinfo +select"
"""What the cache needs; the user may do nothing else."""


def test_a_user_with_few_rights_and_a_password_is_enough(tmp_path, private_redis):
    with private_redis, private_redis.client() as inside:
        rights = ["on", ">geheim", "~whatsit:*", "-@all", *ACL_COMMANDS.split()]
        inside.execute_command("ACL", "SETUSER", "app", *rights)
        inside.execute_command("ACL", "SETUSER", "default", "off")
        private_redis.url = f"redis://app:geheim@127.0.0.1:{private_redis.port}/0"
        with serve(tmp_path, private_redis) as server:
            assert hits_return(server)
            assert cache_state(server) == "reachable"
            with server.client() as client:
                metrics = client.get("/metrics").text
            counts = re.findall(r"^whatsit_cache_failures_total\S* (\S+)$", metrics, re.MULTILINE)
            assert counts != []
            assert set(counts) == {"0.0"}
        cache = RedisCache(connect(private_redis.url, timeout_seconds=1), 60)
        assert cache.clear("whatsit") >= 2
        cache.close()


def test_a_wrong_password_costs_only_speed(tmp_path, private_redis):
    with private_redis, private_redis.client() as inside:
        inside.config_set("requirepass", "geheim")
        private_redis.url = f"redis://:falsch@127.0.0.1:{private_redis.port}/0"
        with serve(tmp_path, private_redis) as server:
            assert [classify(server, RED) for _ in range(2)] == ["miss", "miss"]
            assert cache_state(server) == "unreachable"
            told = told_of(server)
            assert "refuses the user or the password" in told
            assert server.metric('whatsit_cache_trouble{reason="password"}') == 1
            assert "falsch" not in told


def told_of(server: RunningServer) -> str:
    """Why Redis does not do what it is asked: the same sentence in the log and for monitors."""
    with server.client() as client:
        note = client.get("/readyz").json()["cache_note"]
    assert isinstance(note, str)
    assert note in server.log
    return note


def test_a_replica_that_keeps_nothing_says_so_until_it_is_promoted(tmp_path, private_redis):
    with private_redis, private_redis.client() as inside:
        inside.execute_command("REPLICAOF", "127.0.0.1", "1")
        with serve(tmp_path, private_redis) as server:
            # Before any picture: the start has tried.
            assert "read-only replica" in told_of(server)
            assert cache_state(server) == "reachable"
            assert classify(server, RED) == "miss"
            assert server.metric('whatsit_cache_trouble{reason="read_only"}') == 1
            stats = subprocess.run(
                [sys.executable, "-m", "whatsit", "cache", "stats"],
                env={**os.environ, "WHATSIT_REDIS_URL": private_redis.url},
                capture_output=True,
                text=True,
            )
            assert stats.stdout.split()[-2:] == ["all", "0"]
            assert stats.stderr.startswith("whatsit: This Redis is a read-only replica")
            assert stats.stderr.count("\n") == 1

            inside.execute_command("REPLICAOF", "NO", "ONE")
            assert hits_return(server)
            with server.client() as client:
                assert client.get("/readyz").json()["cache_note"] is None
            assert server.metric('whatsit_cache_trouble{reason="read_only"}') == 0
            assert "keeps what it is given" in server.log


SECRET = "geheim"


def alter(inside: redis.Redis, *commands: str) -> None:
    for command in commands:
        inside.execute_command(*command.split())


@pytest.mark.parametrize(
    ("before", "user", "path", "reason", "said"),
    [
        ("CONFIG SET requirepass other", f":{SECRET}@", "/0", "password", "refuses the user or"),
        ("CONFIG SET requirepass other", "", "/0", "password", "asks for a password"),
        ("CONFIG SET requirepass other", "", "/0?protocol=2", "password", "asks for a password"),
        ("ACL SETUSER app on >geheim ~* -@all +ping", f"app:{SECRET}@", "/0", "permission", "SET"),
        ("ACL SETUSER app on >geheim ~x +@all", f"app:{SECRET}@", "/0", "permission", "these keys"),
        ("PING", "", "/99", "database", "no database with that number"),
        ("REPLICAOF 127.0.0.1 1", "", "/0", "read_only", "read-only replica"),
        ("CONFIG SET maxmemory 1 maxmemory-policy noeviction", "", "/0", "full", "is full"),
        ("CONFIG SET min-replicas-to-write 1", "", "/0", "disk", "accepts no writes"),
        ("CONFIG SET maxclients 1", "", "/0", "clients", "limit of clients"),
    ],
)
def test_redis_says_why_it_refuses(private_redis, before, user, path, reason, said):
    with private_redis, private_redis.client() as inside:
        alter(inside, before)
        url = f"redis://{user}127.0.0.1:{private_redis.port}{path}"
        require_told(url, reason, said)


def require_told(url: str, reason: str, said: str) -> None:
    told: list[Trouble | None] = []
    cache = RedisCache(connect(url, timeout_seconds=0.5), 60, on_trouble=told.append)
    assert not (cache.ping() and cache.try_writing("whatsit"))
    cache.close()
    (trouble,) = told
    assert trouble is not None
    assert trouble == cache.trouble
    assert (trouble.reason, SECRET in trouble.sentence) == (reason, False)
    assert said in trouble.sentence


def test_the_way_to_redis_says_what_is_wrong_with_it(tmp_path, private_redis):
    ours, foreign = trustme.CA(), trustme.CA()
    for name, authority in (("ours", ours), ("foreign", foreign)):
        authority.cert_pem.write_to_path(tmp_path / f"{name}.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.issue_cert("elsewhere.example").configure_cert(context)
    with private_redis, Proxy(private_redis.port, tls=context) as proxy:
        tls, plain = f"127.0.0.1:{proxy.port}", f"127.0.0.1:{private_redis.port}"
        trusted = f"ssl_ca_certs={tmp_path}/ours.pem"
        untrusted = f"ssl_ca_certs={tmp_path}/foreign.pem"
        require_told(f"rediss://{tls}/0?{untrusted}", "certificate", "not trusted: unable to get")
        require_told(f"rediss://{tls}/0?{trusted}", "certificate", "mismatch")
        require_told(f"redis://:{SECRET}@{tls}/0", "broken", "rediss://")
        require_told(f"rediss://{plain}/0", "tls", "redis:// instead")
        private_redis.freeze()
        require_told(f"redis://{plain}/0", "silent", "in time")
        private_redis.thaw()
    require_told(f"redis://{plain}/0", "address", "nothing listens")
    require_told("redis://no-such-host.invalid/0", "address", "host name is not known")
    require_told(f"unix://{tmp_path}/none.sock", "address", "nothing listens")


@pytest.mark.parametrize("is_trusted", [True, False], ids=["known CA", "unknown CA"])
def test_tls_is_spoken_and_certificates_are_checked(tmp_path, private_redis, is_trusted):
    ours, foreign = trustme.CA(), trustme.CA()
    trusted = tmp_path / "ca.pem"
    (ours if is_trusted else foreign).cert_pem.write_to_path(trusted)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.issue_cert("127.0.0.1").configure_cert(context)
    with private_redis, Proxy(private_redis.port, tls=context) as proxy:
        proxy.url = f"rediss://127.0.0.1:{proxy.port}/0?ssl_ca_certs={trusted}"
        with serve(tmp_path, proxy) as server:
            assert cache_state(server) == ("reachable" if is_trusted else "unreachable")
            if is_trusted:
                assert hits_return(server)
            else:
                assert "certificate of Redis is not trusted" in told_of(server)
                assert [classify(server, RED) for _ in range(2)] == ["miss", "miss"]


def test_a_node_of_a_cluster_is_refused_with_a_sentence(tmp_path, private_redis):
    # Left alone, it would take a port 10,000 higher, which may not exist.
    private_redis.start("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    with pytest.raises(RuntimeError, match="is a node of a cluster"):
        serve(tmp_path, private_redis).__enter__()
    private_redis.kill()


@pytest.mark.parametrize("scheme", ["redis+sentinel", "sentinel", "redis+cluster", "http"])
def test_addresses_of_other_kinds_are_refused_with_a_sentence(scheme):
    with pytest.raises(SettingsError, match="of one server"):
        connect(f"{scheme}://:secret@host:26379/mymaster", timeout_seconds=1)
