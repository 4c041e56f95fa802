"""Measure whether answers keep their promises; write docs/reports/answers.{json,md}.

    python -m scripts.study_answers --shared DIR

DIR holds ``images/val650`` and ``models/resnet50-tf``. Everything is fitted on one random half of
the pictures and measured on the other, 20 times. Beside what the models' cards use, the study
measures what else could have been chosen: other maps from logits to scores, and other rules for
the set.
"""

import argparse
import json
import math
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from whatsit.answer import softmax
from whatsit.classifier import Classifier
from whatsit.models.catalogue import bundled_folder
from whatsit.models.folder import open_folder
from whatsit.pipeline.calibrate import CalibrationReport, calibrate, measure_pictures
from whatsit.quality.fit import SET_PROMISE, fit_temperature
from whatsit.quality.measure import calibration_error
from whatsit.quality.measurements import Flags, Floats, Indices, Measurements

REPORTS = Path(__file__).resolve().parent.parent / "docs" / "reports"
HALVINGS = 20

ScoreMap = Callable[[Floats, Flags], Callable[[Floats], Floats]]
SetScore = Callable[[Floats], Floats]
"""Gives each label of each picture, shape (N, num_classes), a number; low ones are in the set."""


def isotonic(scores: Floats, right: Flags) -> Callable[[Floats], Floats]:
    """The best rising step function from score to accuracy (pool adjacent violators)."""
    order = np.argsort(scores, kind="stable")
    blocks: list[list[float]] = []  # mean, weight
    for value in right[order].astype(float).tolist():
        blocks.append([value, 1.0])
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            mean, weight = blocks.pop()
            total = blocks[-1][1] + weight
            blocks[-1] = [(blocks[-1][0] * blocks[-1][1] + mean * weight) / total, total]
    levels = np.repeat([mean for mean, _ in blocks], [int(weight) for _, weight in blocks])
    known = scores[order]
    return lambda new: np.interp(new, known, levels)


def beta(scores: Floats, right: Flags) -> Callable[[Floats], Floats]:
    """Logistic regression on the log odds of the score (Platt; two-parameter beta), by Newton."""

    def log_odds(values: Floats) -> Floats:
        clipped = np.clip(values, 1e-6, 1 - 1e-6)
        odds: Floats = np.log(clipped / (1 - clipped))
        return odds

    columns = np.stack([log_odds(scores), np.ones_like(scores)], axis=1)
    weights = np.array([1.0, 0.0])
    for _ in range(25):
        chance = 1 / (1 + np.exp(-columns @ weights))
        slope = columns.T @ (chance - right) + 1e-3 * (weights - [1.0, 0.0])
        curve = (columns * (chance * (1 - chance))[:, np.newaxis]).T @ columns + 1e-3 * np.eye(2)
        weights = weights - np.linalg.solve(curve, slope)
    return lambda new: 1 / (1 + np.exp(-(weights[0] * log_odds(new) + weights[1])))


SCORE_MAPS: dict[str, ScoreMap] = {
    "temperature (used)": lambda _scores, _right: lambda new: new,
    "temperature, then beta map of the best score": beta,
    "temperature, then isotonic map of the best score": isotonic,
}


def threshold_scores(scores: Floats) -> Floats:
    """LAC with the best label always in: the rule of the cards."""
    numbers = 1 - scores
    numbers[np.arange(len(scores)), scores.argmax(axis=1)] = -1
    return numbers


def adaptive_scores(scores: Floats, penalty: float, free_labels: int = 2) -> Floats:
    """APS (Romano et al. 2020), with a penalty RAPS (Angelopoulos et al. 2021); not randomised."""
    order = np.argsort(-scores, axis=1, kind="stable")
    ordered = np.take_along_axis(scores, order, axis=1)
    before = ordered.cumsum(axis=1) - ordered
    before += penalty * np.maximum(np.arange(scores.shape[1]) + 1 - free_labels, 0)
    numbers = np.empty_like(scores)
    np.put_along_axis(numbers, order, before, axis=1)
    return numbers


SET_SCORES: dict[str, SetScore] = {
    "least score (used)": threshold_scores,
    "APS": lambda scores: adaptive_scores(scores, 0.0),
    "RAPS, penalty 0.01": lambda scores: adaptive_scores(scores, 0.01),
    "RAPS, penalty 0.1": lambda scores: adaptive_scores(scores, 0.1),
    "RAPS, penalty 0.2": lambda scores: adaptive_scores(scores, 0.2),
}


def study_score_maps(measurements: Measurements) -> dict[str, dict[str, float]]:
    """Calibration error and Brier score of the best label under other maps."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in SCORE_MAPS}
    for seed in range(HALVINGS):
        fitting, others = measurements.halves(seed)
        temperature = fit_temperature(fitting)
        fit_scores, fit_right = _best(fitting, temperature)
        scores, right = _best(others, temperature)
        for name, score_map in SCORE_MAPS.items():
            mapped = score_map(fit_scores, fit_right)(scores)
            error = calibration_error(mapped, right)
            found[name].append((error, float(np.square(mapped - right).mean())))
    return {
        name: {
            "ece": statistics.fmean(ece for ece, _ in values),
            "ece_sd": statistics.pstdev(ece for ece, _ in values),
            "brier_of_best": statistics.fmean(brier for _, brier in values),
        }
        for name, values in found.items()
    }


def study_sets(measurements: Measurements) -> dict[str, dict[str, float]]:
    """Coverage and size of sets under other rules."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in SET_SCORES}
    for seed in range(HALVINGS):
        fitting, others = measurements.halves(seed)
        temperature = fit_temperature(fitting)
        fit_scores, scores = _scores(fitting, temperature), _scores(others, temperature)
        for name, set_score in SET_SCORES.items():
            needed = _of_truth(set_score(fit_scores), fitting.class_indices)
            count = math.ceil((len(needed) + 1) * SET_PROMISE)
            is_in = set_score(scores) <= np.sort(needed)[count - 1]
            covered = is_in[np.arange(len(others)), others.class_indices]
            found[name].append((float(covered.mean()), float(is_in.sum(axis=1).mean())))
    return {
        name: {
            "coverage": statistics.fmean(coverage for coverage, _ in values),
            "coverage_sd": statistics.pstdev(coverage for coverage, _ in values),
            "mean_size": statistics.fmean(size for _, size in values),
        }
        for name, values in found.items()
    }


def pooled_accuracy(report: CalibrationReport, certainty: str) -> float:
    """Right answers of all halvings over all answers: few answers in one say little."""
    statements = [getattr(quality, certainty) for quality in report.held_out]
    right = sum((one.accuracy or 0.0) * one.pictures for one in statements)
    return float(right / sum(one.pictures for one in statements))


def study_model(folder: Path, images: Path) -> dict[str, Any]:
    """Everything about one model."""
    model = open_folder(folder)
    with Classifier.from_folder(model) as classifier:
        measurements, digest = measure_pictures(classifier, images, images / "labels.csv")
    report = calibrate(measurements, model.labels.taxonomy, data_sha256=digest, halvings=HALVINGS)
    return {
        "model": model.card.name,
        "weights_sha256": model.card.weights.sha256,
        **report.as_facts(),
        "pooled_accuracy": {
            certainty: pooled_accuracy(report, certainty)
            for certainty in ("sure", "probably", "stated")
        },
        "half_parameters": [asdict(parameters) for parameters in report.half_parameters],
        "score_maps": study_score_maps(measurements),
        "sets": study_sets(measurements),
    }


def format_page(studies: Sequence[dict[str, Any]]) -> str:
    """The report as Markdown."""
    lines = [
        "# Do the answers keep their promises?",
        "",
        "<!-- Written by scripts/study_answers.py; run: "
        "python -m scripts.study_answers --shared DIR -->",
        "",
        f"{studies[0]['pictures']} pictures of the ILSVRC-2012 validation set (`val650`), which no "
        f"model here was trained on; {HALVINGS} random halvings.",
        "Everything is fitted on one half and measured on the other: mean ± standard deviation, "
        "and the worst halving.",
        "The parameters in a card are fitted on all pictures.",
        "",
        "## Promises",
        "",
        _row("", *(study["model"] for study in studies)),
        _row(*["---"] * (len(studies) + 1)),
    ]
    for title, name, worst in _FIGURES:
        cells = []
        for study in studies:
            figure = study["held_out"][name]
            extreme = "" if worst is None else f", worst {figure[worst]:.3f}"
            cells.append(f"{figure['mean']:.3f} ± {figure['sd']:.3f}{extreme}")
        lines.append(_row(title, *cells))
    for certainty in ("sure", "probably", "stated"):
        title = f"accuracy of `{certainty}`, all halvings pooled"
        cells = [f"{study['pooled_accuracy'][certainty]:.3f}" for study in studies]
        lines.append(_row(title.replace("`stated`", "the stated level"), *cells))
    lines += ["", "## Parameters fitted on all pictures", ""]
    names = list(studies[0]["parameters"])
    lines += [_row("", *names), _row(*["---"] * (len(names) + 1))]
    for study in studies:
        lines.append(_row(study["model"], *(str(study["parameters"][name]) for name in names)))
    lines += _format_choices(studies)
    return "\n".join(lines) + "\n"


_FIGURES = (
    ("top-1 accuracy", "top1", None),
    ("top-5 accuracy", "top5", None),
    ("calibration error (ECE, 15 bins), raw softmax", "ece_raw", None),
    ("calibration error, calibrated", "ece", None),
    ("calibration error of a perfect model of this size, by chance", "ece_chance", None),
    ("calibration error of the stated level's score", "level_ece", None),
    ("the same of a perfect model, by chance", "level_ece_chance", None),
    ("Brier score (all classes, 0 to 2)", "brier", None),
    ("share of `sure`", "sure.share", "least"),
    ("accuracy of `sure`", "sure.accuracy", "least"),
    ("of these, a class rather than a group", "sure.class_share", None),
    ("accuracy of a sure class", "sure.class_accuracy", None),
    ("accuracy of a sure group", "sure.group_accuracy", None),
    ("share of `probably`", "probably.share", None),
    ("accuracy of `probably`", "probably.accuracy", None),
    ("accuracy of the stated level (sure or probably)", "stated.accuracy", "least"),
    ("share of `unsure`", "unsure", None),
    ("how often its best guess is right", "unsure_best", None),
    ("information of an answer (0 none, 1 the class)", "information", None),
    ("coverage of the set (promise 0.90)", "set_coverage", "least"),
    ("mean size of the set", "set_mean_size", "most"),
    ("largest set", "set_max_size", "most"),
)


def _format_choices(studies: Sequence[dict[str, Any]]) -> list[str]:
    lines = ["", "## Other rules that were measured", ""]
    lines += [
        _row("score of the best label", *(f"{s['model']}: ECE | Brier of best" for s in studies)),
        _row(*["---"] * (2 * len(studies) + 1)),
    ]
    for name in SCORE_MAPS:
        found = [study["score_maps"][name] for study in studies]
        cells = [f"{f['ece']:.3f} ± {f['ece_sd']:.3f} | {f['brier_of_best']:.4f}" for f in found]
        lines.append(_row(name, *cells))
    lines += [
        "",
        "The maps of the best score measure no better, and with them the other scores "
        "and the groups would no longer add up; so the temperature stands alone.",
        "",
        _row("set", *(f"{s['model']}: coverage | mean size" for s in studies)),
        _row(*["---"] * (2 * len(studies) + 1)),
    ]
    for name in SET_SCORES:
        found = [study["sets"][name] for study in studies]
        cells = [
            f"{f['coverage']:.3f} ± {f['coverage_sd']:.3f} | {f['mean_size']:.2f}" for f in found
        ]
        lines.append(_row(name, *cells))
    return lines


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _scores(measurements: Measurements, temperature: float) -> Floats:
    return softmax(measurements.logits, temperature).astype(np.float64)


def _best(measurements: Measurements, temperature: float) -> tuple[Floats, Flags]:
    scores = _scores(measurements, temperature)
    return scores.max(axis=1), scores.argmax(axis=1) == measurements.class_indices


def _of_truth(numbers: Floats, truth: Indices) -> npt.NDArray[np.float64]:
    return numbers[np.arange(len(truth)), truth]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Measure whether answers keep their promises.")
    parser.add_argument("--shared", type=Path, required=True, help="pictures and models")
    parser.add_argument("--output", type=Path, default=REPORTS, help="folder of the reports")
    options = parser.parse_args(arguments)
    images = options.shared / "images" / "val650"
    folders = [bundled_folder(), options.shared / "models" / "resnet50-tf"]
    studies = [study_model(folder, images) for folder in folders]
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "answers.json").write_text(
        json.dumps(studies, indent=2) + "\n", encoding="utf-8"
    )
    (options.output / "answers.md").write_text(format_page(studies), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
