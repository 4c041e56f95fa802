"""The client of the measurements: `tests.support.load` in a process of its own."""

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.support.load import closed_loop, post


@dataclass(frozen=True)
class Load:
    """The duration of a run of requests.

    Attributes:
        seconds: Latency of each request.
        elapsed_seconds: Wall time of the whole run.
        client_cores: Processor time of the client, per second of the run.
    """

    seconds: tuple[float, ...]
    elapsed_seconds: float
    client_cores: float = 0.0

    @property
    def per_second(self) -> float:
        """Requests answered in a second."""
        return len(self.seconds) / self.elapsed_seconds

    def percentile_ms(self, percent: float) -> float:
        """Latency that this share of the requests did not exceed, milliseconds."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] * 1000


class ClientProcess:
    """Sends requests from another process, so that what it costs is known and not in the way."""

    def __init__(self) -> None:
        self._pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown()

    def send_all(self, url: str, bodies: Sequence[bytes], clients: int = 1) -> Load:
        """POST every body once, from so many connections at the same time.

        Raises:
            RuntimeError: An answer was not 200.
        """
        return self._pool.submit(_send_all, url, bodies, clients).result()


def _send_all(url: str, bodies: Sequence[bytes], clients: int) -> Load:
    requests = {body: post(url, body) for body in bodies}
    load = closed_loop([requests[body] for body in bodies], clients).require_ok()
    return Load(
        tuple(outcome.seconds for outcome in load.outcomes),
        load.elapsed_seconds,
        load.client_seconds / load.elapsed_seconds,
    )
