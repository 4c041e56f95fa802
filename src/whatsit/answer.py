"""Logits -> scores -> labels -> a sentence."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from whatsit.errors import InvalidParameter
from whatsit.labels import LabelSet
from whatsit.model_card import Thresholds
from whatsit.prediction import Answer, Certainty, ScoredLabel

Logits = npt.NDArray[np.float32]
Probabilities = npt.NDArray[np.float32]


_MAX_GUESSES = 3
_WORTH_SAYING = 0.05
"""A guess below this score is left out of the sentence."""


def softmax(logits: Logits, temperature: float = 1.0) -> Probabilities:
    """Turn raw scores into probabilities.

    Args:
        logits: Shape (N, num_classes).
        temperature: Divides the logits first; above 1 flattens, below 1 sharpens.

    Returns:
        The same shape; each row sums to 1.

    Example:
        >>> softmax(np.array([[0.0, 0.0]], dtype=np.float32)).tolist()
        [[0.5, 0.5]]
    """
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(axis=-1, keepdims=True)
    weights = np.exp(scaled)
    probabilities: Probabilities = (weights / weights.sum(axis=-1, keepdims=True)).astype(
        np.float32
    )
    return probabilities


def top_k(probabilities: Probabilities, labels: LabelSet, k: int) -> tuple[ScoredLabel, ...]:
    """Pick the k most probable labels, best first.

    Args:
        probabilities: One image, shape (num_classes,), summing to 1.
        labels: Names in output order.
        k: How many, from 1 to num_classes.

    Returns:
        Scores never rise along the tuple. Equal scores keep class order, so two machines give
        the same answer.

    Raises:
        InvalidParameter: k lies outside its range.

    Example:
        >>> birds = LabelSet("birds", (LabelEntry("owl"), LabelEntry("crow"), LabelEntry("wren")))
        >>> best = top_k(np.array([0.2, 0.7, 0.1], dtype=np.float32), birds, k=2)
        >>> [entry.label for entry in best]
        ['crow', 'owl']
    """
    if not 1 <= k <= len(probabilities):
        raise InvalidParameter(f"top_k is {k}; it must lie between 1 and {len(probabilities)}.")
    # Only what can be among the best is sorted; ties at the edge keep class order too.
    edge = np.partition(probabilities, -k)[-k]
    candidates = np.flatnonzero(probabilities >= edge)
    order = candidates[np.argsort(-probabilities[candidates], kind="stable")][:k].tolist()
    return tuple(
        ScoredLabel(
            label=labels.entries[index].label,
            wnid=labels.entries[index].wnid,
            index=index,
            score=float(probabilities[index]),
        )
        for index in order
    )


def word_answer(top: Sequence[ScoredLabel], labels: LabelSet, thresholds: Thresholds) -> Answer:
    """Say what the picture shows, committing no further than the evidence goes.

    Args:
        top: Best labels, best first; at least one.
        labels: The set they come from, for the articles.
        thresholds: From which score on to say ``sure`` and ``probably``.

    Example:
        >>> birds = LabelSet("birds", (LabelEntry("owl", None, "an"),))
        >>> word_answer([ScoredLabel("owl", None, 0, 0.97)], birds, Thresholds()).text
        'An owl (97 %).'
    """
    best = top[0]
    certainty = _certainty(best.score, thresholds)
    named = [
        f"{labels.entries[entry.index].phrase} ({_percent(entry.score)})"
        for entry in top[:_MAX_GUESSES]
        if entry is best or entry.score >= _WORTH_SAYING
    ]
    match certainty:
        case "sure":
            text = f"{_capitalised(named[0])}."
        case "probably":
            text = f"Probably {named[0]}."
        case "unsure":
            text = f"I am not sure. It might be {' or '.join(named)}."
    return Answer(text, best.label, best.wnid, best.score, certainty)


def _certainty(score: float, thresholds: Thresholds) -> Certainty:
    if score >= thresholds.sure:
        return "sure"
    return "probably" if score >= thresholds.probably else "unsure"


def _percent(score: float) -> str:
    # Nothing a model says is certain or impossible, so it never rounds to 100 % or 0 %.
    return f"{min(99, max(1, round(score * 100)))} %"


def _capitalised(phrase: str) -> str:
    return phrase[:1].upper() + phrase[1:]
