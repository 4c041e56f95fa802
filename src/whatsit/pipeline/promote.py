"""The gate: a model goes live only if it is good and fast enough, beside the one that is live."""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from whatsit.classifier import Classifier
from whatsit.errors import (
    GateFailed,
    InvalidParameter,
    ModelError,
    PipelineError,
    UnknownModel,
)
from whatsit.models.home import default_home
from whatsit.models.live import LiveAlias, LiveState
from whatsit.models.store import LIVE, ModelStore
from whatsit.pipeline.candidate import live_name
from whatsit.pipeline.evaluate import measure_model
from whatsit.pipeline.evaluation import EvaluationReport
from whatsit.pipeline.manifest import DatasetClass, Manifest, read_manifest
from whatsit.pipeline.report import write_report
from whatsit.pipeline.truth import match_classes

MIN_TOP1 = 0.5


@dataclass(frozen=True, slots=True)
class GateRow:
    """One figure of the gate.

    Attributes:
        figure: Its name.
        live: Of the live model; None where it was not measured.
        candidate: Of the model that is to go live.
        limit: The limit for the candidate, in words; empty where the figure is only reported.
        passed: None without a limit.
    """

    figure: str
    live: float | None
    candidate: float
    limit: str = ""
    passed: bool | None = None

    @property
    def verdict(self) -> str:
        """``passed``, ``failed``, or nothing without a limit."""
        return {True: "passed", False: "failed", None: ""}[self.passed]


@dataclass(frozen=True, slots=True)
class Gate:
    """The decision of the gate and its figures.

    Attributes:
        live: Name of the live model.
        candidate: Name of the model that is to go live.
        rows: One for each figure.
        notes: Remarks on the figures for people, a sentence each.
    """

    live: str
    candidate: str
    rows: tuple[GateRow, ...]
    notes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """True if no figure failed."""
        return all(row.passed is not False for row in self.rows)

    def as_facts(self) -> dict[str, Any]:
        """The gate as it goes into JSON."""
        rows = [{**asdict(row), "verdict": row.verdict} for row in self.rows]
        return {
            "live": self.live,
            "candidate": self.candidate,
            "passed": self.passed,
            "rows": rows,
            "notes": list(self.notes),
        }


def promote(
    data: Path,
    manifest: Path,
    out: Path,
    *,
    model: str,
    tolerance: float = 0.01,
    latency_budget_ms: float = 50.0,
    min_top1: float = MIN_TOP1,
    store: Path | None = None,
) -> LiveState:
    """Measure a registered model beside the live one and make it live if it passes the gate.

    Both are measured on the same test split, on this machine. Where the live model does not know
    all classes of the data, only the limits that need no comparison count.

    Args:
        data: Folder of the pictures.
        manifest: Folder that ``prepare`` wrote.
        out: Folder for ``report.json``; it is written also where the gate fails.
        model: Name of a model in the store.
        tolerance: How much less often than the live model's the best label may be right.
        latency_budget_ms: The longest median time of an answer.
        min_top1: How often the best label must be right in any case.
        store: Folder of the model store; the user's own by default.

    Raises:
        GateFailed: A figure is not good enough, so nothing was changed; the report says which.
        PipelineError: The model is not in the store.
        ModelError: It can't be used.
        DatasetRejected: The pictures can't be used.
    """
    start = time.perf_counter()
    _require_limits(tolerance, latency_budget_ms, min_top1)
    home = store or default_home()
    models = ModelStore(home)
    if model == LIVE or model not in models.present_names():
        raise PipelineError(
            f"The model {model!r} is not in the store, and only a stored one can go live. "
            "Register it first with: whatsit pipeline register"
        )
    dataset = read_manifest(manifest)
    gate = _measure_gate(
        data, dataset, models, (live_name(home), model), tolerance, latency_budget_ms, min_top1
    )
    arguments = {
        "data": data,
        "manifest": manifest,
        "out": out,
        "model": model,
        "tolerance": tolerance,
        "latency_budget_ms": latency_budget_ms,
        "min_top1": min_top1,
        "store": store,
    }
    facts = {"data_sha256": dataset.data_sha256, "gate": gate.as_facts()}
    write_report(out, "promote", arguments, facts, time.perf_counter() - start)
    if not gate.passed:
        failed = ", ".join(row.figure for row in gate.rows if row.passed is False)
        raise GateFailed(
            f"{gate.candidate} does not go live: {failed} failed the gate. "
            f"{gate.live} stays live; nothing was changed."
        )
    return LiveAlias(home).promote(model)


def _require_limits(tolerance: float, latency_budget_ms: float, min_top1: float) -> None:
    for name, ratio in (("tolerance", tolerance), ("min_top1", min_top1)):
        if not 0 <= ratio <= 1:
            raise InvalidParameter(f"{name} is {ratio}; it must lie between 0 and 1.")
    if not 0 < latency_budget_ms < float("inf"):
        raise InvalidParameter(f"latency_budget_ms is {latency_budget_ms}; it must be above 0.")


def _measure_gate(
    data: Path,
    dataset: Manifest,
    models: ModelStore,
    names: tuple[str, str],
    tolerance: float,
    latency_budget_ms: float,
    min_top1: float,
) -> Gate:
    live, candidate = names
    with Classifier.from_folder(models.open(candidate)) as classifier:
        labels = classifier.labels
        trained_on = classifier.card.provenance.get("data_sha256")
        new = measure_model(classifier, data, dataset, "test", with_robustness=False)
    old, notes = None, []
    # A live model that is in trouble must not keep a sound one from its place.
    try:
        with Classifier.from_folder(models.open(live)) as classifier:
            lost = match_classes(
                [DatasetClass(entry.label, entry.wnid) for entry in classifier.labels.entries],
                labels,
            ).count(None)
            if None in match_classes(dataset.classes, classifier.labels):
                notes.append(f"{live} does not know all classes of the data: not compared.")
            else:
                old = measure_model(classifier, data, dataset, "test", with_robustness=False)
            if lost:
                notes.append(
                    f"Of the classes that {live} knows, {lost} are unknown to {candidate}."
                )
    except (ModelError, UnknownModel) as error:
        notes.append(f"{live} can't be used, so it was not compared: {error.detail}")
    if trained_on not in (None, dataset.data_sha256):
        notes.append(
            f"{candidate} was made from other data or other splits, so it may have been trained "
            "on some of these test pictures."
        )
    rows = _rows(old, new, tolerance, latency_budget_ms, min_top1)
    return Gate(live, candidate, tuple(rows), tuple(notes))


def _rows(
    old: EvaluationReport | None,
    new: EvaluationReport,
    tolerance: float,
    latency_budget_ms: float,
    min_top1: float,
) -> Iterator[GateRow]:
    def row(
        figure: str,
        read: Callable[[EvaluationReport], float],
        limit: str = "",
        passed: bool | None = None,
    ) -> GateRow:
        live = None if old is None else round(read(old), 6)
        return GateRow(figure, live, round(read(new), 6), limit, passed)

    yield row("top1", _top1, f"at least {min_top1:g}", new.top1 >= min_top1)
    if old is not None:
        # A picture more or less is 1 / pictures; rounding must not decide.
        least = old.top1 - tolerance
        yield row(
            "top1 beside live",
            _top1,
            f"at least {least:.4f} (live - {tolerance:g})",
            new.top1 >= least - 1e-9,
        )
    yield row(
        "latency p50, ms",
        lambda report: report.latency_ms.p50,
        f"at most {latency_budget_ms:g}",
        new.latency_ms.p50 <= latency_budget_ms,
    )
    yield row("latency p95, ms", lambda report: report.latency_ms.p95)
    yield row("top5", lambda report: report.top5)
    yield row("worst class", lambda report: min(one.accuracy for one in report.per_class))
    yield row("ece", lambda report: report.ece)
    yield row("brier", lambda report: report.brier)
    yield row("classes", lambda report: report.model.classes)


def _top1(report: EvaluationReport) -> float:
    return report.top1
