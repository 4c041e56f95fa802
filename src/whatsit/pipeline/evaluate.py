"""How good a model is on labelled pictures it was not trained on, and how fast on this machine."""

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from whatsit.answer import Logits, to_logits
from whatsit.classifier import Classifier
from whatsit.errors import DatasetRejected
from whatsit.familiarity import describe_pixels, familiarity
from whatsit.labels.label_set import LabelSet
from whatsit.pipeline.candidate import open_candidate
from whatsit.pipeline.evaluation import (
    ClassFigures,
    Confusion,
    EvaluationReport,
    ModelFacts,
    Robustness,
)
from whatsit.pipeline.latency import time_answers
from whatsit.pipeline.manifest import (
    Manifest,
    Picture,
    Split,
    read_manifest,
)
from whatsit.pipeline.report import write_report
from whatsit.pipeline.robustness import CHANGES, view_pictures
from whatsit.pipeline.truth import Truth, match_classes
from whatsit.quality.measurements import Measurements

_TOP_CONFUSIONS = 10
"""Pictures that are decoded before the model looks at them: bounds the memory."""


def evaluate(
    data: Path,
    manifest: Path,
    out: Path,
    *,
    model: str | Path,
    split: Split = "test",
    store: Path | None = None,
) -> EvaluationReport:
    """Measure a model on one split and write ``report.json``.

    The model's classes need not be those of the data: they are matched by WordNet id, else by
    label. The model's answers are not restricted to the classes of the data.

    Args:
        data: Folder of the pictures.
        manifest: Folder that `whatsit.pipeline.prepare` wrote.
        out: Folder for the report.
        model: A model folder, or the name of a model.
        split: Which pictures.
        store: Folder of the model store; the user's own by default.

    Raises:
        DatasetRejected: The pictures can't be used, or the model knows none of their classes.
        UnknownModel: The model is unknown.
        ModelError: The model can't be used.
    """
    start = time.perf_counter()
    dataset = read_manifest(manifest)
    with Classifier.from_folder(open_candidate(model, store)) as classifier:
        report = measure_model(classifier, data, dataset, split)
    arguments = {
        "data": data,
        "manifest": manifest,
        "out": out,
        "model": model,
        "split": split,
        "store": store,
    }
    write_report(out, "evaluate", arguments, report.as_facts(), time.perf_counter() - start)
    return report


def measure_model(
    classifier: Classifier,
    data: Path,
    dataset: Manifest,
    split: Split,
    *,
    with_robustness: bool = True,
) -> EvaluationReport:
    """Measure an open model; see `evaluate`.

    Args:
        classifier: The model, warm.
        data: Folder of the pictures.
        dataset: Their manifest.
        split: Which of them.
        with_robustness: True to measure changed pictures too, which takes four times as long.
    """
    pictures = dataset.pictures_of(split)
    if not pictures:
        raise DatasetRejected(f"The split {split!r} is empty.")
    indices = match_classes(dataset.classes, classifier.labels)
    if all(index is None for index in indices):
        raise DatasetRejected(
            f"The model {classifier.card.name!r} knows none of the "
            f"{len(dataset.classes)} classes of the data."
        )
    changes = CHANGES if with_robustness else {}
    outputs, recognised = _infer(classifier, data, pictures, ("plain", *changes))
    truth = Truth.of(pictures, indices, len(classifier.labels))
    quality = truth.measure(outputs["plain"], classifier)
    answered = outputs["plain"].argmax(axis=1)
    right = answered == truth.indices
    accuracy = {
        name: float((outputs[name].argmax(axis=1) == truth.indices).mean()) for name in changes
    }
    return EvaluationReport(
        model=_model_facts(classifier),
        data_sha256=dataset.data_sha256,
        split=split,
        pictures=len(pictures),
        top1=float(right.mean()),
        top5=truth.top5(quality),
        per_class=_per_class(pictures, dataset, right),
        per_level=truth.per_level(outputs["plain"], classifier, recognised),
        ece=quality.ece,
        brier=quality.brier,
        confusions=_confusions(pictures, dataset, classifier.labels, answered, right),
        unknown_classes=tuple(
            entry.label
            for entry, index in zip(dataset.classes, indices, strict=True)
            if index is None
        ),
        robustness=Robustness(**accuracy) if with_robustness else None,
        latency_ms=time_answers(classifier, data, pictures),
    )


def measure_split(
    classifier: Classifier, data: Path, dataset: Manifest, split: Split
) -> Measurements:
    """The output of a model for the pictures of a split, for `whatsit.pipeline.calibrate`.

    Pictures of classes that the model does not know are left out.
    """
    indices = match_classes(dataset.classes, classifier.labels)
    pictures = [
        picture
        for picture in dataset.pictures_of(split)
        if indices[picture.class_index] is not None
    ]
    logits, statistics = [], []
    for views in view_pictures(classifier.card, data, pictures, ("plain",)):
        outputs = classifier.engine.infer(views["plain"])
        logits.append(to_logits(outputs, classifier.card.output.activation)[0])
        statistics.append(describe_pixels(views["plain"]))
    truth = [indices[picture.class_index] for picture in pictures]
    return Measurements(np.stack(logits), np.array(truth, dtype=np.intp), np.stack(statistics))


def _model_facts(classifier: Classifier) -> ModelFacts:
    return ModelFacts(
        classifier.model.name,
        classifier.model.fingerprint,
        classifier.card.weights.sha256,
        len(classifier.labels),
    )


# Pictures


def _infer(
    classifier: Classifier, data: Path, pictures: Sequence[Picture], names: Sequence[str]
) -> tuple[dict[str, Logits], npt.NDArray[np.bool_]]:
    """The logits of each view of each picture, and whether the plain one is recognised."""
    rows: dict[str, list[Logits]] = {name: [] for name in names}
    recognised = []
    activation, profile = classifier.card.output.activation, classifier.card.recognition
    for views in view_pictures(classifier.card, data, pictures, names):
        for name in names:
            outputs = classifier.engine.infer(views[name])
            rows[name].append(to_logits(outputs, activation)[0])
        recognised.append(
            profile is None
            or familiarity(rows["plain"][-1], views["plain"], profile) >= profile.threshold
        )
    return {name: np.stack(logits) for name, logits in rows.items()}, np.array(recognised)


# Figures


def _per_class(
    pictures: Sequence[Picture], dataset: Manifest, right: npt.NDArray[np.bool_]
) -> tuple[ClassFigures, ...]:
    numbers = np.array([picture.class_index for picture in pictures])
    return tuple(
        ClassFigures(
            entry.label,
            entry.wnid,
            int((numbers == number).sum()),
            float(right[numbers == number].mean()),
        )
        for number, entry in enumerate(dataset.classes)
        if (numbers == number).any()
    )


def _confusions(
    pictures: Sequence[Picture],
    dataset: Manifest,
    labels: LabelSet,
    answered: npt.NDArray[np.intp],
    right: npt.NDArray[np.bool_],
) -> tuple[Confusion, ...]:
    pairs = Counter(
        (dataset.classes[picture.class_index].label, labels.entries[index].label)
        for picture, index, is_right in zip(pictures, answered.tolist(), right, strict=True)
        if not is_right
    )
    ordered = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Confusion(*pair, count) for pair, count in ordered[:_TOP_CONFUSIONS])
