"""A model for people's own classes, made from one that knows others."""

import logging
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

from whatsit import __version__
from whatsit.errors import DatasetRejected, SettingsError
from whatsit.model_card import build_card, write_card
from whatsit.models.folder import open_folder, weights_digest
from whatsit.pipeline.manifest import Manifest, read_manifest
from whatsit.pipeline.report import write_report
from whatsit.pipeline.training.choices import Choices, Mode, Trained

DEFAULT_BASE = "efficientnet-lite2"

LABELS_FILE = "labels.txt"

_log = logging.getLogger(__name__)


def finetune(
    data: Path,
    manifest: Path,
    out: Path,
    *,
    base: str | Path = DEFAULT_BASE,
    mode: Mode = "head",
    epochs: int = 30,
    batch_size: int = 32,
    learning_rate: float | None = None,
    seed: int = 0,
    weights: str = "imagenet",
    image_size: int | None = None,
    checkpoints: Path | None = None,
    checkpoint_steps: int = 200,
    store: Path | None = None,
) -> Path:
    """Train a model on the train split and write it as a model folder.

    ``head`` keeps the base network as it is and trains a new last layer on what it sees: a minute
    for some hundred pictures. ``full`` trains a network of Keras itself, first its head, then its
    upper part (all of it from random weights). The validation split decides when to stop and
    which epoch was the best; the test split is not looked at.

    Args:
        data: Folder of the pictures.
        manifest: Folder that `whatsit.pipeline.prepare` wrote.
        out: Becomes the model folder, with ``report.json`` and ``tensorboard/`` beside the model.
        base: A model folder or the name of a model; for ``full`` an architecture of Keras, such
            as ``ResNet50``.
        mode: ``head`` or ``full``.
        epochs: At most.
        batch_size: Pictures in a step.
        learning_rate: Of the first stage; the mode's own by default.
        seed: The same seed gives the same model on the same machine.
        weights: ``full`` starts from them: ``imagenet``, ``random``, or a weights file.
        image_size: Side of the input for ``full``, pixels; 224 by default.
        checkpoints: ``full`` goes on from this folder where it was stopped.
        checkpoint_steps: ``full`` writes them this often, and after each epoch.
        store: Folder of the model store; the user's own by default.

    Returns:
        The model folder, which is `out`.

    Raises:
        SettingsError: An argument is impossible, or the extra ``training`` is missing.
        DatasetRejected: The pictures can't be used.
        UnknownModel: The base is unknown.
        ModelUnavailable: Keras can't download its weights now.
        PipelineError: The base can't be trained, or the exported model is not the trained one.
    """
    start = time.perf_counter()
    arguments = {
        "data": data,
        "manifest": manifest,
        "out": out,
        "base": base,
        "mode": mode,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "seed": seed,
        "weights": weights,
        "image_size": image_size,
        "checkpoints": checkpoints,
        "checkpoint_steps": checkpoint_steps,
        "store": store,
    }
    _require(arguments)
    choices = Choices(
        epochs,
        batch_size,
        learning_rate,
        seed,
        weights,
        image_size,
        checkpoints,
        checkpoint_steps,
    )
    dataset = read_manifest(manifest)
    _require_pictures(dataset)
    out.mkdir(parents=True, exist_ok=True)
    from whatsit.pipeline.training.log import TrainingLog

    with TrainingLog(out / "tensorboard", arguments) as log:
        if mode == "head":
            from whatsit.pipeline.training.head import train_head

            trained = train_head(data, dataset, out, base, choices, log, store)
        else:
            from whatsit.pipeline.training.full import train_full

            trained = train_full(data, dataset, out, str(base), choices, log)
    _complete_folder(out, dataset, trained, mode, choices)
    facts = {
        "mode": mode,
        "data_sha256": dataset.data_sha256,
        "seed": seed,
        "pictures": dataset.counts(),
        "classes": [entry.label for entry in dataset.classes],
        "tensorflow": _tensorflow_version(),
        "keras": version("keras"),
        **trained.facts,
        "model": {"name": trained.card["name"], "weights_sha256": weights_digest(_weights(out))},
    }
    write_report(out, "finetune", arguments, facts, time.perf_counter() - start)
    return out


def _require(arguments: dict[str, Any]) -> None:
    mode, size, rate = (arguments[name] for name in ("mode", "image_size", "learning_rate"))
    if mode not in get_args(Mode):
        raise SettingsError(f"The mode is {mode!r}; it must be one of {', '.join(get_args(Mode))}.")
    for name in ("epochs", "batch_size", "checkpoint_steps"):
        if arguments[name] < 1:
            raise SettingsError(f"{name} is {arguments[name]}; it must be at least 1.")
    if rate is not None and not 0 < rate <= 1:
        raise SettingsError(f"learning_rate is {rate}; it must lie above 0 and not above 1.")
    if size is not None and not 32 <= size <= 2048:
        raise SettingsError(f"image_size is {size}; it must lie between 32 and 2048.")
    # A user would believe that an ignored value has had an effect.
    for name in ("image_size", "checkpoints"):
        if mode == "head" and arguments[name] is not None:
            raise SettingsError(f"{name} is for mode 'full'; mode 'head' does not use it.")


def _require_pictures(dataset: Manifest) -> None:
    if len(dataset.classes) < 2:
        raise DatasetRejected("There is only one class; a model needs at least two.")
    trained = {picture.class_index for picture in dataset.pictures_of("train")}
    missing = [entry.label for index, entry in enumerate(dataset.classes) if index not in trained]
    if missing:
        raise DatasetRejected(f"No picture to train on shows: {', '.join(missing)}.")


def _complete_folder(
    out: Path, dataset: Manifest, trained: Trained, mode: Mode, choices: Choices
) -> None:
    labels = "".join(f"{entry.label}\n" for entry in dataset.classes)
    (out / LABELS_FILE).write_text(labels, encoding="utf-8")
    provenance = {
        "mode": mode,
        "data_sha256": dataset.data_sha256,
        "classes": len(dataset.classes),
        "pictures_trained_on": len(dataset.pictures_of("train")),
        "seed": choices.seed,
        "whatsit": __version__,
        "tensorflow": _tensorflow_version(),
        "keras": version("keras"),
        **trained.card.get("provenance", {}),
    }
    card = build_card(
        {
            **trained.card,
            "schema": 1,
            "weights": {"sha256": weights_digest(_weights(out))},
            "output": {"labels": LABELS_FILE, **trained.card.get("output", {})},
            "provenance": provenance,
        },
        origin="the trained model",
    )
    write_card(out, card)
    open_folder(out)
    _log.info("Wrote the model %s.", card.name)


def _weights(folder: Path) -> Path:
    return folder / "model.onnx"


def _tensorflow_version() -> str:
    import tensorflow

    return str(tensorflow.__version__)
