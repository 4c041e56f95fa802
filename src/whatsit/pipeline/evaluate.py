"""How good a model is on labelled pictures it was not trained on, and how fast on this machine."""

import io
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from whatsit.answer import Logits, to_logits
from whatsit.classifier import Classifier
from whatsit.errors import DatasetRejected
from whatsit.familiarity import describe_pixels, familiarity
from whatsit.images.decode import decode_image
from whatsit.images.preprocess import ImageHWC, fit_image
from whatsit.labels.label_set import LabelSet, label_key
from whatsit.labels.taxonomy import Taxonomy
from whatsit.model_card import ModelCard
from whatsit.pipeline.calibrate import Measurements, Parameters, Quality, Statements, measure
from whatsit.pipeline.candidate import open_candidate
from whatsit.pipeline.manifest import (
    DatasetClass,
    Manifest,
    Picture,
    Split,
    read_manifest,
    read_picture,
)
from whatsit.pipeline.report import write_report

ROTATION_DEGREES = 15
BLUR_SIGMA = 2
JPEG_QUALITY = 20

_TOP_CONFUSIONS = 10
_AT_A_TIME = 64
"""Pictures that are decoded before the model looks at them: bounds the memory."""
_WARM_UPS = 5
_TIMED = 100
_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """How often the best label was right for the pictures of one class."""

    label: str
    wnid: str | None
    pictures: int
    accuracy: float


@dataclass(frozen=True, slots=True)
class Confusion:
    """Pictures of one class whose best label was that of another."""

    label: str
    answered: str
    pictures: int


@dataclass(frozen=True, slots=True)
class Robustness:
    """How often the best label is right when pictures are changed.

    Attributes:
        rotation: Turned by `ROTATION_DEGREES`.
        blur: Gaussian blur of `BLUR_SIGMA` pixels, at the size that the model sees.
        jpeg: Compressed again as JPEG of `JPEG_QUALITY`, at that size.
    """

    rotation: float
    blur: float
    jpeg: float


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds from the bytes of a picture to its answer: one at a time, warm.

    Taken from the fastest of three rounds.
    """

    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class LevelFigures:
    """How well the answers' words are kept: what was said to be sure, probable, or unsure.

    Attributes:
        sure: Answers said to be sure.
        probably: Answers said to be probable.
        stated: Both.
        unsure_share: Share of the answers that state nothing.
        unsure_accuracy: How often the best guess of those is right; None without any.
        unrecognised_share: Share of the answers that say "I do not recognise this"; they are
            unsure too.
    """

    sure: Statements
    probably: Statements
    stated: Statements
    unsure_share: float
    unsure_accuracy: float | None
    unrecognised_share: float


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Which model was measured.

    Attributes:
        name: On its card.
        fingerprint: Of all that decides its answers.
        weights_sha256: Of its weights alone.
        classes: How many it knows.
    """

    name: str
    fingerprint: str
    weights_sha256: str
    classes: int


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """What `evaluate` found. Every figure is a ratio but for counts and milliseconds.

    Attributes:
        model: What was measured.
        data_sha256: Digest of the data set.
        split: Of which the pictures are.
        pictures: How many there are.
        top1: How often the best label is right.
        top5: How often one of the best five is.
        per_class: In the manifest's order.
        per_level: By what the answers commit themselves to.
        ece: Expected calibration error of the best label's score, 15 bins.
        brier: Mean squared distance of the scores from the truth, over all classes; 0 to 2.
        confusions: The most frequent ones, most frequent first.
        unknown_classes: Labels that the model has not; their pictures count as wrong.
        robustness: None where that was not asked for.
        latency_ms: Of ``classify`` on this machine.
    """

    model: ModelFacts
    data_sha256: str
    split: Split
    pictures: int
    top1: float
    top5: float
    per_class: tuple[ClassFigures, ...]
    per_level: LevelFigures
    ece: float
    brier: float
    confusions: tuple[Confusion, ...]
    unknown_classes: tuple[str, ...]
    robustness: Robustness | None
    latency_ms: Latency

    def as_facts(self) -> dict[str, Any]:
        """The report as it goes into JSON, ratios to six decimals."""
        facts: dict[str, Any] = _rounded(asdict(self))
        return facts


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
    label. What the model answers is not restricted to the classes of the data.

    Args:
        data: Folder of the pictures.
        manifest: Folder that `whatsit.pipeline.prepare` wrote.
        out: Folder for the report.
        model: A model folder, or the name of a model.
        split: Which pictures.
        store: Folder of the model store; the user's own by default.

    Raises:
        DatasetRejected: The pictures can't be used, or the model knows none of their classes.
        UnknownModel: There is no such model.
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
        with_robustness: Whether to measure changed pictures too, which takes four times as long.
    """
    pictures = dataset.pictures_of(split)
    if not pictures:
        raise DatasetRejected(f"The split {split!r} has no pictures.")
    indices = match_classes(dataset.classes, classifier.labels)
    if all(index is None for index in indices):
        raise DatasetRejected(
            f"The model {classifier.card.name!r} knows none of the "
            f"{len(dataset.classes)} classes of the data."
        )
    changes = _CHANGES if with_robustness else {}
    outputs, recognised = _infer(classifier, data, pictures, ("plain", *changes))
    truth = _Truth.of(pictures, indices, len(classifier.labels))
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
        latency_ms=_time_answers(classifier, data, pictures),
    )


def measure_split(
    classifier: Classifier, data: Path, dataset: Manifest, split: Split
) -> Measurements:
    """What a model says of the pictures of a split, for `whatsit.pipeline.calibrate`.

    Pictures of classes that the model does not know are left out.
    """
    indices = match_classes(dataset.classes, classifier.labels)
    pictures = [
        picture
        for picture in dataset.pictures_of(split)
        if indices[picture.class_index] is not None
    ]
    logits, statistics = [], []
    for views in _views(classifier.card, data, pictures, ("plain",)):
        outputs = classifier.engine.infer(views["plain"])
        logits.append(to_logits(outputs, classifier.card.output.activation)[0])
        statistics.append(describe_pixels(views["plain"]))
    truth = [indices[picture.class_index] for picture in pictures]
    return Measurements(np.stack(logits), np.array(truth, dtype=np.intp), np.stack(statistics))


def match_classes(classes: Sequence[DatasetClass], labels: LabelSet) -> tuple[int | None, ...]:
    """Which output of a model stands for each class of a data set.

    Args:
        classes: Of the data set.
        labels: Of the model.

    Returns:
        A class index of the model, by WordNet id where both have one, else by label; None where
        the model has no such class.

    Example:
        >>> birds = LabelSet("birds", (LabelEntry("owl", "n01621127"), LabelEntry("Crow")))
        >>> match_classes([DatasetClass("crow"), DatasetClass("an owl", "n01621127")], birds)
        (1, 0)
    """
    by_wnid = {
        entry.wnid: index for index, entry in enumerate(labels.entries) if entry.wnid is not None
    }
    by_label = {label_key(entry.label): index for index, entry in enumerate(labels.entries)}
    matched = []
    for one in classes:
        index = None if one.wnid is None else by_wnid.get(one.wnid)
        if index is None:
            index = by_label.get(label_key(one.label))
            # The same word for another thing, such as the crane that is a bird.
            if index is not None and None not in (one.wnid, labels.entries[index].wnid):
                index = None
        matched.append(index)
    return tuple(matched)


@dataclass(frozen=True)
class _Truth:
    """The right class index of each picture.

    A class that the model does not know is one more output that never scores anything, so that
    its pictures count as wrong in every figure.
    """

    indices: npt.NDArray[np.intp]
    num_classes: int

    @classmethod
    def of(
        cls, pictures: Sequence[Picture], indices: Sequence[int | None], num_classes: int
    ) -> "_Truth":
        known = [num_classes if index is None else index for index in indices]
        truth = [known[picture.class_index] for picture in pictures]
        return cls(np.array(truth, dtype=np.intp), num_classes)

    @property
    def has_unknown(self) -> bool:
        return bool((self.indices == self.num_classes).any())

    def measure(self, logits: Logits, classifier: Classifier) -> Quality:
        taxonomy = classifier.labels.taxonomy
        if self.has_unknown:
            nothing = np.full((len(logits), 1), -np.inf, dtype=logits.dtype)
            logits = np.hstack([logits, nothing])
            taxonomy = Taxonomy(self.num_classes + 1, (*taxonomy.parents, -1))
        card = classifier.card
        parameters = Parameters(
            card.calibration.temperature,
            card.thresholds.sure,
            card.thresholds.probably,
            None if card.answer_set is None else card.answer_set.least_score,
            sure_passed=True,
        )
        return measure(Measurements(logits, self.indices), parameters, taxonomy)

    def per_level(
        self, logits: Logits, classifier: Classifier, recognised: npt.NDArray[np.bool_]
    ) -> LevelFigures:
        """As the answers are worded: what is not recognised is unsure, whatever it scores."""
        total, kept = len(logits), int(recognised.sum())
        right = logits.argmax(axis=1) == self.indices
        nothing = Statements(0, 0.0, None, None, None, None)
        sure = probably = stated = nothing
        unsure, unsure_right = total - kept, float(right[~recognised].sum())
        if kept:
            some = _Truth(self.indices[recognised], self.num_classes)
            quality = some.measure(logits[recognised], classifier)
            sure, probably, stated = (
                replace(said, share=said.pictures / total)
                for said in (quality.sure, quality.probably, quality.stated)
            )
            unsure += kept - stated.pictures
            unsure_right += (quality.unsure_best or 0.0) * (kept - stated.pictures)
        return LevelFigures(
            sure,
            probably,
            stated,
            unsure_share=unsure / total,
            unsure_accuracy=unsure_right / unsure if unsure else None,
            unrecognised_share=1 - kept / total,
        )

    def top5(self, quality: Quality) -> float:
        # Of four labels and one that does not exist, the best five would hold the latter.
        known = float((self.indices < self.num_classes).mean())
        return min(quality.top5, known)


def _model_facts(classifier: Classifier) -> ModelFacts:
    return ModelFacts(
        classifier.model.name,
        classifier.model.fingerprint,
        classifier.card.weights.sha256,
        len(classifier.labels),
    )


# Pictures


def _rotate(image: Image.Image) -> Image.Image:
    # The corners get the picture's mean colour, which tells a model least.
    mean = tuple(int(channel) for channel in np.asarray(image).mean(axis=(0, 1)))
    return image.rotate(ROTATION_DEGREES, Image.Resampling.BILINEAR, fillcolor=mean)


def _blur(pixels: ImageHWC) -> ImageHWC:
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(BLUR_SIGMA)))


def _compress(pixels: ImageHWC) -> ImageHWC:
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "JPEG", quality=JPEG_QUALITY)
    return np.asarray(Image.open(encoded).convert("RGB"))


_CHANGES: Mapping[str, Callable[[ImageHWC], ImageHWC] | None] = {
    "rotation": None,  # of the whole picture, before its centre is cut out
    "blur": _blur,
    "jpeg": _compress,
}


def _views(
    card: ModelCard, data: Path, pictures: Sequence[Picture], names: Sequence[str]
) -> Iterator[dict[str, ImageHWC]]:
    """What the model sees of each picture, plain and changed."""

    def look(picture: Picture) -> dict[str, ImageHWC]:
        image = decode_image(
            read_picture(data, picture), shorter_side=card.input.resize_shorter_side
        ).pixels
        plain = fit_image(image, card.input)
        views = {"plain": plain}
        for name in names[1:]:
            change = _CHANGES[name]
            views[name] = fit_image(_rotate(image), card.input) if change is None else change(plain)
        return views

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(pictures), _AT_A_TIME):
            yield from pool.map(look, pictures[start : start + _AT_A_TIME])


def _infer(
    classifier: Classifier, data: Path, pictures: Sequence[Picture], names: Sequence[str]
) -> tuple[dict[str, Logits], npt.NDArray[np.bool_]]:
    """The logits of each view of each picture, and whether the plain one is recognised."""
    rows: dict[str, list[Logits]] = {name: [] for name in names}
    recognised = []
    activation, profile = classifier.card.output.activation, classifier.card.recognition
    for views in _views(classifier.card, data, pictures, names):
        for name in names:
            outputs = classifier.engine.infer(views[name])
            rows[name].append(to_logits(outputs, activation)[0])
        recognised.append(
            profile is None
            or familiarity(rows["plain"][-1], views["plain"], profile) >= profile.threshold
        )
    return {name: np.stack(logits) for name, logits in rows.items()}, np.array(recognised)


def _time_answers(classifier: Classifier, data: Path, pictures: Sequence[Picture]) -> Latency:
    # An even choice, for files that follow each other show the same class.
    step = max(1, len(pictures) // _TIMED)
    timed = [read_picture(data, picture) for picture in pictures[::step][:_TIMED]]
    for number in range(_WARM_UPS):
        classifier.classify(timed[number % len(timed)])
    rounds = []
    for _ in range(_ROUNDS):
        milliseconds = []
        for image_bytes in timed:
            start = time.perf_counter()
            classifier.classify(image_bytes)
            milliseconds.append((time.perf_counter() - start) * 1000)
        rounds.append(np.quantile(milliseconds, (0.5, 0.95)).tolist())
    # What else runs on the machine only ever adds, so the least disturbed round is the model's.
    p50, p95 = min(rounds)
    return Latency(round(p50, 2), round(p95, 2))


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


def _rounded(facts: Any) -> Any:
    if isinstance(facts, dict):
        return {name: _rounded(value) for name, value in facts.items()}
    if isinstance(facts, list | tuple):
        return [_rounded(value) for value in facts]
    if isinstance(facts, float):
        return round(facts, 6)
    return facts
