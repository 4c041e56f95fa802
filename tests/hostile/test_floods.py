"""Strangers who want to stop the server, and a neighbour who is answered as if they were not there.

Each flood lasts four seconds; ``FLOOD_SECONDS=30`` makes it thirty. It runs against the server
that ``make run`` starts, page included, and comes from another address than the honest caller.
"""

import json
import os
import platform
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path

import pytest

from bench.page import open_page
from tests.hostile.floods import FLOODS, flooding
from tests.support.load import Outcome, Request, closed_loop, get, percentile_ms, post
from tests.support.pictures import small_bitmap
from tests.support.running import RunningServer, start_server
from tests.trouble.answers import CLASSIFY

FLOOD_SECONDS = float(os.environ.get("FLOOD_SECONDS", "4"))
# Of a short flood the 99th percentile is the slowest of some forty, on a machine that may be busy.
MOST_HEALTH_MS, MOST_PICTURE_MS = (500, 2_000) if FLOOD_SECONDS >= 30 else (2_500, 5_000)
MOST_MORE_BYTES = 100 * 2**20
HEADING = (
    f"{'flood':<20}{'pictures':>9}{'failed':>8}{'p99 ms':>8}{'health':>8}{'failed':>8}{'p99 ms':>8}"
    f"{'memory':>9}{'calm s':>8}  what the strangers saw"
)

pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(
        platform.system() != "Linux",
        reason="Only Linux has a second loopback address without being asked.",
    ),
]


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, int]]:
    """A server whose page and API have been used, and how many bytes of memory it then takes."""
    home = tmp_path_factory.mktemp("flooded")
    with ExitStack() as stack:
        with few_descriptors():
            running = stack.enter_context(start_server(home, model="efficientnet-lite2"))
        new = new_pictures(running)
        closed_loop((next(new) for _ in range(40)), clients=4).require_ok()
        open_page(running.url)
        yield running, memory_of(running)


@pytest.mark.parametrize("name", FLOODS)
def test_an_honest_caller_is_answered_beside(used, name, capsys):
    server, normal_bytes = used
    new = new_pictures(server)
    health = get(f"{server.url}/healthz")
    with (
        flooding(name, server.url, FLOOD_SECONDS) as strangers,
        Peak(server) as peak,
        ThreadPoolExecutor(2) as pool,
    ):
        end = time.monotonic() + FLOOD_SECONDS + 1  # the strangers take a moment to begin
        pictures = pool.submit(ask_until, end, 1.0, lambda: next(new))
        probes = pool.submit(ask_until, end, 0.1, lambda: health)
        answered, probed = pictures.result(), probes.result()
        assert strangers.wait(10) == 0
        assert strangers.stdout is not None
        seen = json.loads(strangers.stdout.read())
        calm_seconds = seconds_until_calm(server, new, health)

    row = (
        f"{name:<20}{tell(answered)}{tell(probed)}"
        f"{(peak.most_bytes - normal_bytes) / 2**20:>+6.0f} MB{calm_seconds:>8.2f}  {seen}"
    )
    with capsys.disabled():
        print(f"\n{HEADING}\n{row}")

    assert seen["connected"] > 0, "nothing was put to the test"
    assert failures(answered) == []
    assert failures(probed) == []
    assert percentile_ms(answered, 99) < MOST_PICTURE_MS, row
    assert percentile_ms(probed, 99) < MOST_HEALTH_MS, row
    assert peak.most_bytes - normal_bytes < MOST_MORE_BYTES, row
    assert calm_seconds < MOST_PICTURE_MS / 1_000, row
    assert threads_of(server) < 60  # those of waiting scripts would add up
    assert "Traceback" not in server.log


def test_a_flooded_server_ends_within_five_seconds(tmp_path):
    with start_server(tmp_path, model="efficientnet-lite2") as server:
        family = [server.process.pid, *children_of(server.process.pid)]
        with flooding("hurried messages", server.url, 20) as strangers:
            time.sleep(2)
            assert strangers.poll() is None
            started = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(20) == 0
            assert time.monotonic() - started < 5
    assert len(family) > 1  # the embedded cache is one of them
    assert [pid for pid in family if is_running(pid)] == []


@contextmanager
def few_descriptors() -> Iterator[None]:
    """Start processes with the soft limit that most systems have, inside the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1_024, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Peak:
    """The most memory that a server and its children took while the block ran."""

    def __init__(self, server: RunningServer) -> None:
        self._server = server
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.most_bytes = 0

    def __enter__(self) -> "Peak":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._is_over.wait(0.1):
            self.most_bytes = max(self.most_bytes, memory_of(self._server))


def memory_of(server: RunningServer) -> int:
    """Physical memory of the server and of every process that it has started, bytes."""
    return sum(map(resident_bytes, [server.process.pid, *children_of(server.process.pid)]))


def resident_bytes(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    return 0


def children_of(pid: int) -> list[int]:
    """All processes below one, however deep."""
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *children_of(int(child))]
    return found


def threads_of(server: RunningServer) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/task").iterdir()))


def is_running(pid: int) -> bool:
    with suppress(OSError):
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    return False


def new_pictures(server: RunningServer) -> Iterator[Request]:
    """Pictures that this server has not seen."""
    start = time.monotonic_ns()
    url = f"{server.url}{CLASSIFY}"
    return (post(url, small_bitmap(start + number), "picture") for number in count())


def ask_until(end: float, pause_seconds: float, request: Callable[[], Request]) -> list[Outcome]:
    """Send a request every so often, each on a connection of its own, one after another."""
    outcomes: list[Outcome] = []
    while time.monotonic() < end:
        began = time.monotonic()
        outcomes += ask(request())
        time.sleep(max(0.0, began + pause_seconds - time.monotonic()))
    return outcomes


def ask(request: Request) -> tuple[Outcome, ...]:
    try:
        return closed_loop([request], seconds=10).outcomes
    except OSError as error:
        return (Outcome(request.name, time.monotonic(), error=f"not connected: {error}"),)


def failures(outcomes: list[Outcome]) -> list[object]:
    return [each.error or each.body[:200] for each in outcomes if each.status != 200]


def seconds_until_calm(server: RunningServer, new: Iterator[Request], health: Request) -> float:
    """Until a picture and a probe are answered about as quickly as in a server at rest."""
    start = time.monotonic()
    while time.monotonic() < start + 30:
        outcomes = [*ask(next(new)), *ask(health)]
        if not failures(outcomes) and all(outcome.seconds < 0.15 for outcome in outcomes):
            return time.monotonic() - start
        time.sleep(0.05)
    return float("inf")


def tell(outcomes: list[Outcome]) -> str:
    answered = [outcome for outcome in outcomes if outcome.status == 200]
    return (
        f"{len(outcomes):>9}{len(outcomes) - len(answered):>8}{percentile_ms(answered, 99):>8.0f}"
    )
