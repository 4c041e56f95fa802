"""The metrics of one process, for Prometheus."""

import logging
import time
from collections.abc import Callable, Mapping
from platform import python_version
from typing import get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from whatsit import __version__
from whatsit.cache.reasons import Reason, Trouble
from whatsit.errors import (
    CacheFailure,
)
from whatsit.feedback.correction import Verdict
from whatsit.prediction import CacheOutcome, Certainty, Prediction
from whatsit.service.follower import SwapOutcome
from whatsit.service.line_up import LineUp
from whatsit.service.workers import Workers
from whatsit.telemetry.catalogue import METRICS, SERVICE_METRICS, DescribedMetric
from whatsit.telemetry.request import FinishedRequest

_log = logging.getLogger(__name__)

_BUCKETS_SECONDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
"""From half a cached answer up to a picture that trickles in."""
_MODEL_STAGES = ("preprocess", "infer", "answer")
_REPEAT_SECONDS = 60.0
"""Between two log lines about one trouble that comes and goes."""


class Telemetry:
    """The metrics of one process: it listens to its service, and to what follows the live model.

    Attributes:
        registry: Where all of them are registered; others may add theirs.
    """

    def __init__(self) -> None:
        # A second series for every counter, which is not needed.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        for metric in SERVICE_METRICS:
            self._add(metric)
        ProcessCollector(registry=self.registry)
        self._gauges["whatsit_build_info"].labels(__version__, python_version()).set(1)
        self._warned_at: dict[Reason, float] = {}
        self._has_warned = False
        # Looking a series up by its labels takes longer than counting does.
        self._outcome_counters = {
            outcome: self._counters["whatsit_answers_total"].labels(outcome)
            for outcome in get_args(CacheOutcome)
        }
        self._stage_histograms: dict[str, Histogram] = {}
        self._answer_counters: dict[tuple[str, str], Counter] = {}
        self._request_series: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    def _add(self, metric: DescribedMetric) -> None:
        name, facts = metric.name, (metric.name, metric.meaning, metric.labels)
        if metric.kind == "histogram":
            self._histograms[name] = Histogram(
                *facts, buckets=_BUCKETS_SECONDS, registry=self.registry
            )
            return
        added: Counter | Gauge
        if metric.kind == "counter":
            added = self._counters[name] = Counter(*facts, registry=self.registry)
        else:
            added = self._gauges[name] = Gauge(*facts, registry=self.registry)
        for value in metric.known:
            added.labels(value)

    def describe(self) -> tuple[DescribedMetric, ...]:
        """Every metric that can be exported, ours first, then those of the process."""
        return METRICS

    def answered(
        self, prediction: Prediction, outcome: CacheOutcome, timings_ms: Mapping[str, float]
    ) -> None:
        """Count an answer and the time of its stages."""
        self._outcome_counters[outcome].inc()
        for stage, milliseconds in timings_ms.items():
            histogram = self._stage_histograms.get(stage)
            if histogram is None:
                histogram = self._stage_histograms[stage] = self._histograms[
                    "whatsit_stage_seconds"
                ].labels(stage)
            histogram.observe(milliseconds / 1000)
        model = prediction.model.name
        series = (model, prediction.answer.certainty)
        counter = self._answer_counters.get(series)
        if counter is None:
            counter = self._answer_counters[series] = self._counters[
                "whatsit_model_answers_total"
            ].labels(*series)
        counter.inc()
        if "infer" in timings_ms:
            seconds = sum(timings_ms.get(stage, 0) for stage in _MODEL_STAGES) / 1000
            self._histograms["whatsit_model_seconds"].labels(model).observe(seconds)

    def cache_failed(self, failure: CacheFailure) -> None:
        """Count a call that the shared cache failed."""
        self._counters["whatsit_cache_failures_total"].labels(failure).inc()

    def cache_held_back(self, is_open: bool) -> None:
        """Export whether the shared cache is left alone now."""
        self._gauges["whatsit_cache_breaker_open"].set(is_open)

    def cache_troubled(self, trouble: Trouble | None) -> None:
        """Export and log why the shared cache does not do its work; None if it does again."""
        for reason in get_args(Reason):
            self._gauges["whatsit_cache_trouble"].labels(reason).set(
                trouble is not None and reason == trouble.reason
            )
        now = time.monotonic()
        if trouble is None:
            if self._has_warned:
                _log.info("Redis answers again, and keeps what it is given.")
            self._has_warned = False
        elif now - self._warned_at.get(trouble.reason, float("-inf")) >= _REPEAT_SECONDS:
            self._warned_at[trouble.reason] = now
            self._has_warned = True
            _log.warning("%s Pictures are answered without it.", trouble.sentence)

    def corrected(self, verdict: Verdict, model: str | None) -> None:
        """Count a correction that was kept, of the answer of that model where it is known."""
        self._counters["whatsit_feedback_total"].labels(verdict).inc()
        if model is not None:
            self._counters["whatsit_model_feedback_total"].labels(model, verdict).inc()

    def limited(self, *, queue: int, working: int, held_bytes: int) -> None:
        """Export the limits that overload is measured against; see the settings."""
        self._gauges["whatsit_queue_limit_pictures"].set(queue)
        self._gauges["whatsit_working_limit_pictures"].set(working)
        self._gauges["whatsit_held_limit_bytes"].set(held_bytes)

    def watch_queue(self, workers: Workers) -> None:
        """Export the length of the queue of `workers` from now on."""
        self._gauges["whatsit_queue_pictures"].set_function(lambda: workers.waiting)
        self._gauges["whatsit_working_pictures"].set_function(lambda: workers.running)

    def watch_held_bytes(self, held_bytes: Callable[[], int]) -> None:
        """Export from now on how many bytes of pictures are in memory.

        Args:
            held_bytes: Asked at each scrape.
        """
        self._gauges["whatsit_held_bytes"].set_function(held_bytes)

    def requested(self, request: FinishedRequest) -> None:
        """Count an HTTP request, and the refusal if it was one."""
        series = (request.route, request.status)
        counted = self._request_series.get(series)
        if counted is None:
            counted = self._request_series[series] = (
                self._counters["whatsit_http_requests_total"].labels(
                    request.route, str(request.status)
                ),
                self._histograms["whatsit_http_request_seconds"].labels(request.route),
            )
        counted[0].inc()
        counted[1].observe(request.seconds)
        if request.code is not None:
            self._counters["whatsit_refusals_total"].labels(request.code).inc()

    def serving(self, line_up: LineUp) -> None:
        """Export which models answer."""
        self._gauges["whatsit_model_info"].clear()
        for role, serving in zip(("live", "canary"), line_up.servings, strict=False):
            model = serving.model
            self._gauges["whatsit_model_info"].labels(model.name, model.fingerprint[:16], role).set(
                1
            )
            for certainty in get_args(Certainty):
                self._counters["whatsit_model_answers_total"].labels(model.name, certainty)
            for verdict in get_args(Verdict):
                self._counters["whatsit_model_feedback_total"].labels(model.name, verdict)
            self._histograms["whatsit_model_seconds"].labels(model.name)
        self._gauges["whatsit_canary_ratio"].set(line_up.canary_ratio)

    def swapped(self, outcome: SwapOutcome) -> None:
        """Count a change of what is live."""
        self._counters["whatsit_model_swaps_total"].labels(outcome).inc()

    def exposition(self) -> bytes:
        """All metrics in the Prometheus text format."""
        return generate_latest(self.registry)
