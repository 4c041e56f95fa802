"""Fit what turns a model's logits into promises kept, and measure whether they are kept.

The fitted parameters, each from labelled pictures that the model was not trained on:

- the temperature (Guo et al., On Calibration of Modern Neural Networks, ICML 2017), by likelihood;
- the threshold of ``sure``, lowered from the top as long as a binomial test says that the promise
  holds (fixed-sequence testing as in Angelopoulos et al., Learn then Test, arXiv:2110.01052);
- the threshold of ``probably``, lowered to its own promise as long as the pictures bear it out;
- the least score of a label in the set (split conformal prediction; see
  `whatsit.answer.select_set`).
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from whatsit.answer import to_logits
from whatsit.classifier import Classifier
from whatsit.errors import DatasetRejected, InputError
from whatsit.familiarity import best_log_probability, describe_pixels
from whatsit.labels.taxonomy import Taxonomy
from whatsit.model_card import Calibration, ModelCard, Recognition, SetRule, Thresholds, build_card
from whatsit.pipeline.recognition import fit_profile
from whatsit.pipeline.tables import read_table
from whatsit.quality.fit import PROBABLY_PROMISE, SET_PROMISE, SURE_PROMISE, fit
from whatsit.quality.measure import Bin, Quality, measure
from whatsit.quality.measurements import Measurements, Parameters

Progress = Callable[[int, int], None]
"""Called with the number of pictures done, and the number of all."""

FALSE_ALARM_RATIO = 0.05
"""Share of photographs that "I do not recognise this" may be said of."""

HALVINGS = 20
MIN_PICTURES = 100

_FIGURES_ON_THE_CARD = (
    *("top1", "top5", "ece", "ece_raw", "ece_chance", "brier"),
    *("sure.share", "sure.accuracy", "probably.share", "probably.accuracy"),
    *("stated.share", "stated.accuracy", "set_coverage", "set_mean_size"),
)


@dataclass(frozen=True)
class Spread:
    """One figure over several halvings."""

    mean: float
    sd: float
    least: float
    most: float


@dataclass(frozen=True)
class CalibrationReport:
    """The result of one calibration.

    Attributes:
        parameters: Fitted on all pictures: these go into the card.
        half_parameters: Fitted on one half, for each halving.
        held_out: Measured on the other half with those.
        pictures: How many pictures there were.
        data_sha256: Digest of the pictures and their classes.
        seed: Of the halvings.
        recognition: The appearance of photographs to the model, fitted on all pictures; None where
            there were none to look at.
    """

    parameters: Parameters
    half_parameters: tuple[Parameters, ...]
    held_out: tuple[Quality, ...]
    pictures: int
    data_sha256: str
    seed: int
    recognition: Recognition | None = None

    def summarise(self) -> dict[str, Spread]:
        """Every figure of the halvings, by its name in `Quality`, such as ``sure.accuracy``.

        A figure that a halving does not have (the accuracy of no answers) is left out there.
        """
        columns: dict[str, list[float]] = {}
        for quality in self.held_out:
            for name, value in _flatten(asdict(quality)):
                columns.setdefault(name, []).append(value)
        return {
            name: Spread(*(float(of(values)) for of in (np.mean, np.std, np.min, np.max)))
            for name, values in columns.items()
        }

    def reliability(self) -> tuple[Bin, ...]:
        """The bins of all halvings taken together; a picture counts each time it is held out."""
        pooled = []
        for bins in zip(*(quality.reliability for quality in self.held_out), strict=True):
            pictures = sum(one.pictures for one in bins)
            weight = max(1, pictures)
            pooled.append(
                Bin(
                    pictures,
                    sum(one.score * one.pictures for one in bins) / weight,
                    sum(one.accuracy * one.pictures for one in bins) / weight,
                )
            )
        return tuple(pooled)

    def as_facts(self) -> dict[str, Any]:
        """The report as it goes into JSON."""
        return {
            "pictures": self.pictures,
            "data_sha256": self.data_sha256,
            "seed": self.seed,
            "halvings": len(self.held_out),
            "promises": {
                "sure": SURE_PROMISE,
                "probably": PROBABLY_PROMISE,
                "set": SET_PROMISE,
            },
            "parameters": asdict(self.parameters),
            "held_out": {name: asdict(spread) for name, spread in self.summarise().items()},
            "reliability": [asdict(one) for one in self.reliability()],
        }


def measure_pictures(
    classifier: Classifier, images: Path, labels: Path, progress: Progress | None = None
) -> tuple[Measurements, str]:
    """Run a model on labelled pictures.

    Args:
        classifier: The model.
        images: Folder of the pictures.
        labels: CSV with the columns ``file`` and ``class_index``.
        progress: Called after every picture.

    Returns:
        What the model said, and the digest of pictures and classes.

    Raises:
        DatasetRejected: The pictures or their labels can't be used.
    """
    rows = _read_labels(labels, len(classifier.labels))
    digest, logits, statistics = hashlib.sha256(), [], []
    for done, (file, class_index) in enumerate(rows, start=1):
        try:
            pixels, facts = classifier.prepare((images / file).read_bytes())
        except (OSError, InputError) as error:
            raise DatasetRejected(f"The picture {file!r} can't be used: {error}") from error
        outputs = classifier.engine.infer(pixels)
        statistics.append(describe_pixels(pixels))
        logits.append(to_logits(outputs, classifier.card.output.activation)[0])
        digest.update(f"{facts.sha256} {class_index}\n".encode())
        if progress is not None:
            progress(done, len(rows))
    indices = np.array([class_index for _, class_index in rows], dtype=np.intp)
    return Measurements(np.stack(logits), indices, np.stack(statistics)), digest.hexdigest()


def calibrate(
    measurements: Measurements,
    taxonomy: Taxonomy,
    *,
    data_sha256: str = "",
    seed: int = 0,
    halvings: int = HALVINGS,
) -> CalibrationReport:
    """Fit on one random half and measure on the other, several times; then fit on all.

    The measured figures belong to fits on one half. The fit on all pictures, which is the one to
    use, has twice the evidence and no picture left to measure it on.
    """
    half_parameters, held_out = [], []
    for number in range(seed, seed + halvings):
        fitting, others = measurements.halves(number)
        half_parameters.append(fit(fitting, taxonomy))
        held_out.append(measure(others, half_parameters[-1], taxonomy, seed=number))
    return CalibrationReport(
        parameters=fit(measurements, taxonomy),
        half_parameters=tuple(half_parameters),
        held_out=tuple(held_out),
        pictures=len(measurements),
        data_sha256=data_sha256,
        seed=seed,
        recognition=_fit_recognition(measurements),
    )


def _fit_recognition(measurements: Measurements) -> Recognition | None:
    if measurements.statistics is None:
        return None
    sure = [best_log_probability(logits) for logits in measurements.logits]
    return fit_profile(sure, measurements.statistics, FALSE_ALARM_RATIO)


def apply_calibration(card: ModelCard, report: CalibrationReport) -> ModelCard:
    """The card with the fitted parameters, and what was measured in ``quality.answers``."""
    fitted, held_out = report.parameters, report.summarise()
    figures = {
        name.replace(".", "_"): round(held_out[name].mean, 4)
        for name in _FIGURES_ON_THE_CARD
        if name in held_out
    }
    answers = {
        "method": "parameters fitted on all pictures; figures of fits on one random half, "
        "measured on the other, mean of all halvings",
        "pictures": report.pictures,
        "halvings": len(report.held_out),
        "seed": report.seed,
        "data_sha256": report.data_sha256,
        "sure_passed_its_test": fitted.sure_passed,
        **figures,
    }
    facts = card.model_dump(by_alias=True)
    facts["calibration"] = Calibration(temperature=fitted.temperature)
    facts["thresholds"] = Thresholds(sure=fitted.sure, probably=fitted.probably)
    facts["set"] = (
        None
        if fitted.set_least_score is None
        else SetRule(least_score=fitted.set_least_score, coverage=SET_PROMISE)
    )
    facts["recognition"] = report.recognition
    facts["quality"] = {**card.quality, "answers": answers}
    return build_card(facts, origin="calibration")


def _flatten(facts: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in facts.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        elif isinstance(value, int | float):
            yield prefix + name, value


def _read_labels(labels: Path, num_classes: int) -> list[tuple[str, int]]:
    rows = []
    for number, row in read_table(labels, (("file",), ("class_index",))):
        file, index = row["file"], row["class_index"] or ""
        if file is None or not re.fullmatch(r"-?[0-9]{1,9}", index):
            raise DatasetRejected(
                f"Line {number} of {labels.name} needs a file, and its class_index must be a "
                "whole number."
            )
        if not 0 <= int(index) < num_classes:
            raise DatasetRejected(
                f"{file!r} has the class index {index}; "
                f"the model's lie between 0 and {num_classes - 1}."
            )
        rows.append((file, int(index)))
    if len(rows) < MIN_PICTURES:
        raise DatasetRejected(
            f"There are {len(rows)} labelled pictures; calibration needs {MIN_PICTURES} or more."
        )
    return rows
