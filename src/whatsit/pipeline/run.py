"""All steps in order: from a folder of labelled pictures to a live model."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whatsit.models.importers.require_extra import require_training
from whatsit.pipeline.evaluate import evaluate
from whatsit.pipeline.finetune import finetune
from whatsit.pipeline.optimise import optimise
from whatsit.pipeline.prepare import prepare
from whatsit.pipeline.promote import MIN_TOP1, promote
from whatsit.pipeline.register import register
from whatsit.pipeline.report import read_report, write_report
from whatsit.pipeline.training.choices import Mode

DEFAULT_BASE = "efficientnet-lite2"

Announce = Callable[[str, float], None]
"""Called with the name of a step that is done, and the seconds it took."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """The result of a run.

    Attributes:
        model: Name of the registered model.
        live: True if it is live now; False where that was not asked for.
        seconds: By step.
        figures: The main figures, by name.
    """

    model: str
    live: bool
    seconds: dict[str, float]
    figures: dict[str, float]


def run(
    data: Path,
    work: Path,
    *,
    name: str,
    base: str = DEFAULT_BASE,
    mode: Mode = "head",
    epochs: int = 30,
    batch_size: int = 32,
    learning_rate: float | None = None,
    weights: str = "imagenet",
    validation_ratio: float = 0.15,
    test_ratio: float = 0.2,
    seed: int = 0,
    calibration_images: int = 300,
    max_drop: float = 0.01,
    licence: str | None = None,
    tolerance: float = 0.01,
    latency_budget_ms: float = 50.0,
    min_top1: float = MIN_TOP1,
    skip_promote: bool = False,
    store: Path | None = None,
    announce: Announce | None = None,
) -> RunSummary:
    """Prepare, finetune, evaluate, optimise, register and promote; stop at the first failure.

    Every step runs again and writes into its own folder below `work`; the summary goes into
    ``report.json`` in `work`. The arguments are those of the steps.

    Args:
        data: Folder of the labelled pictures.
        work: Folder for what the steps write.
        name: The model is stored as ``NAME.vN``.
        base: See ``finetune``.
        mode: See ``finetune``.
        epochs: See ``finetune``.
        batch_size: See ``finetune``.
        learning_rate: See ``finetune``.
        weights: See ``finetune``.
        validation_ratio: See `prepare`.
        test_ratio: See `prepare`.
        seed: Of the division, of training and of the choice of pictures.
        calibration_images: See ``optimise``.
        max_drop: See ``optimise``.
        licence: See `register`.
        tolerance: See `promote`.
        latency_budget_ms: See `promote`.
        min_top1: See `promote`.
        skip_promote: True to leave the live model as it is.
        store: Folder of the model store; the user's own by default.
        announce: Called after every step.

    Raises:
        WhatsitError: The error of the step that failed.
    """
    start = time.perf_counter()
    arguments = {key: value for key, value in locals().items() if key not in {"start", "announce"}}
    # Report what is missing before any step runs.
    require_training()
    seconds: dict[str, float] = {}

    @contextmanager
    def step(title: str) -> Iterator[Path]:
        begin = time.perf_counter()
        yield work / title
        seconds[title] = round(time.perf_counter() - begin, 3)
        if announce is not None:
            announce(title, seconds[title])

    with step("prepare") as out:
        manifest = out
        prepare(data, out, validation_ratio=validation_ratio, test_ratio=test_ratio, seed=seed)
    with step("finetune") as out:
        trained = finetune(
            data,
            manifest,
            out,
            base=base,
            mode=mode,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            seed=seed,
            weights=weights,
            store=store,
        )
    with step("evaluate") as out:
        evaluation = out
        evaluate(data, manifest, out, model=trained, store=store)
    with step("optimise") as out:
        optimised = optimise(
            data,
            manifest,
            out,
            model=trained,
            calibration_images=calibration_images,
            max_drop=max_drop,
            seed=seed,
            store=store,
        )
    with step("register") as out:
        version = register(
            optimised,
            evaluation,
            manifest,
            out,
            name=name,
            data=data,
            store=store,
            licence=licence,
        )
    if not skip_promote:
        with step("promote") as out:
            promote(
                data,
                manifest,
                out,
                model=version,
                tolerance=tolerance,
                latency_budget_ms=latency_budget_ms,
                min_top1=min_top1,
                store=store,
            )
    summary = RunSummary(
        version, not skip_promote, seconds, _figures(work, with_gate=not skip_promote)
    )
    facts = {
        "model": version,
        "live": summary.live,
        "step_seconds": seconds,
        "figures": summary.figures,
        "data_sha256": read_report(manifest)["data_sha256"],
    }
    write_report(work, "run", arguments, facts, time.perf_counter() - start)
    return summary


def _figures(work: Path, *, with_gate: bool) -> dict[str, float]:
    """The figures that a person asks for first, from the reports of the steps."""
    measured: dict[str, Any] = read_report(work / "evaluate", "evaluate")
    figures = {
        "pictures": read_report(work / "prepare", "prepare")["pictures"],
        "test_pictures": measured["pictures"],
        "trained_top1": measured["top1"],
    }
    if with_gate:
        rows = read_report(work / "promote", "promote")["gate"]["rows"]
        candidate = {row["figure"]: row["candidate"] for row in rows}
        figures["registered_top1"] = candidate["top1"]
        figures["registered_latency_p50_ms"] = candidate["latency p50, ms"]
    return figures
