"""Loaded by Python itself at the start of an observed process: notes what it asks and writes."""

import json
import os
import sys
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_MAKING = frozenset(
    {"os.mkdir", "os.rename", "os.link", "os.symlink", "sqlite3.connect", "shutil.copyfile"}
)
_CONTACTING = frozenset(
    {
        *("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"),
        *("socket.connect", "socket.sendto", "socket.sendmsg"),
    }
)

_file = os.open(os.environ["OBSERVED_EVENTS"], os.O_WRONLY | os.O_APPEND)


def _note(event: str, facts: tuple[Any, ...]) -> None:
    if event in _CONTACTING:
        address = facts[1] if event in ("socket.connect", "socket.sendto") else facts[0]
        if event == "socket.sendmsg":
            address = facts[1]
        _write(event, address[0] if isinstance(address, tuple) else address)
    elif event in _MAKING:
        _write(event, facts[-1] if event in ("os.link", "os.symlink") else facts[0])
    elif event == "open" and not isinstance(facts[0], int) and (facts[2] or 0) & _WRITING:
        _write(event, facts[0])


def _write(event: str, what: object) -> None:
    if isinstance(what, bytes):
        what = os.fsdecode(what)
    elif isinstance(what, os.PathLike):
        what = os.fspath(what)
    os.write(_file, (json.dumps([event, str(what)]) + "\n").encode())


sys.addaudithook(_note)
