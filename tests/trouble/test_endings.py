"""However a server is told to stop, and whatever it is busy with, it stops soon and whole."""

import os
import pty
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.hostile.floods import RERUN, handshake
from tests.support.running import RunningServer, start_server
from tests.support.waiting import wait_until

MODEL = "efficientnet-lite2"
END_SECONDS = 5.0
PAGES = 20
HALF_A_REQUEST = (
    b"POST /api/v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\nhalf"
)


def processes_of(home: Path) -> list[str]:
    """Every process that has a store on its command line, the embedded cache among them."""
    listed = subprocess.run(["ps", "-wweo", "args"], capture_output=True, text=True, check=True)
    return [line for line in listed.stdout.splitlines() if str(home) in line]


def require_end(server: RunningServer, since: float) -> None:
    server.process.wait(30)
    assert time.monotonic() - since < END_SECONDS
    assert wait_until(lambda: processes_of(server.home) == [], seconds=END_SECONDS)
    assert "Traceback" not in server.log


def connect(server: RunningServer) -> socket.socket:
    host, _, port = server.url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=10)


@contextmanager
def stubborn_visitors(server: RunningServer) -> Iterator[None]:
    """Pages that ask for more than is drawn and read nothing; a body and a head that stop."""
    sockets = []
    try:
        for _ in range(PAGES):
            page = connect(server)
            sockets.append(page)
            page.sendall(handshake(server.url.removeprefix("http://")))
            # What the ones before asked for may keep the others out.
            assert page.recv(2**16)[9:12] in {b"101", b"503"}
            page.sendall(RERUN * 500)
        for data in (HALF_A_REQUEST, HALF_A_REQUEST[:40]):
            other = connect(server)
            sockets.append(other)
            other.sendall(data)
        yield
    finally:
        for each in sockets:
            each.close()


def test_a_flooded_page_does_not_hold_the_end_up(tmp_path):
    with start_server(tmp_path, model=MODEL) as server, stubborn_visitors(server):
        since = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        require_end(server, since)
        assert " ERROR " not in server.log
    assert server.process.returncode == 0


def test_hanging_up_ends_all_processes_that_follow_nothing(tmp_path):
    with start_server(tmp_path, "--no-ui", "--workers", "2", model=MODEL) as server:
        since = time.monotonic()
        server.process.send_signal(signal.SIGHUP)
        require_end(server, since)
    assert server.process.returncode == 0


def test_ctrl_c_twice_ends_at_once_and_leaves_nothing(tmp_path):
    with start_server(tmp_path, "--no-ui", model=MODEL) as server, connect(server) as half:
        half.sendall(HALF_A_REQUEST)
        assert wait_until(lambda: server.metric("whatsit_held_bytes") > 0)
        since = time.monotonic()
        for _ in range(3):
            server.process.send_signal(signal.SIGINT)
            time.sleep(0.2)
        require_end(server, since)


def test_a_server_that_still_starts_ends_when_hung_up(tmp_path):
    process, terminal = start_in_terminal(tmp_path)
    assert wait_until(lambda: any("valkey-server" in line for line in processes_of(tmp_path)), 30)
    process.send_signal(signal.SIGHUP)
    process.wait(30)
    assert wait_until(lambda: processes_of(tmp_path) == [], seconds=END_SECONDS)
    os.close(terminal)


def test_a_closed_terminal_ends_it(tmp_path):
    process, terminal = start_in_terminal(tmp_path)
    shown = b""
    while b"whatsit is ready" not in shown:
        shown += os.read(terminal, 4096)
    os.close(terminal)
    process.wait(END_SECONDS)
    assert wait_until(lambda: processes_of(tmp_path) == [], seconds=END_SECONDS)


def start_in_terminal(home: Path) -> tuple[subprocess.Popen[bytes], int]:
    """``whatsit serve`` with a terminal of its own; and that terminal's other end."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "whatsit", "serve", "--no-ui", "--port", "0"]
    program = (
        "import fcntl, os, sys, termios; os.setsid(); "
        "fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, *command, "--store", str(home), "--model", MODEL],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    return process, ours
