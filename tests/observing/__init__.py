"""What a process and its children do to the world around them: whom they ask, where they write.

Two instruments watch. Python's own audit events are there everywhere, but see nothing of native
code; ``strace`` sees every system call, where it is installed. Neither changes what a process does.
"""

import ipaddress
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tests.support.waiting import wait_until

_CALLS = (
    *("connect", "sendto", "sendmsg", "sendmmsg", "openat", "?open", "?creat", "?openat2"),
    *("?mkdir", "mkdirat", "?rename", "?renameat", "renameat2", "?link", "linkat"),
    *("?symlink", "symlinkat", "?mknod", "mknodat", "exit_group"),
)
_HEAD = re.compile(r"^(?P<pid>\d+) +(?P<call>\w+)\(")
_INTERNET = re.compile(
    r'sin6?_port=htons\((?P<port>\d+)\).*?(?:inet_addr\(|inet_pton\(AF_INET6, )"(?P<address>[^"]+)"'
)
_UNIX = re.compile(r'sun_path="(?P<path>[^"]+)"')
_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')
_WRITING = re.compile(r"O_WRONLY|O_RDWR|O_CREAT")
_NO_FILES = ("/dev/", "/proc/")
_CACHES_OF_NAMES = ("nscd", "resolve", "sss", "avahi")
"""Services of the system that look names up, and are asked over a Unix socket."""

_NAMESERVER_PORT = "53"


class Observed:
    """Watches one command, in empty folders of its own.

    Args:
        folder: Gets empty folders ``home``, ``temporary``, ``working`` and ``store``.
    """

    def __init__(self, folder: Path) -> None:
        self.home, self.temporary, self.working, self.store = (
            folder / name for name in ("home", "temporary", "working", "store")
        )
        for each in (self.home, self.temporary, self.working, self.store):
            each.mkdir(parents=True)
        self._events = folder / "events"
        self._events.touch()
        self._calls = folder / "calls"
        self.sees_native_code = shutil.which("strace") is not None

    @property
    def environment(self) -> Mapping[str, str]:
        """All that the command gets of an environment."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "PYTHONPATH": str(Path(__file__).parent),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OBSERVED_EVENTS": str(self._events),
        }

    @property
    def prefix(self) -> tuple[str, ...]:
        """What stands before the command."""
        if not self.sees_native_code:
            return ()
        # The tracer is the grandchild, so that signals reach the command itself.
        tracing = ("-D", "-f", "--seccomp-bpf", "-qq", "-s", "300", "-e", "signal=none")
        return ("strace", *tracing, "-o", str(self._calls), "-e", f"trace={','.join(_CALLS)}")

    def run(self, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
        """Run the command ``whatsit`` to its end; what it printed.

        Args:
            arguments: Of its command line.
            environment: Further variables.
        """
        process = subprocess.Popen(
            [*self.prefix, sys.executable, "-m", "whatsit", *arguments],
            env={**self.environment, **(environment or {})},
            cwd=self.working,
            stdout=subprocess.PIPE,
            text=True,
        )
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output
        self.await_end(process.pid)
        return output

    def await_end(self, pid: int) -> None:
        """Wait until the tracer has written all about a command that has ended."""
        if self.sees_native_code:
            ended = re.compile(rf"^{pid} +exit_group\(", re.MULTILINE)
            assert wait_until(lambda: bool(ended.search(self._read_calls())))

    def new_files(self) -> list[str]:
        """Everything in the folders that were empty, the store left out."""
        folders = (self.home, self.temporary, self.working)
        return sorted(str(found) for folder in folders for found in folder.rglob("*"))

    def python_contacts(self) -> list[str]:
        """Names that Python code looked up, and addresses beyond this machine that it asked."""
        return [
            f"{event} {whom}"
            for event, whom in self._python_events()
            if event.startswith("socket.") and not _is_here(whom)
        ]

    def python_writes(self) -> list[str]:
        """Paths outside the store that Python code made, or opened for writing."""
        paths = [what for event, what in self._python_events() if not event.startswith("socket.")]
        return self._outside(paths)

    def native_contacts(self) -> list[str]:
        """As `python_contacts`, of the system calls that any code made."""
        return list(self._native_contacts())

    def native_writes(self) -> list[str]:
        """As `python_writes`, of the system calls that any code made."""
        return self._outside(self._native_writes())

    def _outside(self, paths: Iterable[str]) -> list[str]:
        # What is relative lies in a working folder: in ours, or in the store for its Valkey.
        allowed = (f"{self.store}{os.sep}", str(self._events), *_NO_FILES)
        return [
            path
            for path in paths
            if path.startswith("/") and not path.startswith(allowed) and path != str(self.store)
        ]

    def _python_events(self) -> list[tuple[str, str]]:
        lines = self._events.read_text(encoding="utf-8").splitlines()
        return [(event, what) for event, what in map(json.loads, lines)]

    def _read_calls(self) -> str:
        if not self._calls.exists():
            return ""
        return self._calls.read_text(encoding="utf-8", errors="replace")

    def _native_contacts(self) -> Iterator[str]:
        for call, line in self._native_calls("connect", "sendto", "sendmsg", "sendmmsg"):
            if found := _INTERNET.search(line):
                port, address = found["port"], found["address"]
                if not _is_here(address) or port == _NAMESERVER_PORT:
                    yield f"{call} {address} port {port}"
            elif (found := _UNIX.search(line)) and any(
                name in found["path"] for name in _CACHES_OF_NAMES
            ):
                yield f"{call} {found['path']}"

    def _native_writes(self) -> Iterator[str]:
        for call, line in self._native_calls("open", "creat", "mkdir", "rename", "link", "symlink"):
            if not call.startswith("open") or _WRITING.search(line):
                yield from _TEXT.findall(line)

    def _native_calls(self, *beginnings: str) -> Iterator[tuple[str, str]]:
        for line in self._read_calls().splitlines():
            found = _HEAD.match(line)
            if found and found["call"].startswith(beginnings):
                yield found["call"], line


def _is_here(host: str) -> bool:
    if host in ("", "localhost", "None") or host.startswith("/"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
