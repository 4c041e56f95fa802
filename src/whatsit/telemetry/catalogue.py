"""Every metric: its name, its kind, its labels and its meaning."""

from dataclasses import dataclass
from typing import Literal, get_args

from whatsit.cache.reasons import Reason
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
from whatsit.prediction import CacheOutcome
from whatsit.service.follower import SwapOutcome

_REFUSALS: tuple[type[WhatsitError], ...] = (
    *InputError.__subclasses__(),
    Overloaded,
    ModelNotReady,
    InferenceFailed,
    FeedbackUnavailable,
)


@dataclass(frozen=True, slots=True)
class DescribedMetric:
    """A metric as it is documented.

    Attributes:
        name: As Prometheus knows it, without the endings that a histogram's parts have.
        kind: ``counter``, ``gauge`` or ``histogram``.
        labels: Names of its labels.
        meaning: A sentence.
        known: Values of its only label that are exported from the start. A counter that starts
            to exist with its first count hides that count from PromQL's ``rate``.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    meaning: str
    known: tuple[str, ...] = ()


SERVICE_METRICS = (
    DescribedMetric(
        "whatsit_answers_total", "counter", ("cache",), "Pictures answered.", get_args(CacheOutcome)
    ),
    DescribedMetric(
        "whatsit_refusals_total",
        "counter",
        ("code",),
        "Requests and pictures refused, by code of the problem.",
        tuple(refusal.code for refusal in _REFUSALS),
    ),
    DescribedMetric(
        "whatsit_stage_seconds",
        "histogram",
        ("stage",),
        "Time spent in each stage of an answer; total: in all.",
    ),
    DescribedMetric(
        "whatsit_cache_failures_total",
        "counter",
        ("failure",),
        "Failed calls to the shared cache.",
        get_args(CacheFailure),
    ),
    DescribedMetric(
        "whatsit_cache_breaker_open",
        "gauge",
        (),
        "1 while whatsit pauses the shared cache after a failure.",
    ),
    DescribedMetric(
        "whatsit_cache_trouble",
        "gauge",
        ("reason",),
        "1 for the reason why the shared cache fails to keep or give answers.",
        get_args(Reason),
    ),
    DescribedMetric("whatsit_queue_pictures", "gauge", (), "Pictures that wait for a worker."),
    DescribedMetric(
        "whatsit_queue_limit_pictures", "gauge", (), "Pictures that may wait (WHATSIT_MAX_QUEUE)."
    ),
    DescribedMetric("whatsit_working_pictures", "gauge", (), "Pictures in progress."),
    DescribedMetric(
        "whatsit_working_limit_pictures",
        "gauge",
        (),
        "Pictures that may be in progress at the same time (WHATSIT_INFERENCE_THREADS).",
    ),
    DescribedMetric("whatsit_held_bytes", "gauge", (), "Bytes of pictures held in memory."),
    DescribedMetric(
        "whatsit_held_limit_bytes",
        "gauge",
        (),
        "Bytes of pictures that may be held (WHATSIT_MAX_HELD_BYTES).",
    ),
    DescribedMetric(
        "whatsit_http_requests_total",
        "counter",
        ("route", "status"),
        "HTTP requests by route and status; 499: the client did not wait.",
    ),
    DescribedMetric(
        "whatsit_http_request_seconds",
        "histogram",
        ("route",),
        "Time from a request's first byte to its answer's last, slow senders included.",
    ),
    DescribedMetric(
        "whatsit_feedback_total",
        "counter",
        ("verdict",),
        "Corrections kept, by verdict.",
        get_args(Verdict),
    ),
    DescribedMetric(
        "whatsit_model_feedback_total",
        "counter",
        ("model", "verdict"),
        "Corrections kept, by the model whose answer was corrected and by verdict.",
    ),
    DescribedMetric(
        "whatsit_model_answers_total",
        "counter",
        ("model", "certainty"),
        "Pictures answered, by the model that answered and by certainty.",
    ),
    DescribedMetric(
        "whatsit_model_seconds",
        "histogram",
        ("model",),
        "Time that a model took to compute an answer, without decoding and waiting.",
    ),
    DescribedMetric(
        "whatsit_model_info",
        "gauge",
        ("name", "fingerprint", "role"),
        "Models that answer; role: live or canary.",
    ),
    DescribedMetric(
        "whatsit_canary_ratio",
        "gauge",
        (),
        "Share of the pictures that the canary answers; 0 without one.",
    ),
    DescribedMetric(
        "whatsit_model_swaps_total",
        "counter",
        ("outcome",),
        "Changes of the live model that were followed (switched) or could not be (failed).",
        get_args(SwapOutcome),
    ),
    DescribedMetric(
        "whatsit_build_info", "gauge", ("version", "python"), "Version of whatsit that runs."
    ),
)
"""The metrics that `whatsit.telemetry.metrics.Telemetry` keeps."""

DRIFT_PSI = DescribedMetric(
    "whatsit_drift_psi",
    "gauge",
    ("signal", "window"),
    "How far a signal of the pictures lies from the model's reference, less what chance "
    "gives (PSI); from 0.1 on it is shifting, from 0.25 on different.",
)
DRIFT_STATE = DescribedMetric(
    "whatsit_drift_state",
    "gauge",
    ("signal", "window"),
    "Verdict on that index: 0 as usual or too few pictures, 1 shifting, 2 different.",
)
DRIFT_PICTURES = DescribedMetric(
    "whatsit_drift_pictures", "gauge", ("window",), "Pictures that this is measured on."
)
DRIFT_SIGNAL = DescribedMetric(
    "whatsit_drift_signal",
    "histogram",
    ("signal",),
    "Signals of the pictures that the model was asked about, in the bins of its reference.",
)

_PROCESS_METRICS = (
    DescribedMetric("process_resident_memory_bytes", "gauge", (), "Memory in use (Linux only)."),
    DescribedMetric("process_virtual_memory_bytes", "gauge", (), "Memory reserved (Linux only)."),
    DescribedMetric("process_cpu_seconds_total", "counter", (), "Processor time (Linux only)."),
    DescribedMetric("process_start_time_seconds", "gauge", (), "When it started (Linux only)."),
    DescribedMetric("process_open_fds", "gauge", (), "Open files (Linux only)."),
    DescribedMetric("process_max_fds", "gauge", (), "Files that may be open (Linux only)."),
)
"""The metrics that Prometheus's client exports by itself."""

METRICS = (
    *SERVICE_METRICS,
    DRIFT_PSI,
    DRIFT_STATE,
    DRIFT_PICTURES,
    DRIFT_SIGNAL,
    *_PROCESS_METRICS,
)
"""Every metric that can be exported, ours first, then those of the process."""
