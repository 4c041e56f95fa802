"""A real server process, started and stopped by tests and benchmarks."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

_READY = re.compile(r"whatsit is ready on (http://\S+) ")
_START_SECONDS = 60.0


@dataclass
class RunningServer:
    """A server process, and how to talk to it."""

    process: subprocess.Popen[str]
    url: str
    home: Path
    log_file: Path

    @property
    def log(self) -> str:
        """Everything it has logged so far."""
        return self.log_file.read_text(encoding="utf-8")

    def client(self, **options: object) -> httpx.Client:
        """A keep-alive client of its API."""
        return httpx.Client(base_url=self.url, timeout=30, trust_env=False, **options)  # type: ignore[arg-type]

    def metric(self, name: str) -> float:
        """A number of ``/metrics``, labels included in its name; 0 where it is not there yet."""
        with self.client() as client:
            for line in client.get("/metrics").text.splitlines():
                if line.startswith(f"{name} "):
                    return float(line.split()[1])
        return 0.0

    def resident_bytes(self) -> int:
        """Physical memory of the process, without the embedded cache."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("The process has no memory; it has ended.")


@contextmanager
def start_server(
    home: Path,
    *arguments: str,
    model: str,
    environment: Mapping[str, str] | None = None,
    python: Path | None = None,
    inherits: bool = True,
    prefix: Sequence[str] = (),
    folder: Path | None = None,
) -> Iterator[RunningServer]:
    """Run ``whatsit serve`` until the block ends.

    Args:
        home: Its store.
        arguments: Further options of the command line.
        model: Name of the model.
        environment: Further variables.
        python: Where whatsit is installed; by default the one that runs this.
        inherits: Whether it has those of the tests as well.
        prefix: What stands before its command.
        folder: Its working folder.
    """
    log_file = home / f"server-{time.monotonic_ns()}.log"
    program = [*prefix, str(python or sys.executable), "-m", "whatsit"]
    command = [*program, "serve", "--port", "0", "--store", str(home)]
    inherited = {
        key: value
        for key, value in os.environ.items()
        if inherits and not key.startswith("WHATSIT_")
    }
    with log_file.open("w") as log:
        process = subprocess.Popen(
            [*command, "--model", model, *arguments],
            env={**inherited, **(environment or {})},
            cwd=folder,
            stderr=log,
            text=True,
        )
    try:
        yield RunningServer(process, _await_url(process, log_file), home, log_file)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


def _await_url(process: subprocess.Popen[str], log_file: Path) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        log = log_file.read_text(encoding="utf-8")
        if found := _READY.search(log):
            return found[1]
        if process.poll() is not None:
            raise RuntimeError(f"The server stopped with {process.returncode}:\n{log}")
        time.sleep(0.02)
    raise RuntimeError(f"The server did not start in {_START_SECONDS:.0f} s:\n{log}")
