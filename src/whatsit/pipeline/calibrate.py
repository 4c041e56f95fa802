"""Fit what turns a model's logits into promises kept, and measure whether they are kept.

What is fitted, each on labelled pictures the model was not trained on:

- the temperature (Guo et al., On Calibration of Modern Neural Networks, ICML 2017), by likelihood;
- the threshold of ``sure``, lowered from the top as long as a binomial test says that the promise
  holds (fixed-sequence testing as in Angelopoulos et al., Learn then Test, arXiv:2110.01052);
- the threshold of ``probably``, lowered to its own promise as long as the pictures bear it out;
- the least score of a label in the set (split conformal prediction; see
  `whatsit.answer.select_set`).
"""

import csv
import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from whatsit.answer import Logits, Probabilities, softmax, to_logits
from whatsit.classifier import Classifier
from whatsit.errors import DatasetRejected, InputError
from whatsit.familiarity import best_log_probability, describe_pixels
from whatsit.labels.taxonomy import Taxonomy
from whatsit.model_card import Calibration, ModelCard, Recognition, SetRule, Thresholds, build_card
from whatsit.pipeline.recognition import fit_profile
from whatsit.prediction import MAX_TOP_K

Indices = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Progress = Callable[[int, int], None]
"""Told how many pictures are done, and how many there are."""

SURE_PROMISE = 0.95
PROBABLY_PROMISE = 0.75
SET_PROMISE = 0.90
FALSE_ALARM_RATIO = 0.05
"""Share of photographs that "I do not recognise this" may be said of."""

MAX_DOUBT = 0.1
"""The chance that a threshold of ``sure`` passes its test although the promise is broken."""

HALVINGS = 20
MIN_PICTURES = 100
_FIRST_THRESHOLD = 0.97
_THRESHOLD_STEP = 0.01
_FEW_ANSWERS = 20
"""Fewer answers than this say nothing against ``probably``: their scores are the promise."""

_FIGURES_ON_THE_CARD = (
    *("top1", "top5", "ece", "ece_raw", "ece_chance", "brier"),
    *("sure.share", "sure.accuracy", "probably.share", "probably.accuracy"),
    *("stated.share", "stated.accuracy", "set_coverage", "set_mean_size"),
)

_BINS = 15
_SIMULATIONS = 200


@dataclass(frozen=True)
class Measurements:
    """What a model said of labelled pictures.

    Attributes:
        logits: Shape (pictures, num_classes).
        class_indices: The right class of each picture.
        statistics: `whatsit.familiarity.describe_pixels` of each, shape (pictures, 6); None where
            the pictures themselves were not there.
    """

    logits: Logits
    class_indices: Indices
    statistics: Floats | None = None

    def __len__(self) -> int:
        return len(self.class_indices)

    def pick(self, rows: Indices) -> "Measurements":
        """Some of the pictures."""
        statistics = None if self.statistics is None else self.statistics[rows]
        return Measurements(self.logits[rows], self.class_indices[rows], statistics)

    def halves(self, seed: int) -> tuple["Measurements", "Measurements"]:
        """Two random halves; the second has the odd picture."""
        order = np.random.default_rng(seed).permutation(len(self))
        return self.pick(order[: len(self) // 2]), self.pick(order[len(self) // 2 :])


@dataclass(frozen=True)
class Parameters:
    """All that is fitted.

    Attributes:
        temperature: Divides the logits.
        sure: From this score on an answer is ``sure``.
        probably: From this score on an answer is ``probably``.
        set_least_score: From this score on a label is in the set; None where no set of 20 labels
            keeps the promise.
        sure_passed: Whether `sure` passed its test. If not, there were too few pictures or too
            many errors, and it is only a high score.
    """

    temperature: float
    sure: float
    probably: float
    set_least_score: float | None
    sure_passed: bool


@dataclass(frozen=True)
class Bin:
    """Scores of one fifteenth of the range: how many, their mean, and how often they were right."""

    pictures: int
    score: float
    accuracy: float


@dataclass(frozen=True)
class Statements:
    """The answers of one certainty.

    Attributes:
        pictures: How many there are.
        share: The same as a share of all answers.
        accuracy: How often the stated level was right; None without answers.
        class_share: How many of them state a class rather than a group.
        class_accuracy: How often these were right.
        group_accuracy: How often the others were.
    """

    pictures: int
    share: float
    accuracy: float | None
    class_share: float | None
    class_accuracy: float | None
    group_accuracy: float | None

    @classmethod
    def count(cls, right: Flags, is_class: Flags, pictures: int) -> Self:
        """Sum up which of `pictures` answers were right and which stated a class."""
        return cls(
            pictures=len(right),
            share=len(right) / pictures,
            accuracy=_mean(right),
            class_share=_mean(is_class),
            class_accuracy=_mean(right[is_class]),
            group_accuracy=_mean(right[~is_class]),
        )


@dataclass(frozen=True)
class Quality:
    """How well answers keep their promises. Every figure is a ratio but for the counts.

    Attributes:
        pictures: How many were measured.
        top1: How often the best label is right.
        top5: How often one of the best five is.
        ece: Expected calibration error of the best label's score, 15 bins.
        ece_raw: The same without calibration.
        ece_chance: What a perfectly calibrated model with these scores would show by chance.
        brier: Mean squared distance of the scores from the truth, over all classes; 0 to 2.
        reliability: The bins of `ece`.
        level_ece: Expected calibration error of the stated level's score.
        level_ece_chance: What chance alone would show.
        sure: Answers said to be sure.
        probably: Answers said to be probable.
        stated: Both.
        unsure: How many answers state nothing.
        unsure_best: How often the best guess of those is right.
        information: What a stated level says of the class, from 0 (nothing) to 1 (which of all
            classes it is); unsure answers say nothing.
        set_coverage: How often the set holds the right class; None without a set.
        set_mean_size: Labels in a set on average.
        set_max_size: Labels in the largest set.
    """

    pictures: int
    top1: float
    top5: float
    ece: float
    ece_raw: float
    ece_chance: float
    brier: float
    reliability: tuple[Bin, ...]
    level_ece: float
    level_ece_chance: float
    sure: Statements
    probably: Statements
    stated: Statements
    unsure: float
    unsure_best: float | None
    information: float
    set_coverage: float | None
    set_mean_size: float | None
    set_max_size: int | None


@dataclass(frozen=True)
class Spread:
    """One figure over several halvings."""

    mean: float
    sd: float
    least: float
    most: float


@dataclass(frozen=True)
class CalibrationReport:
    """What one calibration found.

    Attributes:
        parameters: Fitted on all pictures: these go into the card.
        half_parameters: Fitted on one half, for each halving.
        held_out: Measured on the other half with those.
        pictures: How many pictures there were.
        data_sha256: Digest of the pictures and their classes.
        seed: Of the halvings.
        recognition: What photographs look like to the model, fitted on all pictures; None where
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
        progress: Told after every picture.

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


def fit(measurements: Measurements, taxonomy: Taxonomy) -> Parameters:
    """Fit everything on the same pictures."""
    temperature = round(fit_temperature(measurements), 4)
    scores = softmax(measurements.logits, temperature)
    ladder = _Ladder.climb(scores, measurements.class_indices, taxonomy)
    sure, sure_passed = _fit_sure(ladder)
    return Parameters(
        temperature=temperature,
        sure=sure,
        probably=_fit_probably(ladder, sure),
        set_least_score=fit_set(scores, measurements.class_indices),
        sure_passed=sure_passed,
    )


def fit_temperature(measurements: Measurements) -> float:
    """The temperature under which the right classes are most likely, from 0.05 to 20."""
    logits = measurements.logits.astype(np.float64)
    logits -= logits.max(axis=1, keepdims=True)
    right = logits[np.arange(len(logits)), measurements.class_indices]

    def loss(log_temperature: float) -> float:
        scale = math.exp(-log_temperature)
        return float((np.log(np.exp(logits * scale).sum(axis=1)) - right * scale).mean())

    return math.exp(_minimise(loss, math.log(0.05), math.log(20)))


def fit_set(scores: Probabilities, class_indices: Indices) -> float | None:
    """The least score of a label in a set that holds the right one as often as promised.

    Returns:
        A score above 0, or None where the best 20 labels hold the right one less often than that.
    """
    needed, rank = _true_scores_and_ranks(scores, class_indices)
    # The best label is in the set whatever its score, and one that is not kept never is.
    needed = np.where(rank == 0, 1.0, np.where(rank < MAX_TOP_K, needed, 0.0))
    count = math.ceil((len(scores) + 1) * SET_PROMISE)
    if count > len(scores):
        return None
    least = math.floor(np.sort(needed)[::-1][count - 1] * 1e4) / 1e4
    return least or None


def measure(
    measurements: Measurements, parameters: Parameters, taxonomy: Taxonomy, *, seed: int = 0
) -> Quality:
    """Measure what answers with these parameters are worth.

    Args:
        measurements: Pictures that the parameters were not fitted on.
        parameters: Turn logits into answers.
        taxonomy: The tree of the classes.
        seed: For the simulation of chance.
    """
    truth = measurements.class_indices
    rows = np.arange(len(truth))
    scores = softmax(measurements.logits, parameters.temperature)
    raw = softmax(measurements.logits)
    best, best_score = scores.argmax(axis=1), scores.max(axis=1).astype(np.float64)
    is_best = best == truth
    true_score, rank = _true_scores_and_ranks(scores, truth)
    ladder = _Ladder.climb(scores, truth, taxonomy)
    sure = ladder.state(parameters.sure)
    probable = ladder.state(parameters.probably)
    is_probable = (probable >= 0) & (sure < 0)
    level = np.where(sure >= 0, sure, probable)
    said = level >= 0
    right, is_class = ladder.right[rows, level] & said, ladder.is_class[rows, level] & said
    level_score = ladder.scores[rows, level][said]
    sizes = ladder.sizes[rows, level][said]
    rng = np.random.default_rng(seed)
    set_sizes = set_holds = None
    if (least := parameters.set_least_score) is not None:
        set_sizes = np.clip((scores >= least).sum(axis=1), 1, MAX_TOP_K)
        set_holds = is_best | ((true_score >= least) & (rank < MAX_TOP_K))
    return Quality(
        pictures=len(truth),
        top1=float(is_best.mean()),
        top5=float((rank < 5).mean()),
        ece=calibration_error(best_score, is_best),
        ece_raw=calibration_error(raw.max(axis=1).astype(np.float64), is_best),
        ece_chance=chance_calibration_error(best_score, rng),
        brier=float((np.square(scores.astype(np.float64)).sum(axis=1) - 2 * true_score + 1).mean()),
        reliability=reliability(best_score, is_best),
        level_ece=calibration_error(level_score, right[said]),
        level_ece_chance=chance_calibration_error(level_score, rng),
        sure=Statements.count(right[sure >= 0], is_class[sure >= 0], len(truth)),
        probably=Statements.count(right[is_probable], is_class[is_probable], len(truth)),
        stated=Statements.count(right[said], is_class[said], len(truth)),
        unsure=float((~said).mean()),
        unsure_best=_mean(is_best[~said]),
        information=float((1 - np.log(sizes) / math.log(taxonomy.num_classes)).sum() / len(truth)),
        set_coverage=None if set_holds is None else float(set_holds.mean()),
        set_mean_size=None if set_sizes is None else float(set_sizes.mean()),
        set_max_size=None if set_sizes is None else int(set_sizes.max()),
    )


def reliability(scores: Floats, right: Flags) -> tuple[Bin, ...]:
    """Fifteen bins of equal width over 0 to 1."""
    which = np.minimum((scores * _BINS).astype(int), _BINS - 1)
    bins = []
    for number in range(_BINS):
        inside = which == number
        count = int(inside.sum())
        bins.append(
            Bin(
                count,
                float(scores[inside].mean()) if count else 0.0,
                float(right[inside].mean()) if count else 0.0,
            )
        )
    return tuple(bins)


def calibration_error(scores: Floats, right: Flags) -> float:
    """How far scores lie from how often they are right: the mean over 15 bins."""
    which = np.minimum((scores * _BINS).astype(int), _BINS - 1)
    gap = np.bincount(which, weights=scores - right, minlength=_BINS)
    return float(np.abs(gap).sum() / max(1, len(scores)))


def chance_calibration_error(scores: Floats, rng: np.random.Generator) -> float:
    """What `calibration_error` is on average if every score is exactly true."""
    draws = rng.random((_SIMULATIONS, len(scores))) < scores
    return float(np.mean([calibration_error(scores, drawn) for drawn in draws]))


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


@dataclass(frozen=True)
class _Ladder:
    """For each picture the levels from the broadest group down to a class, side by side.

    Where a path is shorter than the longest, scores are -1.
    """

    scores: Floats
    right: Flags
    is_class: Flags
    sizes: Floats

    @classmethod
    def climb(cls, scores: Probabilities, truth: Indices, taxonomy: Taxonomy) -> Self:
        paths, path_scores = [], []
        for row in scores:
            node_scores = taxonomy.score_nodes(row)
            paths.append(taxonomy.descend(node_scores))
            path_scores.append(node_scores[list(paths[-1])])
        shape = len(paths), max(map(len, paths))
        ladder = cls(
            np.full(shape, -1.0), np.zeros(shape, bool), np.zeros(shape, bool), np.ones(shape)
        )
        for row, (path, values) in enumerate(zip(paths, path_scores, strict=True)):
            ladder.scores[row, : len(path)] = values
            for step, node in enumerate(path):
                ladder.right[row, step] = taxonomy.holds(node, int(truth[row]))
                ladder.is_class[row, step] = node >= taxonomy.num_groups
                ladder.sizes[row, step] = taxonomy.size_of(node)
        return ladder

    def state(self, least: float) -> Indices:
        """The most specific level of each picture that scores `least`; -1 where none does."""
        levels: Indices = (self.scores >= least).sum(axis=1) - 1
        return levels

    def count(self, least: float, below: float = math.inf) -> tuple[int, int]:
        """Answers stated at `least` but not at `below`, and how many of them are wrong."""
        level = self.state(least)
        counted = (level >= 0) & (self.scores[:, 0] < below)
        right = self.right[np.arange(len(level)), level][counted]
        return len(right), int((~right).sum())


def _fit_sure(ladder: _Ladder) -> tuple[float, bool]:
    passed = None
    for threshold in _thresholds_from(_FIRST_THRESHOLD):
        answers, errors = ladder.count(threshold)
        if _binomial_tail(errors, answers, 1 - SURE_PROMISE) > MAX_DOUBT:
            break
        passed = threshold
    return (_FIRST_THRESHOLD, False) if passed is None else (passed, True)


def _fit_probably(ladder: _Ladder, sure: float) -> float:
    # Never below the promise: "Probably a dog (70 %)" would contradict itself. No test as for
    # `sure`: so few answers are neither sure nor unsure that hardly any threshold would pass.
    passed = sure
    for threshold in _thresholds_from(sure):
        answers, errors = ladder.count(threshold, below=sure)
        if answers >= _FEW_ANSWERS and errors > (1 - PROBABLY_PROMISE) * answers:
            break
        passed = threshold
    return passed


def _true_scores_and_ranks(scores: Probabilities, truth: Indices) -> tuple[Floats, Indices]:
    """The score of each picture's right class, and how many labels stand before it."""
    true_scores = scores[np.arange(len(truth)), truth][:, np.newaxis]
    # Equal scores keep class order, as in `whatsit.answer.top_k`.
    earlier = np.arange(scores.shape[1]) < truth[:, np.newaxis]
    before = (scores > true_scores) | ((scores == true_scores) & earlier)
    return true_scores[:, 0].astype(np.float64), before.sum(axis=1)


def _thresholds_from(highest: float) -> list[float]:
    steps = round((highest - PROBABLY_PROMISE) / _THRESHOLD_STEP)
    return [round(highest - step * _THRESHOLD_STEP, 4) for step in range(steps + 1)]


def _binomial_tail(errors: int, answers: int, error_rate: float) -> float:
    """How likely so few errors are if the true rate is `error_rate`."""
    if answers == 0:
        return 1.0
    log_yes, log_no = math.log(error_rate), math.log1p(-error_rate)
    return math.fsum(
        math.exp(
            math.lgamma(answers + 1)
            - math.lgamma(wrong + 1)
            - math.lgamma(answers - wrong + 1)
            + wrong * log_yes
            + (answers - wrong) * log_no
        )
        for wrong in range(errors + 1)
    )


def _minimise(loss: Callable[[float], float], low: float, high: float) -> float:
    """Golden-section search; the loss of a temperature has one valley."""
    ratio = (math.sqrt(5) - 1) / 2
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = loss(left), loss(right)
    while high - low > 1e-5:
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = loss(right)
    return (low + high) / 2


def _mean(flags: Flags) -> float | None:
    return float(flags.mean()) if len(flags) else None


def _flatten(facts: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in facts.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        elif isinstance(value, int | float):
            yield prefix + name, value


def _read_labels(labels: Path, num_classes: int) -> list[tuple[str, int]]:
    try:
        with labels.open(encoding="utf-8", newline="") as table:
            rows = [(row["file"], int(row["class_index"])) for row in csv.DictReader(table)]
    except OSError as error:
        raise DatasetRejected(f"The labels can't be read: {error.strerror}.") from error
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetRejected(
            f"{labels.name} must be CSV with the columns file and class_index (a whole number)."
        ) from error
    for file, class_index in rows:
        if not 0 <= class_index < num_classes:
            raise DatasetRejected(
                f"{file!r} has the class index {class_index}; "
                f"the model's lie between 0 and {num_classes - 1}."
            )
    if len(rows) < MIN_PICTURES:
        raise DatasetRejected(
            f"There are {len(rows)} labelled pictures; calibration needs {MIN_PICTURES} or more."
        )
    return rows
