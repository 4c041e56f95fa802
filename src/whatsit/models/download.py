"""Fetching a file that is known by its digest: resumable, with several addresses to try."""

import fcntl
import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from whatsit.errors import ModelUnavailable
from whatsit.models.catalogue import Progress

REFUSAL_SECONDS = 1.5
"""If no address has answered by then, the network counts as closed."""

_CHUNK_BYTES = 1 << 18


def download(
    urls: Sequence[str],
    target: Path,
    *,
    sha256: str,
    size_bytes: int,
    progress: Progress | None = None,
    read_timeout_seconds: float = 15.0,
) -> Path:
    """Fetch a file into `target`, going on where an earlier attempt stopped.

    What has arrived stays in ``<target>.part`` when the connection breaks, and the next call
    asks only for the rest. The digest is checked before the file gets its name.

    Args:
        urls: Addresses of the same file, tried in order.
        target: Where the file goes; its folder exists.
        sha256: Hex digest of the whole file.
        size_bytes: Size of the whole file.
        progress: Told about every chunk.
        read_timeout_seconds: A connection that is silent for longer is given up.

    Raises:
        ModelUnavailable: No address gave the right file. Returns within `REFUSAL_SECONDS` and a
            little if none of them answers at all.
    """
    part = target.with_name(target.name + ".part")
    with _exclusive(part):
        complaints: list[str] = []
        if part.stat().st_size == size_bytes and _digest(part) == sha256:
            return part.rename(target)
        deadline = _Deadline(REFUSAL_SECONDS)
        for url in urls:
            host = httpx.URL(url).host
            try:
                _fetch(url, part, size_bytes, progress or _silent, read_timeout_seconds, deadline)
            except (httpx.HTTPError, OSError) as error:
                complaints.append(f"{host}: {str(error) or type(error).__name__}")
                continue
            if part.stat().st_size == size_bytes and _digest(part) == sha256:
                return part.rename(target)
            complaints.append(f"{host}: the file is not the one the catalogue promises")
            part.write_bytes(b"")
    raise ModelUnavailable(f"Could not download it ({'; '.join(complaints)}).")


class _Deadline:
    """Bounds the time until the first byte of an answer, over all addresses together."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def run(self, connect: Callable[[], httpx.Response]) -> httpx.Response:
        """Run `connect`; give up waiting, and leave it behind, when the time is up."""
        # Looking a name up can block far longer than any time-out that a socket knows.
        box: list[httpx.Response | Exception] = []
        done = threading.Event()

        def work() -> None:
            try:
                box.append(connect())
            except (httpx.HTTPError, OSError) as error:
                box.append(error)
            finally:
                done.set()

        thread = threading.Thread(target=work, name="whatsit-connect", daemon=True)
        thread.start()
        if not done.wait(self._seconds) or not box:
            self._seconds = 0.05
            raise httpx.ConnectTimeout("no answer")
        if isinstance(box[0], Exception):
            raise box[0]
        return box[0]


def _fetch(
    url: str,
    part: Path,
    size_bytes: int,
    progress: Progress,
    read_timeout_seconds: float,
    deadline: _Deadline,
) -> None:
    present = part.stat().st_size
    if present >= size_bytes:
        present = 0
    timeout = httpx.Timeout(REFUSAL_SECONDS, read=read_timeout_seconds)
    headers = {"Range": f"bytes={present}-"} if present else {}
    with httpx.Client(timeout=timeout, follow_redirects=True) as client:
        request = client.build_request("GET", url, headers=headers)
        response = deadline.run(lambda: client.send(request, stream=True))
        try:
            response.raise_for_status()
            if response.status_code != httpx.codes.PARTIAL_CONTENT:
                present = 0  # this server sends the whole file again
            with part.open("r+b") as file:
                file.truncate(present)
                file.seek(present)
                for chunk in response.iter_raw(_CHUNK_BYTES):
                    present += len(chunk)
                    if present > size_bytes:
                        raise OSError("it sends more bytes than the file has")
                    file.write(chunk)
                    progress(present, size_bytes)
        finally:
            response.close()


@contextmanager
def _exclusive(part: Path) -> Iterator[None]:
    """Let one process at a time write to `part`; it exists afterwards."""
    with part.with_name(part.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        part.touch()
        yield


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _silent(present: int, total: int) -> None:
    del present, total
