"""A measured model folder -> a version in the store, with a complete card."""

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import whatsit
from whatsit.classifier import Classifier
from whatsit.errors import PipelineError
from whatsit.files import exclusive, make_private_folder, store_failures
from whatsit.model_card import ModelCard, build_card, write_card
from whatsit.models.folder import ModelFolder, open_folder
from whatsit.models.home import default_home
from whatsit.models.live import LiveAlias
from whatsit.models.store import ModelStore
from whatsit.pipeline.calibrate import MIN_PICTURES, apply_calibration, calibrate
from whatsit.pipeline.candidate import open_candidate
from whatsit.pipeline.evaluate import measure_split
from whatsit.pipeline.manifest import Manifest, read_manifest, read_picture
from whatsit.pipeline.report import REPORT_FILE, read_report, write_report
from whatsit.pipeline.trial import require_running

_LOCK_SECONDS = 60.0
"""Another one may be copying its weights, to a slow disk."""
_MAX_TEXT = 200
"""Longer texts of a report are not for a card."""


@dataclass(frozen=True, slots=True)
class _Finished:
    """A complete card, and which of its parts were measured here."""

    card: ModelCard
    calibrated: str
    reference: str


def register(
    model: str | Path,
    evaluation: Path,
    manifest: Path,
    out: Path,
    *,
    name: str,
    data: Path | None = None,
    store: Path | None = None,
    licence: str | None = None,
) -> str:
    """Store a model as the next version of a name, and complete its card.

    A version is never changed or replaced: the next call makes the next one. The card gets where
    the model comes from (digest of the data, version of the code, what the steps before reported)
    and what `whatsit.pipeline.evaluate` measured. Where there are enough pictures, its scores are
    calibrated on the validation split, and what pictures look like to it is kept for watching.

    Args:
        model: A model folder, or the name of a model.
        evaluation: Folder of the report of ``evaluate``, of this model or of the one that
            ``optimise`` made it from.
        manifest: Folder that ``prepare`` wrote.
        out: Folder for the report and the finished model folder.
        name: The model is stored as ``NAME.vN``, N counting from 1.
        data: Folder of the pictures; without it nothing is calibrated.
        store: Folder of the model store; the user's own by default.
        licence: Of the weights; that of the card by default.

    Returns:
        The name it is stored under.

    Raises:
        PipelineError: The evaluation is of another model or other data, or the licence is missing.
        ModelError: The model can't be used, or its name is impossible.
        DatasetRejected: The pictures can't be used.
    """
    start = time.perf_counter()
    folder = open_candidate(model, store)
    dataset = read_manifest(manifest)
    measured = read_report(evaluation, "evaluate")
    steps = _reports_of(folder)
    is_same = _require_same(measured, folder, dataset, steps)
    card = _describe(folder.card, measured, dataset, steps, licence, is_same=is_same)
    finished = _finish(card.renamed(f"{name}.v1"), folder, data, dataset)
    home = store or default_home()
    models = ModelStore(home)
    with _registering(home):
        version = f"{name}.v{_next_version(models, LiveAlias(home), name)}"
        card = finished.card.renamed(version)
        _write_folder(out, folder, card)
        models.add(out, trial=require_running)
    arguments = {
        "model": model,
        "evaluation": evaluation,
        "manifest": manifest,
        "out": out,
        "name": name,
        "data": data,
        "store": store,
        "licence": licence,
    }
    facts = {
        "model": version,
        "weights_sha256": card.weights.sha256,
        "data_sha256": dataset.data_sha256,
        "classes": len(folder.labels),
        "licence": card.licence,
        "calibrated": finished.calibrated,
        "reference": finished.reference,
        "quality": card.quality,
    }
    write_report(out, "register", arguments, facts, time.perf_counter() - start)
    return version


def _require_same(
    measured: Mapping[str, Any],
    folder: ModelFolder,
    dataset: Manifest,
    steps: Mapping[str, Mapping[str, Any]],
) -> bool:
    """True if the evaluation is of these very weights, not of those that they are made from."""
    try:
        weights, digest = measured["model"]["weights_sha256"], measured["data_sha256"]
    except (KeyError, TypeError) as error:
        raise PipelineError("The evaluation is damaged. Evaluate the model again.") from error
    if digest != dataset.data_sha256:
        raise PipelineError(
            "The evaluation is of other data than the manifest. Evaluate the model again."
        )
    if weights == folder.card.weights.sha256:
        return True
    if "optimise" not in steps:
        raise PipelineError(
            f"The evaluation is of other weights than {folder.card.name!r} has. "
            "Evaluate this model and register it with that."
        )
    return False


def _reports_of(folder: ModelFolder) -> dict[str, dict[str, Any]]:
    """The report that lies in a model folder, and those of the folders it was made from."""
    reports: dict[str, dict[str, Any]] = {}
    place: Path | None = folder.weights.parent
    while place is not None and (place / REPORT_FILE).is_file():
        report = read_report(place)
        if report["step"] in reports:
            break
        reports[report["step"]] = report
        made_from = report.get("arguments", {}).get("model")
        place = Path(made_from) if isinstance(made_from, str) else None
    return reports


# The card


def _describe(
    card: ModelCard,
    measured: Mapping[str, Any],
    dataset: Manifest,
    steps: Mapping[str, Mapping[str, Any]],
    licence: str | None,
    *,
    is_same: bool,
) -> ModelCard:
    """The card with what is known of the model without running it."""
    if not (licence or card.licence):
        raise PipelineError("The card names no licence of the weights. Say it with --licence.")
    facts = card.model_dump(by_alias=True)
    facts["licence"] = licence or card.licence
    provenance = {
        **card.provenance,
        "data_sha256": dataset.data_sha256,
        "pictures": dict(dataset.counts()),
        "code": _code_version(),
        **{step: _main_figures(report) for step, report in steps.items() if step != "register"},
    }
    # From which model: a folder of this machine means nothing on another.
    if base := steps.get("finetune", {}).get("arguments", {}).get("base"):
        provenance["base"] = Path(str(base)).name
    facts["provenance"] = provenance
    latency, changed = measured.get("latency_ms") or {}, measured.get("robustness") or {}
    facts["quality"] = {
        "top1": measured["top1"],
        "top5": measured["top5"],
        "ece": measured["ece"],
        "brier": measured["brier"],
        "pictures": measured["pictures"],
        "split": measured["split"],
        "data_sha256": measured["data_sha256"],
        "measured": "these weights" if is_same else "before it was optimised",
        **{f"{change}_top1": accuracy for change, accuracy in changed.items()},
        **{f"latency_{name}_ms": value for name, value in latency.items()},
    }
    return build_card(facts, origin="the registered card")


def _main_figures(report: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of a report that fit on a card: numbers, flags, short texts, one level down too."""
    figures: dict[str, Any] = {}
    for name, value in report.items():
        if name in {"step", "arguments", "whatsit", "data_sha256"}:
            continue
        if isinstance(value, dict):
            inner = {key: fact for key, fact in value.items() if _is_figure(fact)}
            if inner:
                figures[name] = inner
        elif _is_figure(value):
            figures[name] = value
    return figures


def _is_figure(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= _MAX_TEXT
    return isinstance(value, bool | int | float)


def _code_version() -> str:
    """The version of whatsit, and the commit where it runs from a working copy."""
    version = f"whatsit {whatsit.__version__}"
    root = Path(whatsit.__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return version
    describe = ("git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40")
    try:
        done = subprocess.run(
            (*describe, "--exclude=*"), capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return version
    return f"{version}, commit {done.stdout.strip()}"


# Measured here


def _finish(
    card: ModelCard, folder: ModelFolder, data: Path | None, dataset: Manifest
) -> _Finished:
    with Classifier.from_folder(ModelFolder(card, folder.labels, folder.weights)) as classifier:
        if data is None:
            missing = "no: the pictures were not given"
            return _Finished(card, missing, missing)
        card, calibrated = _calibrate(card, classifier, data, dataset)
        # The engine knows nothing of calibration, so it is not opened again.
        finished = Classifier(card, folder.labels, classifier.engine)
        card, reference = _add_reference(card, finished, data, dataset)
    return _Finished(card, calibrated, reference)


def _calibrate(
    card: ModelCard, classifier: Classifier, data: Path, dataset: Manifest
) -> tuple[ModelCard, str]:
    available = len(dataset.pictures_of("validation"))
    if available < MIN_PICTURES:
        return card, f"no: {available} validation pictures, {MIN_PICTURES} are needed"
    measurements = measure_split(classifier, data, dataset, "validation")
    if len(measurements) < MIN_PICTURES:
        return card, f"no: the model knows the classes of {len(measurements)} validation pictures"
    report = calibrate(
        measurements,
        classifier.labels.taxonomy,
        data_sha256=dataset.data_sha256,
        seed=dataset.seed,
    )
    return apply_calibration(card, report), f"on {len(measurements)} validation pictures"


def _add_reference(
    card: ModelCard, classifier: Classifier, data: Path, dataset: Manifest
) -> tuple[ModelCard, str]:
    # Of pictures that the model was trained on it would say what it says of no others.
    pictures = (*dataset.pictures_of("validation"), *dataset.pictures_of("test"))
    try:
        reference = import_module("whatsit.pipeline.reference")
    except ModuleNotFoundError:
        return card, "no: it is not kept by this version"
    if len(pictures) < reference.MIN_PICTURES:
        return card, f"no: {len(pictures)} pictures, {reference.MIN_PICTURES} are needed"
    measured = reference.measure_reference(
        classifier,
        (read_picture(data, picture) for picture in pictures),
        f"validation and test pictures of {dataset.data_sha256[:12]}",
    )
    completed: ModelCard = reference.apply_reference(card, measured)
    return completed, f"on {len(pictures)} validation and test pictures"


# The store


@contextmanager
def _registering(home: Path) -> Iterator[None]:
    with store_failures(home):
        make_private_folder(home / "models")
        with exclusive(home / "models" / ".register.lock", _LOCK_SECONDS):
            yield


def _next_version(models: ModelStore, alias: LiveAlias, name: str) -> int:
    pattern = re.compile(re.escape(name) + r"\.v(\d+)")
    # A version that was removed but has been live is not given to another model.
    once_live = (entry.name for entry in alias.read().history)
    numbers = [
        int(found[1])
        for known in (*models.names(), *once_live)
        if (found := pattern.fullmatch(known))
    ]
    return max(numbers, default=0) + 1


def _write_folder(out: Path, folder: ModelFolder, card: ModelCard) -> None:
    """Write the finished model folder, whole or not at all, and make sure that it can be read."""
    out.mkdir(parents=True, exist_ok=True)
    labels = folder.weights.parent / card.output.labels
    with tempfile.TemporaryDirectory(dir=out, prefix=".incoming-") as temporary:
        fresh = Path(temporary)
        shutil.copyfile(folder.weights, fresh / card.weights.file)
        if labels.is_file():
            shutil.copyfile(labels, fresh / card.output.labels)
        write_card(fresh, card)
        open_folder(fresh)
        for file in fresh.iterdir():
            file.replace(out / file.name)
