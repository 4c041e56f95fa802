"""A Redis of a test's own, that may be killed, frozen and started again on the same port."""

import signal
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.waiting import wait_until
from whatsit.cache.embedded import find_server_binary


class PrivateRedis:
    """A server process on a free port of the loopback address."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    def start(self, *arguments: str) -> None:
        """Start it, empty, and wait until it answers."""
        self._process = subprocess.Popen(
            [
                str(find_server_binary()),
                *("--port", str(self.port), "--bind", "127.0.0.1", "--save", ""),
                *("--dir", str(self._folder)),
                *arguments,
            ],
            stdout=subprocess.DEVNULL,
        )
        if not wait_until(self._answers, seconds=10):
            raise RuntimeError("The private Redis did not start.")

    def kill(self) -> None:
        """End it without any farewell."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Stop it answering, while its connections stay open."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it answer again."""
        self._signal(signal.SIGCONT)

    def client(self) -> redis.Redis:
        """A client for looking inside."""
        return redis.Redis(port=self.port, socket_timeout=2, retry=Retry(NoBackoff(), 0))

    def _signal(self, number: int) -> None:
        if self._process is None:
            raise RuntimeError("The private Redis is not running.")
        self._process.send_signal(number)

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except (redis.RedisError, OSError):
            return False


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
