"""The figures of an evaluation, as they stand in its report."""

from dataclasses import asdict, dataclass
from typing import Any

from whatsit.pipeline.manifest import (
    Split,
)
from whatsit.quality.measure import Statements


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
    """The result of `evaluate`. Every figure is a ratio but for counts and milliseconds.

    Attributes:
        model: The measured model.
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


def _rounded(facts: Any) -> Any:
    if isinstance(facts, dict):
        return {name: _rounded(value) for name, value in facts.items()}
    if isinstance(facts, list | tuple):
        return [_rounded(value) for value in facts]
    if isinstance(facts, float):
        return round(facts, 6)
    return facts
