"""What whatsit tells about itself: Prometheus metrics and log lines."""

import json
import logging
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.parser import text_string_to_metric_families

from whatsit.errors import CacheFailure
from whatsit.prediction import ModelId
from whatsit.service import CacheOutcome
from whatsit.workers import Workers

_log = logging.getLogger(__name__)

_STAGE_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_PUBLISH_SECONDS = 1.0
_EXPOSITION = ".prom"
_RECORD_FIELDS = frozenset(vars(logging.makeLogRecord({})))


class Telemetry:
    """The metrics of one process; the `whatsit.service.ServiceEvents` of its service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._answers = Counter(
            "whatsit_answers", "Pictures answered.", ["cache"], registry=self.registry
        )
        self._refusals = Counter(
            "whatsit_refusals", "Requests and pictures refused.", ["code"], registry=self.registry
        )
        self._stages = Histogram(
            "whatsit_stage_seconds",
            "Time spent in each stage of an answer.",
            ["stage"],
            buckets=_STAGE_BUCKETS,
            registry=self.registry,
        )
        self._cache_failures = Counter(
            "whatsit_cache_failures",
            "Calls that the shared cache failed.",
            ["failure"],
            registry=self.registry,
        )
        self._cache_paused = Gauge(
            "whatsit_cache_breaker_open",
            "1 while the shared cache is left alone after a failure.",
            registry=self.registry,
        )
        self._waiting = Gauge(
            "whatsit_queue_pictures", "Pictures that wait to be worked on.", registry=self.registry
        )
        self._running = Gauge(
            "whatsit_working_pictures", "Pictures that are worked on.", registry=self.registry
        )
        self._held = Gauge(
            "whatsit_held_bytes", "Bytes of pictures held in memory.", registry=self.registry
        )
        self._requests = Counter(
            "whatsit_http_requests",
            "HTTP requests by route and status.",
            ["route", "status"],
            registry=self.registry,
        )
        self._request_seconds = Histogram(
            "whatsit_http_request_seconds",
            "Time from a request's first byte to its answer's last.",
            ["route"],
            buckets=_STAGE_BUCKETS,
            registry=self.registry,
        )
        self._model = Gauge(
            "whatsit_model_info",
            "Which model answers.",
            ["name", "fingerprint"],
            registry=self.registry,
        )
        ProcessCollector(registry=self.registry)

    def answered(self, outcome: CacheOutcome, timings_ms: Mapping[str, float]) -> None:
        """Count an answer and the time of its stages."""
        self._answers.labels(outcome).inc()
        for stage, milliseconds in timings_ms.items():
            self._stages.labels(stage).observe(milliseconds / 1000)

    def refused(self, code: str) -> None:
        """Count a refusal by the code of its problem."""
        self._refusals.labels(code).inc()

    def cache_failed(self, failure: CacheFailure) -> None:
        """Count a call that the shared cache failed."""
        self._cache_failures.labels(failure).inc()

    def cache_held_back(self, is_open: bool) -> None:
        """Tell whether the shared cache is left alone now."""
        self._cache_paused.set(is_open)
        if is_open:
            _log.warning("Redis does not answer in time. Pictures are answered without it.")
        else:
            _log.info("Redis answers again.")

    def watch_queue(self, workers: Workers) -> None:
        """Tell the length of the queue of `workers` from now on."""
        self._waiting.set_function(lambda: workers.waiting)
        self._running.set_function(lambda: workers.running)

    def holding(self, held_bytes: int) -> None:
        """Tell how many bytes of pictures are in memory."""
        self._held.set(held_bytes)

    def requested(self, route: str, status: int, seconds: float) -> None:
        """Count an HTTP request. `route` is the pattern, so that labels stay few."""
        self._requests.labels(route, str(status)).inc()
        self._request_seconds.labels(route).observe(seconds)

    def serving(self, model: ModelId) -> None:
        """Tell which model answers."""
        self._model.clear()
        self._model.labels(model.name, model.fingerprint[:16]).set(1)

    def exposition(self) -> bytes:
        """All metrics in the Prometheus text format."""
        return generate_latest(self.registry)


class ExpositionFolder:
    """Where processes that share a port leave their metrics, so that each can tell those of all.

    Whoever scrapes the port reaches one of them by chance.

    Args:
        folder: Theirs alone.
        number: Of this process among them.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self._folder = folder
        self._number = number

    @contextmanager
    def publish(self, telemetry: Telemetry) -> Iterator[None]:
        """Leave the metrics of this process there every second, until the block ends."""
        ended = threading.Event()

        def work() -> None:
            while True:
                self._leave(telemetry.exposition())
                if ended.wait(_PUBLISH_SECONDS):
                    return

        publisher = threading.Thread(target=work, name="whatsit-metrics", daemon=True)
        publisher.start()
        try:
            yield
        finally:
            ended.set()
            publisher.join()

    def exposition(self, telemetry: Telemetry) -> bytes:
        """The metrics of all processes, each sample with the number of its process.

        Those of the others are up to a second old.
        """
        self._leave(telemetry.exposition())
        files = sorted(self._folder.glob(f"*{_EXPOSITION}"))
        return _merge({file.stem: file.read_text(encoding="utf-8") for file in files})

    def _leave(self, exposition: bytes) -> None:
        target = self._folder / f"{self._number}{_EXPOSITION}"
        written = target.with_suffix(f".{threading.get_ident()}")
        written.write_bytes(exposition)
        written.replace(target)


class _Families:
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _merge(expositions: Mapping[str, str]) -> bytes:
    families: dict[str, Metric] = {}
    for process, text in expositions.items():
        for family in text_string_to_metric_families(text):
            merged = families.setdefault(
                family.name, Metric(family.name, family.documentation, family.type)
            )
            merged.samples += [
                sample._replace(labels={**sample.labels, "process": process})
                for sample in family.samples
            ]
    registry = CollectorRegistry()
    registry.register(_Families(families.values()))
    return generate_latest(registry)


def configure_logging(level: str, log_format: Literal["text", "json"]) -> None:
    """Send log lines of whatsit and its libraries to standard error. Called once, by `main`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if log_format == "json" else _TextLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("whatsit").setLevel(level.upper())


class _TextLines(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        facts = " ".join(f"{name}={value}" for name, value in _extra(record).items())
        line = super().format(record)
        return f"{line}  {facts}" if facts else line


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extra(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def _extra(record: logging.LogRecord) -> dict[str, object]:
    ours = {"message", "asctime", *_RECORD_FIELDS}
    return {name: value for name, value in vars(record).items() if name not in ours}
