"""A server that is told to stop answers whatever it has accepted, and then goes quietly."""

import os
import random
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from tests.support.load import Outcome, Request, burst, closed_loop, post
from tests.support.pictures import known_pictures, large_png, small_bitmap
from tests.support.running import RunningServer, start_server
from tests.trouble.answers import CLASSIFY

MODEL = "efficientnet-lite2"
GRACE_SECONDS = 10.0
CLIENTS = 12


def mixed(url: str) -> Iterator[Request]:
    dice, known = random.Random(7), list(known_pictures().items())
    for number in count():
        if number % 2:
            yield post(url, small_bitmap(number), f"new {number}")
        else:
            name, picture = dice.choice(known)
            yield post(url, picture, name)


def terminate(server: RunningServer) -> float:
    """Tell the server to stop; the moment just before."""
    before = time.monotonic()
    os.kill(server.process.pid, signal.SIGTERM)
    return before


def require_quiet_end(server: RunningServer, since: float, seconds: float) -> None:
    assert server.process.wait(seconds + 10) == 0
    assert time.monotonic() - since < seconds
    assert "Traceback" not in server.log
    assert " ERROR " not in server.log


@pytest.mark.parametrize("options", [(), ("--workers", "2")], ids=["one process", "two processes"])
def test_nothing_that_was_accepted_is_lost(tmp_path, options, capsys):
    with start_server(tmp_path, "--no-ui", *options, model=MODEL) as server:
        requests = mixed(f"{server.url}{CLASSIFY}")
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(closed_loop, requests, CLIENTS, 4)
            time.sleep(2)
            stopped_at = terminate(server)
            load = running.result()
        require_quiet_end(server, stopped_at, GRACE_SECONDS)

    before: list[Outcome] = []
    after: list[Outcome] = []
    for outcome in load.outcomes:
        was_accepted = outcome.whole_at is not None and outcome.whole_at <= stopped_at
        (before if was_accepted or outcome.head else after).append(outcome)
    in_flight = [
        each for each in before if each.sent_at <= stopped_at < each.sent_at + each.seconds
    ]
    with capsys.disabled():
        print(
            f"\naccepted {len(before)}, of them in flight at the signal {len(in_flight)}, "
            f"turned away after it {len(after)}"
        )
    assert len(before) > 100
    assert in_flight  # else nothing was put to the test
    assert [each for each in before if each.status != 200] == []


def test_a_large_picture_in_flight_is_answered(tmp_path):
    with start_server(tmp_path, "--no-ui", model=MODEL) as server:
        picture = large_png(48)
        with ThreadPoolExecutor(1) as pool:
            sent = pool.submit(burst, [post(f"{server.url}{CLASSIFY}", picture, "large")])
            time.sleep(0.15)
            assert not sent.done()
            stopped_at = terminate(server)
            (outcome,) = sent.result().require_ok().outcomes
        require_quiet_end(server, stopped_at, GRACE_SECONDS)

    assert outcome.whole_at is not None
    assert outcome.whole_at < stopped_at < outcome.sent_at + outcome.seconds
    assert outcome.document["answer"]["label"]


def test_half_a_request_does_not_hold_the_end_up(tmp_path):
    with start_server(tmp_path, "--no-ui", model=MODEL) as server:
        request = post(f"{server.url}{CLASSIFY}", small_bitmap(1))
        with socket.create_connection(request.address) as connection:
            connection.sendall(request.payload[: len(request.payload) // 2])
            time.sleep(0.3)
            stopped_at = terminate(server)
            require_quiet_end(server, stopped_at, GRACE_SECONDS + 2)
