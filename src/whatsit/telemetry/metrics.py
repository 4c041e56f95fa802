"""What whatsit tells about itself: Prometheus metrics and log lines."""

import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from platform import python_version
from typing import Literal, NamedTuple, TextIO, TypeVar, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.parser import text_string_to_metric_families

from whatsit import __version__
from whatsit.cache.reasons import Reason, Trouble
from whatsit.classifier import Computed
from whatsit.drift.drift import Drift, Reference, describe_signals
from whatsit.drift.watch import Watch
from whatsit.errors import (
    CacheFailure,
    FeedbackUnavailable,
    InferenceFailed,
    InputError,
    ModelNotReady,
    Overloaded,
    WhatsitError,
)
from whatsit.feedback.correction import Verdict
from whatsit.prediction import CacheOutcome, Certainty, Prediction
from whatsit.service.follower import SwapOutcome
from whatsit.service.line_up import LineUp
from whatsit.service.workers import Workers

_log = logging.getLogger(__name__)

_BUCKETS_SECONDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
"""From half a cached answer up to a picture that trickles in."""
_REFUSALS: tuple[type[WhatsitError], ...] = (
    *InputError.__subclasses__(),
    Overloaded,
    ModelNotReady,
    InferenceFailed,
    FeedbackUnavailable,
)
_MODEL_STAGES = ("preprocess", "infer", "answer")
_STATES: dict[Drift, int] = {"too few": 0, "as usual": 0, "shifting": 1, "different": 2}
_PUBLISH_SECONDS = 1.0
_REPEAT_SECONDS = 60.0
"""Between two log lines about one trouble that comes and goes."""
_EXPOSITION = ".prom"
_WATCHED = ".watched"
_RECORD_FIELDS = frozenset(vars(logging.makeLogRecord({})))


class FinishedRequest(NamedTuple):
    """What is told of a request: nothing of its content, and not who sent it.

    Attributes:
        request_id: As in the header ``X-Request-Id``.
        method: As it was sent.
        route: The pattern of its path, so that labels stay few.
        status: 499 where the client did not wait for one.
        seconds: From its first byte to its answer's last.
        received_bytes: Of the body that were read.
        sent_bytes: Of the answer's body.
        cache: Where the answer came from; None where there is no answer to a picture.
        code: Of the problem; None where there is none.
        timings_ms: Milliseconds by stage, where a picture was answered.
    """

    request_id: str
    method: str
    route: str
    status: int
    seconds: float
    received_bytes: int
    sent_bytes: int
    cache: CacheOutcome | None
    code: str | None
    timings_ms: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class DescribedMetric:
    """A metric as it is documented.

    Attributes:
        name: As Prometheus knows it, without the endings that a histogram's parts have.
        kind: ``counter``, ``gauge`` or ``histogram``.
        labels: Names of its labels.
        meaning: A sentence.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str


_PROCESS_METRICS = (
    DescribedMetric("process_resident_memory_bytes", "gauge", (), "Memory in use (Linux only)."),
    DescribedMetric("process_virtual_memory_bytes", "gauge", (), "Memory reserved (Linux only)."),
    DescribedMetric("process_cpu_seconds_total", "counter", (), "Processor time (Linux only)."),
    DescribedMetric("process_start_time_seconds", "gauge", (), "When it started (Linux only)."),
    DescribedMetric("process_open_fds", "gauge", (), "Open files (Linux only)."),
    DescribedMetric("process_max_fds", "gauge", (), "Files that may be open (Linux only)."),
)
"""What the client library tells by itself."""

_Kind = TypeVar("_Kind", Counter, Gauge)


class Telemetry:
    """The metrics of one process: it listens to its service, and to who follows what is live."""

    def __init__(self) -> None:
        # A second series for every counter, which no one asks for.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._described: list[DescribedMetric] = []
        self._answers = self._add(Counter, "answers", "Pictures answered.", "cache")
        self._refusals = self._add(
            Counter, "refusals", "Requests and pictures refused, by code of the problem.", "code"
        )
        self._stages = self._add_histogram(
            "stage_seconds", "Time spent in each stage of an answer; total: in all.", "stage"
        )
        self._cache_failures = self._add(
            Counter, "cache_failures", "Calls that the shared cache failed.", "failure"
        )
        self._cache_paused = self._add(
            Gauge, "cache_breaker_open", "1 while the shared cache is left alone after a failure."
        )
        self._cache_trouble = self._add(
            Gauge,
            "cache_trouble",
            "1 for the reason why the shared cache does not keep or give answers, if it does not.",
            "reason",
        )
        self._waiting = self._add(Gauge, "queue_pictures", "Pictures that wait to be worked on.")
        self._queue_limit = self._add(
            Gauge, "queue_limit_pictures", "Pictures that may wait (WHATSIT_MAX_QUEUE)."
        )
        self._running = self._add(Gauge, "working_pictures", "Pictures that are worked on.")
        self._working_limit = self._add(
            Gauge,
            "working_limit_pictures",
            "Pictures worked on at the same time at most (WHATSIT_INFERENCE_THREADS).",
        )
        self._held = self._add(Gauge, "held_bytes", "Bytes of pictures held in memory.")
        self._held_limit = self._add(
            Gauge,
            "held_limit_bytes",
            "Bytes of pictures that may be held (WHATSIT_MAX_HELD_BYTES).",
        )
        self._requests = self._add(
            Counter,
            "http_requests",
            "HTTP requests by route and status; 499: the client did not wait.",
            "route",
            "status",
        )
        self._request_seconds = self._add_histogram(
            "http_request_seconds",
            "Time from a request's first byte to its answer's last, slow senders included.",
            "route",
        )
        self._feedback = self._add(Counter, "feedback", "Corrections kept, by verdict.", "verdict")
        self._model_feedback = self._add(
            Counter,
            "model_feedback",
            "Corrections kept, by the model whose answer was corrected and by verdict.",
            *("model", "verdict"),
        )
        self._model_answers = self._add(
            Counter,
            "model_answers",
            "Pictures answered, by the model that answered and by certainty.",
            *("model", "certainty"),
        )
        self._model_seconds = self._add_histogram(
            "model_seconds",
            "Time that a model took to compute an answer, without decoding and waiting.",
            "model",
        )
        self._model = self._add(
            Gauge,
            "model_info",
            "Which models answer; role: live or canary.",
            *("name", "fingerprint", "role"),
        )
        self._canary_ratio = self._add(
            Gauge, "canary_ratio", "Share of the pictures that the canary answers; 0 without one."
        )
        self._swaps = self._add(
            Counter,
            "model_swaps",
            "Changes of what is live that were followed (switched) or could not be (failed).",
            "outcome",
        )
        build = self._add(Gauge, "build_info", "Which whatsit runs.", "version", "python")
        build.labels(__version__, python_version()).set(1)
        self._told_at: dict[Reason, float] = {}
        self._trouble_is_told = False
        self.watch = Watch()
        traffic = _Traffic(self.watch)
        self._described += traffic.described
        self.registry.register(traffic)
        ProcessCollector(registry=self.registry)
        # A counter that starts to exist with its first count hides that count from `rate`.
        for outcome in get_args(CacheOutcome):
            self._answers.labels(outcome)
        for failure in get_args(CacheFailure):
            self._cache_failures.labels(failure)
        for reason in get_args(Reason):
            self._cache_trouble.labels(reason)
        for verdict in get_args(Verdict):
            self._feedback.labels(verdict)
        for swap in get_args(SwapOutcome):
            self._swaps.labels(swap)
        # Looking a series up by its labels takes longer than counting does.
        self._outcome_counters = {
            outcome: self._answers.labels(outcome) for outcome in get_args(CacheOutcome)
        }
        self._stage_histograms: dict[str, Histogram] = {}
        self._answer_counters: dict[tuple[str, str], Counter] = {}
        self._request_series: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        for refusal in _REFUSALS:
            self._refusals.labels(refusal.code)

    def describe(self) -> tuple[DescribedMetric, ...]:
        """Every metric that can be exported, ours first, then those of the process."""
        return (*self._described, *_PROCESS_METRICS)

    def _add(self, kind: type[_Kind], name: str, meaning: str, *labels: str) -> _Kind:
        full = f"whatsit_{name}"
        shown, word = (f"{full}_total", "counter") if kind is Counter else (full, "gauge")
        self._described.append(DescribedMetric(shown, word, labels, meaning))
        return kind(full, meaning, labels, registry=self.registry)

    def _add_histogram(self, name: str, meaning: str, *labels: str) -> Histogram:
        full = f"whatsit_{name}"
        self._described.append(DescribedMetric(full, "histogram", labels, meaning))
        return Histogram(full, meaning, labels, buckets=_BUCKETS_SECONDS, registry=self.registry)

    def answered(
        self, prediction: Prediction, outcome: CacheOutcome, timings_ms: Mapping[str, float]
    ) -> None:
        """Count an answer and the time of its stages."""
        self._outcome_counters[outcome].inc()
        for stage, milliseconds in timings_ms.items():
            histogram = self._stage_histograms.get(stage)
            if histogram is None:
                histogram = self._stage_histograms[stage] = self._stages.labels(stage)
            histogram.observe(milliseconds / 1000)
        model = prediction.model.name
        series = (model, prediction.answer.certainty)
        counter = self._answer_counters.get(series)
        if counter is None:
            counter = self._answer_counters[series] = self._model_answers.labels(*series)
        counter.inc()
        if "infer" in timings_ms:
            seconds = sum(timings_ms.get(stage, 0) for stage in _MODEL_STAGES) / 1000
            self._model_seconds.labels(model).observe(seconds)

    def computed(self, computed: Computed) -> None:
        """Count what the model was asked; see `whatsit.drift.watch.Watch.computed`."""
        prediction = computed.prediction
        signals = describe_signals(prediction, computed.familiarity, computed.statistics)
        self.watch.computed(prediction, signals)

    def cache_failed(self, failure: CacheFailure) -> None:
        """Count a call that the shared cache failed."""
        self._cache_failures.labels(failure).inc()

    def cache_held_back(self, is_open: bool) -> None:
        """Tell whether the shared cache is left alone now."""
        self._cache_paused.set(is_open)

    def cache_troubled(self, trouble: Trouble | None) -> None:
        """Tell why the shared cache does not do what it is asked; None where it does again."""
        for reason in get_args(Reason):
            self._cache_trouble.labels(reason).set(trouble is not None and reason == trouble.reason)
        now = time.monotonic()
        if trouble is None:
            if self._trouble_is_told:
                _log.info("Redis answers again, and keeps what it is given.")
            self._trouble_is_told = False
        elif now - self._told_at.get(trouble.reason, float("-inf")) >= _REPEAT_SECONDS:
            self._told_at[trouble.reason] = now
            self._trouble_is_told = True
            _log.warning("%s Pictures are answered without it.", trouble.sentence)

    def corrected(self, verdict: Verdict, model: str | None) -> None:
        """Count a correction that was kept, of the answer of that model where it is known."""
        self._feedback.labels(verdict).inc()
        if model is not None:
            self._model_feedback.labels(model, verdict).inc()

    def limited(self, *, queue: int, working: int, held_bytes: int) -> None:
        """Tell the limits that overload is measured against; see the settings."""
        self._queue_limit.set(queue)
        self._working_limit.set(working)
        self._held_limit.set(held_bytes)

    def watch_queue(self, workers: Workers) -> None:
        """Tell the length of the queue of `workers` from now on."""
        self._waiting.set_function(lambda: workers.waiting)
        self._running.set_function(lambda: workers.running)

    def watch_held_bytes(self, held_bytes: Callable[[], int]) -> None:
        """Tell from now on how many bytes of pictures are in memory, by asking when asked."""
        self._held.set_function(held_bytes)

    def requested(self, request: FinishedRequest) -> None:
        """Count an HTTP request, and the refusal if it was one."""
        series = (request.route, request.status)
        counted = self._request_series.get(series)
        if counted is None:
            counted = self._request_series[series] = (
                self._requests.labels(request.route, str(request.status)),
                self._request_seconds.labels(request.route),
            )
        counted[0].inc()
        counted[1].observe(request.seconds)
        if request.code is not None:
            self._refusals.labels(request.code).inc()

    def serving(self, line_up: LineUp) -> None:
        """Tell which models answer, and watch the traffic of the live one."""
        live = line_up.live
        self.watch.serve(live.model, Reference.of(live.classifier.card))
        self._model.clear()
        for role, serving in zip(("live", "canary"), line_up.servings, strict=False):
            model = serving.model
            self._model.labels(model.name, model.fingerprint[:16], role).set(1)
            for certainty in get_args(Certainty):
                self._model_answers.labels(model.name, certainty)
            for verdict in get_args(Verdict):
                self._model_feedback.labels(model.name, verdict)
            self._model_seconds.labels(model.name)
        self._canary_ratio.set(line_up.canary_ratio)

    def swapped(self, outcome: SwapOutcome) -> None:
        """Count a change of what is live."""
        self._swaps.labels(outcome).inc()

    def exposition(self) -> bytes:
        """All metrics in the Prometheus text format."""
        return generate_latest(self.registry)


class _Traffic:
    """Tells what a watch has seen, computed whenever somebody asks."""

    described = (
        DescribedMetric(
            "whatsit_drift_psi",
            "gauge",
            ("signal", "window"),
            "How far a signal of the pictures lies from the model's reference, less what chance "
            "gives (PSI); from 0.1 on it is shifting, from 0.25 on different.",
        ),
        DescribedMetric(
            "whatsit_drift_state",
            "gauge",
            ("signal", "window"),
            "What that means: 0 as usual or too few pictures, 1 shifting, 2 different.",
        ),
        DescribedMetric(
            "whatsit_drift_pictures", "gauge", ("window",), "Pictures that this is measured on."
        ),
        DescribedMetric(
            "whatsit_drift_signal",
            "histogram",
            ("signal",),
            "Signals of the pictures that the model was asked about, in the bins of its reference.",
        ),
    )

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def collect(self) -> Iterator[Metric]:
        psi, state, pictures = (
            GaugeMetricFamily(one.name, one.meaning, labels=one.labels)
            for one in self.described[:3]
        )
        report = self._watch.report()
        for window in report.windows if report is not None else ():
            pictures.add_metric([window.window], window.pictures)
            for signal in window.signals:
                labels = [signal.signal, window.window]
                psi.add_metric(labels, round(signal.psi, 4))
                state.add_metric(labels, _STATES[signal.drift])
        yield from (psi, state, pictures)
        one = self.described[3]
        histogram = HistogramMetricFamily(one.name, one.meaning, labels=one.labels)
        for name, totals in self._watch.totals().items():
            ends = [*map(str, totals.reference.edges), "+Inf"]
            buckets = list(zip(ends, accumulate(totals.counts), strict=True))
            histogram.add_metric([name], buckets, totals.total)
        yield histogram


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
                self._leave(telemetry.watch.leave().encode(), _WATCHED)
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

    def watched_by_others(self) -> tuple[str, ...]:
        """What all other processes left of their watch, up to a second ago."""
        own = f"{self._number}{_WATCHED}"
        files = sorted(self._folder.glob(f"*{_WATCHED}"))
        texts = (file.read_text(encoding="utf-8") for file in files if file.name != own)
        return tuple(text for text in texts if text)

    def _leave(self, content: bytes, kind: str = _EXPOSITION) -> None:
        target = self._folder / f"{self._number}{kind}"
        written = target.with_suffix(f".{threading.get_ident()}")
        written.write_bytes(content)
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
    # No line of ours says these, and finding them out takes as long as writing the line.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = _LineHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if log_format == "json" else _TextLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("whatsit").setLevel(level.upper())


class _LineHandler(logging.StreamHandler[TextIO]):
    """Writes to a stream that sends each line on by itself, as standard error does."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.stream.write(f"{self.format(record)}\n")
        except Exception:  # noqa: BLE001 - the logging module's own way to report it
            self.handleError(record)


class RequestLog:
    """One line for each request."""

    def __init__(self) -> None:
        self._logger = logging.getLogger("whatsit.requests")

    def write(self, request: FinishedRequest) -> None:
        """Write the line, if lines of this kind are wanted."""
        if self._logger.isEnabledFor(logging.INFO):
            self._logger.handle(_RequestRecord(request))

    def failed(self, request_id: str) -> None:
        """Write down the exception that is being handled."""
        self._logger.exception("A request failed.", extra={"request_id": request_id})


class _RequestRecord(logging.LogRecord):
    """Made without looking for its caller, which takes longer than all the rest."""

    _alike = vars(logging.LogRecord("whatsit.requests", logging.INFO, "", 0, "", None, None))

    def __init__(self, request: FinishedRequest) -> None:
        # In the place of the base's, which finds out much that no line says.
        self.__dict__.update(self._alike)
        self.msg = f"{request.method} {request.route} {request.status}"
        self.created = time.time()
        self.msecs = self.created % 1 * 1000
        self.request = request


class _Clock:
    """Tells times as text; works each second out only once."""

    def __init__(self, pattern: str, convert: Callable[[float], time.struct_time]) -> None:
        self._pattern = pattern
        self._convert = convert
        self._told = (0, "")

    def tell(self, seconds: float) -> str:
        second = int(seconds)
        known, text = self._told
        if known != second:
            text = time.strftime(self._pattern, self._convert(second))
            # Both at once: another thread never sees the one without the other.
            self._told = (second, text)
        return text


class _TextLines(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s")
        self._clock = _Clock("%H:%M:%S", time.localtime)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        return self._clock.tell(record.created)

    def format(self, record: logging.LogRecord) -> str:
        if isinstance(record, _RequestRecord):
            request = record.request
            return (
                f"{self._clock.tell(record.created)} INFO    {record.msg}"
                f"  request_id={request.request_id}"
                f"{f' cache={request.cache}' if request.cache else ''}"
                f"{f' code={request.code}' if request.code else ''}"
                f" received_bytes={request.received_bytes} sent_bytes={request.sent_bytes}"
                f" ms={request.seconds * 1000:.3f}"
            )
        facts = " ".join(f"{name}={value}" for name, value in _extra(record).items())
        line = super().format(record)
        return f"{line}  {facts}" if facts else line


class _JsonLines(logging.Formatter):
    def __init__(self) -> None:
        super().__init__()
        self._clock = _Clock("%Y-%m-%dT%H:%M:%S", time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        moment = f"{self._clock.tell(record.created)}.{int(record.msecs):03d}Z"
        if isinstance(record, _RequestRecord):
            request = record.request
            # Nothing in here can hold a quote: ids are checked, the rest are words of ours.
            return (
                f'{{"time": "{moment}", "level": "info", "logger": "{record.name}", '
                f'"message": "{record.msg}", "request_id": "{request.request_id}", '
                f'"method": "{request.method}", "route": "{request.route}", '
                f'"status": {request.status}, '
                f"{_json_member('cache', request.cache)}{_json_member('code', request.code)}"
                f'"received_bytes": {request.received_bytes}, '
                f'"sent_bytes": {request.sent_bytes}, "ms": {request.seconds * 1000:.3f}}}'
            )
        line = {
            "time": moment,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extra(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def _json_member(name: str, value: str | None) -> str:
    return f'"{name}": "{value}", ' if value else ""


def _extra(record: logging.LogRecord) -> dict[str, object]:
    ours = {"message", "asctime", *_RECORD_FIELDS}
    return {name: value for name, value in vars(record).items() if name not in ours}
