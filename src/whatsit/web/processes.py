"""Several processes that serve the API on one port, share one cache and replace each other."""

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from whatsit.errors import WhatsitError
from whatsit.models.catalogue import Progress
from whatsit.models.live import resolve_served
from whatsit.models.store import LIVE, ModelStore
from whatsit.opening import open_redis
from whatsit.settings import Settings
from whatsit.telemetry.logs import configure_logging
from whatsit.telemetry.processes import ExpositionFolder
from whatsit.web.listener import bind
from whatsit.web.signals import END_SECONDS, Ending, at_hangup

_log = logging.getLogger(__name__)

_GRACE_SECONDS = END_SECONDS + 0.2
"""More than a process gives itself."""
_RESTART_PAUSE_SECONDS = 1.0
_LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Slot:
    """The place of one process among those that share the port.

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
        settings: The settings of each of them, the address included.
        count: How many; each holds its own copy of the model in memory.
        progress: Called during the download of a model that is not in the store yet.

    Raises:
        WhatsitError: A process can't be started, or the address can't be listened on.
    """
    configure_logging(settings.log_level, settings.log_format)
    Ending()
    with ExitStack() as stack:
        # Downloaded once, and the errors of opening it reported once.
        store = ModelStore(settings.store)
        resolve_served(store, settings.store, settings.model, progress=progress)
        # Opened here, so that it outlives any of the processes.
        settings = settings.model_copy(update={"redis_url": open_redis(settings, stack)})
        # Bound, not listening: it keeps the port while processes come and go.
        reserved = stack.enter_context(bind(settings.host, settings.port, is_shared=True))
        metrics = Path(stack.enter_context(TemporaryDirectory(prefix="whatsit-metrics-")))
        _Supervisor(settings, count, reserved.getsockname()[:2], metrics).run()


class _Worker:
    """One process, and the pipe through which it says that it is ready."""

    def __init__(self, settings: Settings, slot: Slot) -> None:
        context = multiprocessing.get_context("spawn")
        self.slot = slot
        self.readiness: Connection
        self.readiness, theirs = context.Pipe(duplex=False)
        self.process: SpawnProcess = context.Process(
            target=_serve_at, args=(settings, slot, theirs), name=f"whatsit-{slot.number}"
        )
        self.process.start()
        theirs.close()
        self.is_ready = False


class _Supervisor:
    def __init__(
        self, settings: Settings, count: int, address: tuple[str, int], metrics: Path
    ) -> None:
        self._settings = settings
        self._slots = [Slot(number, address, metrics) for number in range(1, count + 1)]
        self._stopping = threading.Event()
        self._workers: list[_Worker] = []
        self._was_ready = False

    def run(self) -> None:
        # Until here, a signal ended what was being opened.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        if self._settings.model == LIVE:
            at_hangup(self._pass_on)
        self._workers = [_Worker(self._settings, slot) for slot in self._slots]
        try:
            while not self._stopping.is_set():
                self._look()
        finally:
            self._end()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping.set()

    def _pass_on(self) -> None:
        for worker in self._workers:
            # One that is starting would end; it finds what is live now by itself.
            if worker.is_ready and worker.process.pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(worker.process.pid, signal.SIGHUP)

    def _look(self) -> None:
        watched: list[Connection | int] = [worker.process.sentinel for worker in self._workers]
        watched += [worker.readiness for worker in self._workers if not worker.is_ready]
        wait(watched, timeout=_LOOK_SECONDS)
        for worker in self._workers:
            if not worker.is_ready and worker.readiness.poll():
                worker.is_ready = _reports_ready(worker.readiness)
        if not self._was_ready and all(worker.is_ready for worker in self._workers):
            self._was_ready = True
            host, port = self._slots[0].address
            shown = f"[{host}]" if ":" in host else host
            _log.info(
                "whatsit is ready on http://%s:%d in %d processes", shown, port, len(self._slots)
            )
        for number, worker in enumerate(self._workers):
            if not worker.process.is_alive() and not self._stopping.is_set():
                self._workers[number] = self._replace(worker)

    def _replace(self, worker: _Worker) -> _Worker:
        code = worker.process.exitcode
        if not self._was_ready:
            raise WhatsitError(f"A process did not start (status {code}); see above.")
        _log.error("Process %d ended with status %s and is replaced.", worker.slot.number, code)
        self._stopping.wait(_RESTART_PAUSE_SECONDS)
        return _Worker(self._settings, worker.slot)

    def _end(self) -> None:
        for worker in self._workers:
            worker.process.terminate()
        deadline = time.monotonic() + _GRACE_SECONDS
        for worker in self._workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()


def _reports_ready(readiness: Connection) -> bool:
    try:
        return bool(readiness.recv())
    except EOFError:
        return False


def _serve_at(settings: Settings, slot: Slot, readiness: Connection) -> None:
    """Serve in one of the processes."""
    from whatsit.web.server import serve_on

    threading.Thread(target=_end_with_parent, daemon=True).start()
    # The terminal sends Ctrl-C to all processes; the first of them stops the others.
    configure_logging(settings.log_level, settings.log_format)
    with _sentence_instead_of_traceback(), bind(*slot.address, is_shared=True) as listener:
        serve_on(
            listener,
            settings,
            page_enabled=False,
            on_ready=lambda running: readiness.send(True),
            expositions=ExpositionFolder(slot.metrics, slot.number),
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
