"""The bounded queue: what waits, what is refused, what gives its place back."""

import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest

from tests.support.waiting import wait_until
from whatsit.errors import Overloaded
from whatsit.parallel import map_in_order
from whatsit.service.workers import Workers


class Gate:
    """Work that lasts until it is let go."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.started = 0

    def __call__(self) -> str:
        self.started += 1
        assert self.opened.wait(10)
        return "done"


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()


@pytest.fixture
def two_and_three(gate: Gate) -> Iterator[Workers]:
    """Two threads, three places in the queue."""
    workers = Workers(2, max_queue=3)
    yield workers
    gate.opened.set()
    workers.close()


def test_what_is_submitted_is_done_and_its_errors_come_back(two_and_three):
    assert two_and_three.submit(lambda: 7).result(5) == 7
    with pytest.raises(ZeroDivisionError):
        two_and_three.submit(lambda: 1 // 0).result(5)
    assert wait_until(lambda: (two_and_three.waiting, two_and_three.running) == (0, 0))


def test_a_full_queue_refuses_at_once_and_takes_more_when_it_has_room(two_and_three, gate):
    taken = [two_and_three.submit(gate) for _ in range(5)]
    assert wait_until(lambda: gate.started == 2)
    assert (two_and_three.waiting, two_and_three.running) == (3, 2)
    with pytest.raises(Overloaded) as refused:
        two_and_three.submit(gate)
    assert refused.value.retry_after_seconds is not None
    assert refused.value.retry_after_seconds >= 1

    gate.opened.set()
    assert [future.result(5) for future in taken] == ["done"] * 5
    assert two_and_three.submit(gate).result(5) == "done"


def test_cancelled_work_gives_its_place_back_and_is_never_done(two_and_three, gate):
    taken = [two_and_three.submit(gate) for _ in range(5)]
    assert wait_until(lambda: gate.started == 2)

    assert taken[-1].cancel()
    assert not taken[0].cancel(), "work under way goes on"
    replacement = two_and_three.submit(gate)
    gate.opened.set()
    assert replacement.result(5) == "done"
    assert gate.started == 5


def test_abandoned_work_takes_no_place_and_is_never_done(two_and_three, gate):
    abandoned: set[int] = set()
    taken = [
        two_and_three.submit(gate, partial(abandoned.__contains__, number)) for number in range(5)
    ]
    assert wait_until(lambda: gate.started == 2, seconds=5)
    abandoned |= {0, 3}

    assert two_and_three.waiting == 2
    assert taken[3].cancelled()
    assert not taken[0].cancelled(), "work under way goes on"
    replacement = two_and_three.submit(gate)
    abandoned.add(4)
    another = two_and_three.submit(gate)
    gate.opened.set()
    assert [replacement.result(5), another.result(5)] == ["done"] * 2
    assert gate.started == 5


def test_what_is_abandoned_while_it_waits_is_dropped_when_its_turn_comes(gate):
    workers = Workers(1, max_queue=3)
    is_abandoned = threading.Event()
    running = workers.submit(gate)
    assert wait_until(lambda: gate.started == 1, seconds=5)
    dropped, after = workers.submit(gate, is_abandoned.is_set), workers.submit(lambda: "after")
    is_abandoned.set()
    gate.opened.set()

    assert (running.result(5), after.result(5)) == ("done", "after")
    assert dropped.cancelled()
    workers.close()


def test_a_wait_that_would_take_too_long_is_refused_before_the_queue_is_full(gate):
    clock = threading.Event()
    workers = Workers(1, max_queue=1_000, max_wait_seconds=0.1)
    workers.submit(lambda: clock.wait(0.06)).result(5)  # now known: about 0.06 s each
    running = workers.submit(gate)
    assert wait_until(lambda: workers.running == 1)
    for _ in range(16):
        workers.submit(gate)  # the last of them would wait for a second, but they are only a few
    with pytest.raises(Overloaded) as refused:
        workers.submit(gate)
    assert refused.value.retry_after_seconds is not None
    assert 1 <= refused.value.retry_after_seconds < 3
    gate.opened.set()
    workers.close()

    assert running.done()


def test_closing_finishes_what_waits(gate):
    workers = Workers(1, max_queue=3)
    taken = [workers.submit(gate) for _ in range(4)]
    gate.opened.set()
    workers.close()

    assert [future.result(0) for future in taken] == ["done"] * 4


# In order


def test_results_come_in_order_whatever_takes_longest():
    def work(number: int) -> int:
        time.sleep(0.02 if number % 3 == 0 else 0)
        return number * 2

    assert list(map_in_order(work, range(20), 4)) == [number * 2 for number in range(20)]


def test_items_without_end_are_taken_only_a_few_ahead():
    def work(number: int) -> int:
        time.sleep(0.02)  # far longer than taking an item
        return number

    taken = itertools.count()
    results = map_in_order(work, taken, 3)

    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    results.close()
    assert next(taken) <= 5 + 2 * 3 + 1


def test_an_error_is_raised_in_its_place_and_ends_it():
    results = map_in_order(lambda number: 1 // (2 - number), range(10), 2)

    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert list(results) == []


def test_closing_waits_for_what_runs_and_begins_nothing_new():
    ended: list[int] = []

    def work(number: int) -> None:
        time.sleep(0.05)
        ended.append(number)

    results = map_in_order(work, range(100), 2)
    next(results)
    results.close()
    seen = len(ended)
    time.sleep(0.1)

    assert len(ended) == seen < 10


NICE = """
import os
from whatsit.service.workers import Workers
os.nice(10)
if os.geteuid() == 0:
    os.setuid(65534)
workers = Workers(1)
print(workers.submit(lambda: os.getpriority(os.PRIO_PROCESS, 0)).result())
workers.close()
"""


def test_a_process_that_is_told_to_go_last_works_without_the_right_to_go_first():
    done = subprocess.run([sys.executable, "-c", NICE], capture_output=True, text=True, timeout=60)

    assert (done.stdout, done.stderr) == ("10\n", "")
