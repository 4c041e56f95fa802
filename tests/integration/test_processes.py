"""``whatsit serve --no-ui --workers N``: several processes, one port, one cache."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.integration.test_api import CLASSIFY
from tests.integration.test_embedded import server_processes
from tests.support.running import RunningServer, start_server
from tests.support.waiting import wait_until
from whatsit.data import example_pictures
from whatsit.testing import plain_picture

MODEL = "efficientnet-lite2"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    home = tmp_path_factory.mktemp("home")
    with start_server(home, "--no-ui", "--workers", "2", model=MODEL) as server:
        yield server


def answer_of(server: RunningServer, picture: bytes) -> tuple[str, str]:
    """Outcome and label, over a new connection, so from either process."""
    with server.client() as client:
        document = client.post(CLASSIFY, content=picture).json()
    return document["cache"], document["answer"]["label"]


def answers_by_process(server: RunningServer) -> dict[str, float]:
    with server.client() as client:
        metrics = client.get("/metrics").text
    found = re.findall(r'whatsit_answers_total\{cache="\w+",process="(\d)"\} (\S+)', metrics)
    counts: dict[str, float] = {}
    for process, number in found:
        counts[process] = counts.get(process, 0) + float(number)
    return counts


def worker_pids(server: RunningServer) -> set[int]:
    """The processes that serve, below the first one."""
    listing = subprocess.run(
        ["ps", "-ww", "-o", "pid=", "-o", "args=", "--ppid", str(server.process.pid)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return {int(line.split()[0]) for line in listing.splitlines() if "spawn_main" in line}


def test_both_processes_answer_and_share_one_cache(pair):
    picture = example_pictures()["bee"]
    assert answer_of(pair, picture) == ("miss", "bee")
    assert wait_until(lambda: answer_of(pair, picture)[0] == "hit")

    outcomes = {answer_of(pair, picture) for _ in range(40)}
    assert outcomes == {("hit", "bee")}
    counts = answers_by_process(pair)
    assert set(counts) == {"1", "2"}
    assert wait_until(lambda: sum(answers_by_process(pair).values()) >= 42)
    assert len(server_processes(pair.home)) == 1


def test_a_process_that_dies_is_replaced(pair):
    before = worker_pids(pair)
    assert len(before) == 2
    os.kill(min(before), signal.SIGKILL)

    assert wait_until(lambda: len(worker_pids(pair) - before) == 1)
    assert wait_until(lambda: all(answer_of(pair, plain_picture("red"))[1] for _ in range(5)))
    assert "is replaced" in pair.log


def test_the_metrics_of_all_are_told_by_each(pair):
    with pair.client() as client:
        client.post(CLASSIFY, content=example_pictures()["cat"])
        text = client.get("/metrics").text

    assert len(re.findall(r"^# TYPE whatsit_answers_total ", text, re.MULTILINE)) == 1
    for process in "12":
        assert f'process_resident_memory_bytes{{process="{process}"}}' in text


def test_stopping_ends_all_processes_and_their_cache(tmp_path):
    with start_server(tmp_path, "--no-ui", "--workers", "2", model=MODEL) as server:
        pids = worker_pids(server)
        assert len(pids) == 2
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0

        assert wait_until(lambda: not any(is_alive(pid) for pid in pids))
        assert wait_until(lambda: server_processes(tmp_path) == [])
        assert "Traceback" not in server.log


def test_processes_end_when_the_first_one_is_killed(tmp_path):
    with start_server(tmp_path, "--no-ui", "--workers", "2", model=MODEL) as server:
        pids = worker_pids(server)
        assert len(pids) == 2
        server.process.kill()

        assert wait_until(lambda: not any(is_alive(pid) for pid in pids))
    for pid in server_processes(tmp_path):  # the next start would have taken it over
        os.kill(pid, signal.SIGTERM)


def is_alive(pid: int) -> bool:
    command = ["ps", "-o", "stat=", "-p", str(pid)]
    state = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return state != "" and not state.startswith("Z")


def test_the_page_is_not_served_by_several_processes(tmp_path):
    command = [sys.executable, "-m", "whatsit", "serve", "--workers", "2", "--store", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert run.returncode == 2
    assert "--no-ui" in run.stderr
