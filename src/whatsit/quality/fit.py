"""Fit the parameters that turn a model's logits into promises kept.

The parameters, each fitted on labelled pictures that the model was not trained on:

- the temperature (Guo et al., On Calibration of Modern Neural Networks, ICML 2017), by likelihood;
- the threshold of ``sure``, lowered from the top as long as a binomial test says that the promise
  holds (fixed-sequence testing as in Angelopoulos et al., Learn then Test, arXiv:2110.01052);
- the threshold of ``probably``, lowered to its own promise as long as the pictures bear it out;
- the least score of a label in the set (split conformal prediction; see
  `whatsit.answer.select_set`).
"""

import math
from collections.abc import Callable

import numpy as np

from whatsit.answer import Probabilities, softmax
from whatsit.labels.taxonomy import Taxonomy
from whatsit.prediction import MAX_TOP_K
from whatsit.quality.ladder import Ladder
from whatsit.quality.measurements import (
    Indices,
    Measurements,
    Parameters,
    true_scores_and_ranks,
)

SURE_PROMISE = 0.95
PROBABLY_PROMISE = 0.75
SET_PROMISE = 0.90

MAX_DOUBT = 0.1
"""The chance that a threshold of ``sure`` passes its test although the promise is broken."""

_FIRST_THRESHOLD = 0.97
_THRESHOLD_STEP = 0.01
_FEW_ANSWERS = 20
"""Fewer answers than this say nothing against ``probably``: their scores are the promise."""


def fit(measurements: Measurements, taxonomy: Taxonomy) -> Parameters:
    """Fit everything on the same pictures."""
    temperature = round(fit_temperature(measurements), 4)
    scores = softmax(measurements.logits, temperature)
    ladder = Ladder.climb(scores, measurements.class_indices, taxonomy)
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
    needed, rank = true_scores_and_ranks(scores, class_indices)
    # The best label is in the set whatever its score, and one that is not kept never is.
    needed = np.where(rank == 0, 1.0, np.where(rank < MAX_TOP_K, needed, 0.0))
    count = math.ceil((len(scores) + 1) * SET_PROMISE)
    if count > len(scores):
        return None
    least = math.floor(np.sort(needed)[::-1][count - 1] * 1e4) / 1e4
    return least or None


def _fit_sure(ladder: Ladder) -> tuple[float, bool]:
    passed = None
    for threshold in _thresholds_from(_FIRST_THRESHOLD):
        answers, errors = ladder.count(threshold)
        if _binomial_tail(errors, answers, 1 - SURE_PROMISE) > MAX_DOUBT:
            break
        passed = threshold
    return (_FIRST_THRESHOLD, False) if passed is None else (passed, True)


def _fit_probably(ladder: Ladder, sure: float) -> float:
    # Never below the promise: "Probably a dog (70 %)" would contradict itself. No test as for
    # `sure`: so few answers are neither sure nor unsure that hardly any threshold would pass.
    passed = sure
    for threshold in _thresholds_from(sure):
        answers, errors = ladder.count(threshold, below=sure)
        if answers >= _FEW_ANSWERS and errors > (1 - PROBABLY_PROMISE) * answers:
            break
        passed = threshold
    return passed


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
