"""A PostgreSQL of a test's own, if its programs are on this machine."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.private_redis import free_port
from tests.support.waiting import wait_until

_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/local/pgsql/bin", "/opt/homebrew/opt/*/bin")
_USER = "postgres"
"""PostgreSQL refuses to run as root."""


def find_programs() -> Path | None:
    """The folder of ``initdb`` and ``postgres``; None where they are not installed."""
    candidates = [Path(found).resolve() for found in [shutil.which("initdb")] if found]
    for pattern in _FOLDERS:
        candidates += sorted(Path("/").glob(f"{pattern[1:]}/initdb"), reverse=True)
    for program in candidates:
        if (program.parent / "postgres").exists():
            return program.parent
    return None


class PrivatePostgresql:
    """A server process on a free port of the loopback address, with one empty database."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs = programs
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"postgresql://{_USER}:secret@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        """Start it, with what it held before, and wait until it answers."""
        self._process = subprocess.Popen(
            [
                *(str(self._programs / "postgres"), "-D", str(self._folder / "data")),
                *("-p", str(self._port), "-c", "listen_addresses=127.0.0.1"),
                *("-c", f"unix_socket_directories={self._folder}", "-c", "fsync=off"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=_user(),
        )
        ready = [str(self._programs / "pg_isready"), "-h", "127.0.0.1", "-p", str(self._port)]
        if not wait_until(
            lambda: subprocess.run(ready, capture_output=True, check=False).returncode == 0,
            seconds=20,
        ):
            raise RuntimeError("The private PostgreSQL did not start.")

    def stop(self) -> None:
        """End it at once, in order; whoever is connected is cut off."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(20)
            self._process = None

    def create(self) -> None:
        """Make its files."""
        password = self._folder / "password"
        password.write_text("secret")
        if (user := _user()) is not None:
            shutil.chown(self._folder, user)
            shutil.chown(password, user)
        subprocess.run(
            [
                *(str(self._programs / "initdb"), "-D", str(self._folder / "data"), "--no-sync"),
                *("-U", _USER, "--auth", "scram-sha-256", "--pwfile", str(password)),
                *("--encoding", "UTF8", "--locale", "C"),
            ],
            check=True,
            capture_output=True,
            user=user,
        )


@contextmanager
def open_postgresql(programs: Path) -> Iterator[PrivatePostgresql]:
    """A running server until the block ends."""
    # Below a folder of pytest, another user than the one of the tests could not reach it.
    with tempfile.TemporaryDirectory(prefix="whatsit-pg-") as folder:
        server = PrivatePostgresql(programs, Path(folder))
        server.create()
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _user() -> str | None:
    return _USER if os.geteuid() == 0 else None
