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

from tests.support.waiting import wait_until
from whatsit.cache.embedded import find_server_binary

_FILLING = "filling:"


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

    def thaw_if_running(self) -> None:
        """Let it answer, whatever state a test left it in."""
        if self._process is not None:
            self.thaw()

    def restart_empty(self) -> None:
        """Kill it if it runs, and start it without anything in it."""
        self.kill()
        self.start()

    def fill(self) -> None:
        """Leave room for nothing more: whatever is written is refused, nothing is evicted."""
        with self.client() as inside:
            used = int(inside.info("memory")["used_memory"])
            inside.config_set("maxmemory-policy", "noeviction")
            inside.config_set("maxmemory", used + 4_000_000)
            for number in range(1_000):
                try:
                    inside.set(f"{_FILLING}{number}", b"x" * 50_000)
                except redis.ResponseError:
                    break
            # The last rest, for which the pieces above were too large.
            inside.config_set("maxmemory", int(inside.info("memory")["used_memory"]) // 2)

    def make_room(self) -> None:
        """Undo `fill`; other entries stay."""
        with self.client() as inside:
            inside.config_set("maxmemory", 0)
            for key in inside.scan_iter(f"{_FILLING}*", count=1000):
                inside.delete(key)

    def corrupt_everything(self) -> int:
        """Damage every value in place, in turn in one of five ways; how many there were.

        A value becomes noise, is cut, has one bit turned over, is swapped for the whole value
        of another key, or becomes a list. Its time to live stays.
        """
        with self.client() as inside:
            keys = sorted(inside.scan_iter(count=1000))
            values = {key: inside.get(key) for key in keys if inside.type(key) == b"string"}
            for number, (key, value) in enumerate(values.items()):
                damage = number % 5
                if damage == 4:
                    left = inside.pttl(key)
                    inside.delete(key)
                    inside.lpush(key, "a")
                    inside.pexpire(key, max(1, left))
                else:
                    others = list(values.values())
                    damaged = (
                        bytes(byte ^ 0x5A for byte in value),
                        value[: len(value) // 2],
                        value[: len(value) // 2]
                        + bytes([value[len(value) // 2] ^ 1])
                        + value[len(value) // 2 + 1 :],
                        others[(number + 1) % len(others)],
                    )[damage]
                    inside.set(key, damaged, keepttl=True, xx=True)
        return len(values)

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
