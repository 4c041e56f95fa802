"""The embedded Valkey: shared, kept on disk, taken over, stopped."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.waiting import wait_until
from whatsit.cache.embedded import EmbeddedValkey
from whatsit.cache.redis import RedisCache, connect
from whatsit.errors import CacheError
from whatsit.testing import fake_classifier, plain_picture

PREDICTION = fake_classifier().classify(plain_picture("red"))


def open_cache(valkey: EmbeddedValkey) -> RedisCache:
    return RedisCache(connect(valkey.url, timeout_seconds=1.0), ttl_seconds=600)


def server_processes(folder: Path) -> list[int]:
    listed = subprocess.run(["ps", "-wweo", "pid,args"], capture_output=True, text=True, check=True)
    lines = [line.split(maxsplit=1) for line in listed.stdout.splitlines()]
    return [
        int(pid) for pid, command in lines if "valkey-server" in command and str(folder) in command
    ]


def test_it_runs_while_the_block_does_and_keeps_its_entries(tmp_path):
    with EmbeddedValkey(tmp_path) as valkey:
        open_cache(valkey).put("some", PREDICTION)
        assert len(server_processes(tmp_path)) == 1
    assert server_processes(tmp_path) == []

    with EmbeddedValkey(tmp_path) as valkey:
        assert open_cache(valkey).get("some") == PREDICTION


def test_it_is_reachable_for_its_owner_only(tmp_path):
    with EmbeddedValkey(tmp_path / "cache") as valkey:
        socket = Path(valkey.url.removeprefix("unix://"))

        assert socket.stat().st_mode & 0o077 == 0
        assert (tmp_path / "cache").stat().st_mode & 0o077 == 0


def test_two_share_one_server_and_the_first_stops_it(tmp_path):
    with EmbeddedValkey(tmp_path) as first:
        open_cache(first).put("some", PREDICTION)
        with EmbeddedValkey(tmp_path) as second:
            assert open_cache(second).get("some") == PREDICTION
            assert len(server_processes(tmp_path)) == 1
        assert open_cache(first).get("some") == PREDICTION
    assert server_processes(tmp_path) == []


OWNER = """
import redis, sys, threading, time
from pathlib import Path
from whatsit.cache.embedded import EmbeddedValkey
def own():
    with EmbeddedValkey(Path(sys.argv[1])) as valkey:
        redis.Redis.from_url(valkey.url).set("some", "thing")
        print("open", flush=True)
        time.sleep(60)
if sys.argv[2] == "main thread":
    own()
else:
    threading.Thread(target=own).start()
"""


def kill_owner(folder: Path, thread: str, meanwhile: Callable[[], object] = lambda: None) -> None:
    """Have another process open the cache and keep something in it, and kill it."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(folder), thread], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == "open\n"
    assert len(server_processes(folder)) == 1
    meanwhile()
    owner.kill()
    owner.wait()
    owner.stdout.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends it with its parent")
def test_it_ends_with_a_process_that_is_killed(tmp_path):
    kill_owner(tmp_path, "main thread")
    assert wait_until(lambda: server_processes(tmp_path) == [])


@pytest.mark.parametrize("end", ["killed", "closed"])
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends it with its parent")
def test_it_ends_where_it_cannot_save(tmp_path, end):
    folder = tmp_path / "cache"
    if end == "killed":
        kill_owner(folder, "main thread", meanwhile=lambda: shutil.rmtree(folder))
    else:
        start = time.monotonic()
        with EmbeddedValkey(folder) as valkey:
            open_cache(valkey).put("some", PREDICTION)
            shutil.move(folder / "valkey.sock", tmp_path / "valkey.sock")
            shutil.rmtree(folder)
            folder.symlink_to(tmp_path)  # it is still reached, but its own folder is gone
        assert time.monotonic() - start < 30
    assert wait_until(lambda: server_processes(tmp_path) == [])


def test_a_server_left_behind_is_taken_over_and_stopped(tmp_path):
    kill_owner(tmp_path, "another thread")
    assert len(server_processes(tmp_path)) == 1

    with EmbeddedValkey(tmp_path) as valkey:
        assert open_cache(valkey).ping()
        assert len(server_processes(tmp_path)) == 1
    assert wait_until(lambda: server_processes(tmp_path) == [])


def test_a_long_path_is_no_obstacle(tmp_path):
    deep = tmp_path / ("long" * 20) / ("folder" * 10)
    with EmbeddedValkey(deep) as valkey:
        assert open_cache(valkey).ping()


def test_a_damaged_dump_is_set_aside_for_the_next_start(tmp_path):
    (tmp_path / "predictions.rdb").write_bytes(b"REDIS0011 this is no dump")
    with pytest.raises(CacheError, match="stopped at once"), EmbeddedValkey(tmp_path):
        pass

    with EmbeddedValkey(tmp_path) as valkey:
        assert open_cache(valkey).ping()
    assert (tmp_path / "predictions.damaged").exists()


def test_a_folder_that_is_a_file_is_an_error_of_the_cache(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")

    with pytest.raises(CacheError), EmbeddedValkey(blocked / "cache"):
        pass


def test_killing_the_server_is_survived_at_the_end(tmp_path):
    with EmbeddedValkey(tmp_path):
        (process,) = server_processes(tmp_path)
        os.kill(process, signal.SIGKILL)
