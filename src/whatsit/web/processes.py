"""Several processes that serve the API on one port, share one cache and replace each other."""

import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from whatsit.errors import SettingsError, WhatsitError
from whatsit.models.catalogue import Progress
from whatsit.models.live import resolve_served
from whatsit.models.store import LIVE, ModelStore
from whatsit.opening import open_redis
from whatsit.settings import Settings
from whatsit.telemetry.logs import configure_logging
from whatsit.telemetry.processes import ExpositionFolder
from whatsit.web.ending import END_SECONDS, Ending

_log = logging.getLogger(__name__)

_GRACE_SECONDS = END_SECONDS + 0.2
"""More than a process gives itself."""
_RESTART_PAUSE_SECONDS = 1.0
_LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Post:
    """What one process needs to know of the others.

    Attributes:
        number: From 1 on.
        address: Where all of them listen.
        metrics: Where each of them leaves its metrics for the others.
    """

    number: int
    address: tuple[str, int]
    metrics: Path


def serve_in_processes(settings: Settings, count: int, progress: Progress | None = None) -> None:
    """Serve the API from so many processes until a signal stops this one.

    A process that dies is replaced. Stopping lets every process finish what it has begun.

    Args:
        settings: What each of them opens and where all of them listen.
        count: How many; each holds its own copy of the model in memory.
        progress: Called during the download of a model that is not in the store yet.

    Raises:
        WhatsitError: A process can't be started, or the address can't be listened on.
    """
    configure_logging(settings.log_level, settings.log_format)
    Ending()
    with ExitStack() as stack:
        # Downloaded once, and the errors of opening it told once.
        store = ModelStore(settings.store)
        resolve_served(store, settings.store, settings.model, progress=progress)
        # Opened here, so that it outlives any of the processes.
        settings = settings.model_copy(update={"redis_url": open_redis(settings, stack)})
        # Bound, not listening: it keeps the port while processes come and go.
        reserved = stack.enter_context(bind(settings.host, settings.port, is_shared=True))
        metrics = Path(stack.enter_context(TemporaryDirectory(prefix="whatsit-metrics-")))
        _Crew(settings, count, reserved.getsockname()[:2], metrics).run()


def bind(host: str, port: int, *, is_shared: bool) -> socket.socket:
    """A bound socket, not listening yet.

    Args:
        host: Address.
        port: 0 for a free one.
        is_shared: Whether other processes may bind it too; the system then spreads connections.

    Raises:
        SettingsError: The address can't be bound; the sentence says why.
    """
    # Made for TCP by name, because asyncio then switches Nagle's algorithm off, which costs an
    # answered keep-alive request 40 ms otherwise.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if is_shared:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        bound.bind((host, port))
    except (OSError, UnicodeError) as error:
        bound.close()
        reason = getattr(error, "strerror", None) or "no host can have this name"
        raise SettingsError(f"Can't listen on {host}:{port}: {reason}.") from error
    return bound


def at_hangup(look: Callable[[], None]) -> None:
    """Call `look` at the signal that asks a service to look at its settings again (SIGHUP).

    A terminal that is closed sends it as well; then the process ends in order.
    """
    if sys.platform == "win32":
        return
    had_terminal = os.isatty(0)

    def heed(number: int, frame: FrameType | None) -> None:
        if had_terminal and not os.isatty(0):
            signal.raise_signal(signal.SIGTERM)
        else:
            look()

    signal.signal(signal.SIGHUP, heed)


class _Member:
    """One process, and the pipe through which it says that it is ready."""

    def __init__(self, settings: Settings, post: Post) -> None:
        context = multiprocessing.get_context("spawn")
        self.post = post
        self.said: Connection
        self.said, theirs = context.Pipe(duplex=False)
        self.process: SpawnProcess = context.Process(
            target=_serve_at, args=(settings, post, theirs), name=f"whatsit-{post.number}"
        )
        self.process.start()
        theirs.close()
        self.is_ready = False


class _Crew:
    def __init__(
        self, settings: Settings, count: int, address: tuple[str, int], metrics: Path
    ) -> None:
        self._settings = settings
        self._posts = [Post(number, address, metrics) for number in range(1, count + 1)]
        self._stopping = threading.Event()
        self._members: list[_Member] = []
        self._was_ready = False

    def run(self) -> None:
        # Until here, a signal ended what was being opened.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        if self._settings.model == LIVE:
            at_hangup(self._pass_on)
        self._members = [_Member(self._settings, post) for post in self._posts]
        try:
            while not self._stopping.is_set():
                self._look()
        finally:
            self._end()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping.set()

    def _pass_on(self) -> None:
        for member in self._members:
            # One that is starting would end; it finds what is live now by itself.
            if member.is_ready and member.process.pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(member.process.pid, signal.SIGHUP)

    def _look(self) -> None:
        watched: list[Connection | int] = [member.process.sentinel for member in self._members]
        watched += [member.said for member in self._members if not member.is_ready]
        wait(watched, timeout=_LOOK_SECONDS)
        for member in self._members:
            if not member.is_ready and member.said.poll():
                member.is_ready = _reads_ready(member.said)
        if not self._was_ready and all(member.is_ready for member in self._members):
            self._was_ready = True
            host, port = self._posts[0].address
            shown = f"[{host}]" if ":" in host else host
            _log.info(
                "whatsit is ready on http://%s:%d in %d processes", shown, port, len(self._posts)
            )
        for number, member in enumerate(self._members):
            if not member.process.is_alive() and not self._stopping.is_set():
                self._members[number] = self._replace(member)

    def _replace(self, member: _Member) -> _Member:
        code = member.process.exitcode
        if not self._was_ready:
            raise WhatsitError(f"A process did not start (status {code}); see above.")
        _log.error("Process %d ended with status %s and is replaced.", member.post.number, code)
        self._stopping.wait(_RESTART_PAUSE_SECONDS)
        return _Member(self._settings, member.post)

    def _end(self) -> None:
        for member in self._members:
            member.process.terminate()
        deadline = time.monotonic() + _GRACE_SECONDS
        for member in self._members:
            member.process.join(max(0.0, deadline - time.monotonic()))
            if member.process.is_alive():
                member.process.kill()
                member.process.join()


def _reads_ready(said: Connection) -> bool:
    try:
        return bool(said.recv())
    except EOFError:
        return False


def _serve_at(settings: Settings, post: Post, said: Connection) -> None:
    """What a process of its own does."""
    from whatsit.web.server import serve_on

    threading.Thread(target=_end_with_parent, daemon=True).start()
    # The terminal tells all processes of Ctrl-C; the first of them tells the others.
    configure_logging(settings.log_level, settings.log_format)
    with _sentence_instead_of_traceback(), bind(*post.address, is_shared=True) as listener:
        serve_on(
            listener,
            settings,
            page_enabled=False,
            on_ready=lambda running: said.send(True),
            expositions=ExpositionFolder(post.metrics, post.number),
        )


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def _sentence_instead_of_traceback() -> Iterator[None]:
    try:
        yield
    except WhatsitError as error:
        _log.error("%s", error.detail)
        sys.exit(1)
