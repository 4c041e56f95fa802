"""Fetching a file that is known by its digest: resumable, with several addresses to try."""

import hashlib
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from whatsit.errors import ModelUnavailable, SettingsError
from whatsit.files import exclusive, open_to_change
from whatsit.models.catalogue import Progress
from whatsit.outgoing import find_proxy, trusted_certificates

REFUSAL_SECONDS = 1.5
"""If no address has answered by then, the network counts as closed."""
DOWNLOAD_SECONDS = 600.0
"""How long a download waits for another one of the same file."""


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
    asks only for the rest. The digest is checked before the file gets its name. Of several calls
    at once for the same `target`, one downloads and the others wait for it.

    Args:
        urls: Addresses of the same file, tried in order.
        target: Where the file goes; its folder exists.
        sha256: Hex digest of the whole file.
        size_bytes: Size of the whole file.
        progress: Called for every chunk.
        read_timeout_seconds: A connection that is silent for longer is given up.

    Raises:
        ModelUnavailable: No address gave the right file. Returns within `REFUSAL_SECONDS` and a
            little if none of them answers at all.
    """
    part = target.with_name(target.name + ".part")
    with exclusive(part.with_name(part.name + ".lock"), DOWNLOAD_SECONDS):
        if target.is_file() and _digest(target) == sha256:
            return target
        open_to_change(part).close()
        attempt = _Attempt(part, sha256, size_bytes, progress or _silent, read_timeout_seconds)
        if attempt.is_complete():
            return part.rename(target)
        complaints: list[str] = []
        patience_seconds = REFUSAL_SECONDS
        for left, url in zip(range(len(urls), 0, -1), urls, strict=True):
            share_seconds = patience_seconds / left
            try:
                attempt.ask(url, share_seconds)
                return part.rename(target)
            except (httpx.HTTPError, OSError, SettingsError) as error:
                host = httpx.URL(url).host
                complaints.append(f"{host}: {str(error) or type(error).__name__}")
                if isinstance(error, _NoAnswer):
                    patience_seconds -= share_seconds
    raise ModelUnavailable(f"Could not download it ({'; '.join(complaints)}).")


class _NoAnswer(httpx.ConnectTimeout):
    """An address did not begin to answer in its time."""


@dataclass(frozen=True)
class _Attempt:
    """The file to fetch, and where it gathers; the addresses may change under way."""

    part: Path
    sha256: str
    size_bytes: int
    progress: Progress
    read_timeout_seconds: float

    def is_complete(self) -> bool:
        return self.part.stat().st_size == self.size_bytes and _digest(self.part) == self.sha256

    def ask(self, url: str, patience_seconds: float) -> None:
        """Complete the part from one address; wrong bytes do not stay in it."""
        resumed = 0 < self.part.stat().st_size < self.size_bytes
        self._fetch(url, patience_seconds)
        if resumed and not self.is_complete():
            # The part from before may be wrong, so this address gets another chance.
            self._empty()
            self._fetch(url, patience_seconds)
        if not self.is_complete():
            self._empty()
            raise OSError("the file is not the one the catalogue promises")

    def _fetch(self, url: str, patience_seconds: float) -> None:
        present = self.part.stat().st_size
        if present >= self.size_bytes:
            present = 0
        timeout = httpx.Timeout(REFUSAL_SECONDS, read=self.read_timeout_seconds)
        headers = {"Accept-Encoding": "identity"}  # the digest is that of the plain file
        if present:
            headers["Range"] = f"bytes={present}-"
        transport = _ByEnvironment(trusted_certificates())
        with httpx.Client(
            timeout=timeout, follow_redirects=True, transport=transport, trust_env=False
        ) as client:
            request = client.build_request("GET", url, headers=headers)
            response = _first_answer(lambda: client.send(request, stream=True), patience_seconds)
            try:
                response.raise_for_status()
                if response.status_code != httpx.codes.PARTIAL_CONTENT:
                    present = 0  # this server sends the whole file again
                self._append(response, present)
            finally:
                response.close()

    def _empty(self) -> None:
        with open_to_change(self.part) as file:
            file.truncate(0)

    def _append(self, response: httpx.Response, present: int) -> None:
        with open_to_change(self.part) as file:
            file.truncate(present)
            file.seek(present)
            # Chunks of a size of our own would lose what has come of one when the line breaks.
            for chunk in response.iter_raw():
                present += len(chunk)
                if present > self.size_bytes:
                    file.truncate(0)
                    raise OSError("it sends more bytes than the file has")
                file.write(chunk)
                self.progress(present, self.size_bytes)


class _ByEnvironment(httpx.BaseTransport):
    """Takes the way that the environment prescribes, for each host that redirects lead to."""

    def __init__(self, certificates: ssl.SSLContext) -> None:
        self._certificates = certificates
        self._ways: list[httpx.HTTPTransport] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        proxy = find_proxy(request.url)
        way = httpx.HTTPTransport(verify=self._certificates, trust_env=False, proxy=proxy)
        self._ways.append(way)
        return way.handle_request(request)

    def close(self) -> None:
        for way in self._ways:
            way.close()


def _first_answer(connect: Callable[[], httpx.Response], seconds: float) -> httpx.Response:
    """Run `connect`; give up waiting, and leave it behind, when the time is up."""
    # Looking a name up can block far longer than any time-out that a socket knows.
    box: list[httpx.Response | Exception] = []
    done = threading.Event()

    def work() -> None:
        try:
            box.append(connect())
        except (httpx.HTTPError, OSError, SettingsError) as error:
            box.append(error)
        finally:
            done.set()

    threading.Thread(target=work, name="whatsit-connect", daemon=True).start()
    if not done.wait(seconds) or not box:
        raise _NoAnswer("no answer")
    if isinstance(box[0], Exception):
        raise box[0]
    return box[0]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _silent(present: int, total: int) -> None:
    del present, total
