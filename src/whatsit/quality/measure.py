"""How well answers keep their promises on pictures that nothing was fitted on."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from whatsit.answer import softmax
from whatsit.labels.taxonomy import Taxonomy
from whatsit.prediction import MAX_TOP_K
from whatsit.quality.ladder import Ladder
from whatsit.quality.measurements import (
    Flags,
    Floats,
    Measurements,
    Parameters,
    true_scores_and_ranks,
)

_BINS = 15
_SIMULATIONS = 200


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
        ece_chance: The error that a perfectly calibrated model with these scores would show by
            chance.
        brier: Mean squared distance of the scores from the truth, over all classes; 0 to 2.
        reliability: The bins of `ece`.
        level_ece: Expected calibration error of the stated level's score.
        level_ece_chance: The error that chance alone would show.
        sure: Answers said to be sure.
        probably: Answers said to be probable.
        stated: Both.
        unsure: How many answers state nothing.
        unsure_best: How often the best guess of those is right.
        information: How much a stated level says of the class, from 0 (nothing) to 1 (which of all
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
    true_score, rank = true_scores_and_ranks(scores, truth)
    ladder = Ladder.climb(scores, truth, taxonomy)
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
    """The average `calibration_error` if every score is exactly true."""
    draws = rng.random((_SIMULATIONS, len(scores))) < scores
    return float(np.mean([calibration_error(scores, drawn) for drawn in draws]))


def _mean(flags: Flags) -> float | None:
    return float(flags.mean()) if len(flags) else None
