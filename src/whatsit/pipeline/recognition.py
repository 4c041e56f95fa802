"""Fit "I do not recognise this" on real photographs; no odd picture is needed."""

import numpy as np
import numpy.typing as npt

from whatsit.familiarity import STATISTICS, join_signs
from whatsit.model_card import Recognition

Scores = npt.NDArray[np.float64]

CERTAINTY_SHARE = 0.75
"""Weight of the model's certainty, in standard deviations over photographs. At 0 smooth
patterns and micrographs pass; far above 1 pages of text do, because models are sure of them."""
_FOLDS = 10
_LEAST_PHOTOGRAPHS = 50
_RIDGE = 1e-3
"""Added to the variances, so that statistics which never vary (grey pictures) do no harm."""


def fit_threshold(scores: npt.ArrayLike, false_alarm_ratio: float = 0.05) -> float:
    """The threshold below which that share of real photographs lies.

    Args:
        scores: Familiarity of real photographs, none of which shaped the score.
        false_alarm_ratio: Share of photographs that may be refused, between 0 and 1.

    Raises:
        ValueError: The scores are empty, or the ratio lies outside its range.

    Example:
        >>> fit_threshold([-4.0, -3.0, -2.0, -1.0, 0.0], false_alarm_ratio=0.25)
        -3.0
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.size == 0:
        raise ValueError("A threshold can't be fitted without scores.")
    if not 0 < false_alarm_ratio < 1:
        raise ValueError(f"false_alarm_ratio is {false_alarm_ratio}; it must lie between 0 and 1.")
    return float(np.quantile(values, false_alarm_ratio))


def fit_profile(
    log_probabilities: npt.ArrayLike, statistics: npt.ArrayLike, false_alarm_ratio: float = 0.05
) -> Recognition:
    """Learn what photographs look like to a model.

    The threshold comes from photographs that the rest of the profile has not seen (ten folds),
    because those it was fitted on look more familiar than others will.

    Args:
        log_probabilities: `whatsit.familiarity.best_log_probability` of real photographs such as
            the model will be shown, shape (N,); 50 at least, 300 or more are better.
        statistics: `whatsit.familiarity.describe_pixels` of the same, shape (N, 6).
        false_alarm_ratio: Share of such photographs that may be refused.

    Raises:
        ValueError: Too few photographs, or arrays that do not belong together.
    """
    sure = np.asarray(log_probabilities, dtype=np.float64)
    looks = np.asarray(statistics, dtype=np.float64)
    if looks.shape != (len(sure), len(STATISTICS)):
        raise ValueError(f"The statistics have shape {looks.shape}, not {(len(sure), 6)}.")
    if len(sure) < _LEAST_PHOTOGRAPHS:
        raise ValueError(f"There are {len(sure)} photographs; {_LEAST_PHOTOGRAPHS} are needed.")
    fold = np.arange(len(sure)) % _FOLDS
    scores = np.empty(len(sure))
    for left_out in range(_FOLDS):
        kept = fold != left_out
        profile = _fit_shape(sure[kept], looks[kept], false_alarm_ratio)
        for index in np.flatnonzero(~kept):
            scores[index] = join_signs(float(sure[index]), looks[index], profile)
    threshold = fit_threshold(scores, false_alarm_ratio)
    return _fit_shape(sure, looks, false_alarm_ratio, threshold)


def _fit_shape(
    sure: Scores, looks: Scores, false_alarm_ratio: float, threshold: float = 0.0
) -> Recognition:
    covariance = np.cov(looks.T) + _RIDGE * np.eye(looks.shape[1])
    whitening = np.linalg.cholesky(np.linalg.inv(covariance)).T
    return Recognition.model_validate(
        {
            "method": "certainty+pixels",
            "false_alarm_ratio": false_alarm_ratio,
            "threshold": round(threshold, 4),
            "certainty_weight": round(CERTAINTY_SHARE / max(float(sure.std()), 0.01), 4),
            "centre": looks.mean(axis=0).round(4).tolist(),
            "whitening": whitening.round(4).tolist(),
        }
    )
