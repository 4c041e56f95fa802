"""Logits -> scores -> labels -> a sentence."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from whatsit.errors import InvalidParameter
from whatsit.labels.label_set import LabelEntry, LabelSet
from whatsit.model_card import SetRule, Thresholds
from whatsit.prediction import Answer, Certainty, ScoredLabel

Logits = npt.NDArray[np.float32]
Probabilities = npt.NDArray[np.float32]


_MAX_GUESSES = 3
_WORTH_SAYING = 0.05
"""A guess below this score is left out of the sentence."""


def to_logits(outputs: Logits, activation: Literal["none", "softmax"]) -> Logits:
    """Undo the activation that a model ends in, shape (N, num_classes) both ways."""
    if activation == "none":
        return outputs
    logits: Logits = np.log(np.maximum(outputs, np.float32(1e-12)))
    return logits


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


def state_level(path_scores: Sequence[float], thresholds: Thresholds) -> tuple[int, Certainty]:
    """Choose how specific an answer is: the most specific level that keeps the promise.

    After Deng, Krause, Berg and Fei-Fei, Hedging Your Bets: Optimizing Accuracy-Specificity
    Trade-offs in Large Scale Visual Recognition, CVPR 2012: a group scores what its classes
    score together, and a threshold on that score trades detail for accuracy.

    Args:
        path_scores: Scores from the broadest group down to a class; they never rise.
        thresholds: What a level must score to be stated.

    Returns:
        How many levels of the path are stated, 0 if none can be, and how certain that is.

    Example:
        >>> state_level([0.98, 0.96, 0.48], Thresholds(sure=0.9, probably=0.75))
        (2, 'sure')
    """
    if path_scores[0] >= thresholds.sure:
        return sum(score >= thresholds.sure for score in path_scores), "sure"
    if path_scores[0] >= thresholds.probably:
        return sum(score >= thresholds.probably for score in path_scores), "probably"
    return 0, "unsure"


def select_set(top: tuple[ScoredLabel, ...], rule: SetRule | None) -> tuple[ScoredLabel, ...]:
    """Pick the labels of which one is right as often as the rule promises.

    Thresholded scores ("LAC"): Sadinle, Lei and Wasserman, Least Ambiguous Set-Valued
    Classifiers with Bounded Error Levels, JASA 2019. The best label is always in the set.

    Args:
        top: The best labels, best first; at least one.
        rule: The model's own; None if it promises nothing, and the set is empty.
    """
    if rule is None:
        return ()
    return (top[0], *(entry for entry in top[1:] if entry.score >= rule.least_score))


def word_answer(
    scores: Probabilities,
    top: tuple[ScoredLabel, ...],
    labels: LabelSet,
    thresholds: Thresholds,
    set_rule: SetRule | None = None,
    *,
    recognised: bool = True,
) -> Answer:
    """Say what the picture shows, committing no further than the evidence goes.

    Args:
        scores: One image, shape (num_classes,), summing to 1.
        top: The best of them, best first; at least one.
        labels: The set they come from.
        thresholds: From which score on to say ``sure`` and ``probably``.
        set_rule: See `select_set`.
        recognised: False if the picture looks unlike anything the model knows; the answer then
            says so, and only names what comes closest.

    Example:
        >>> birds = LabelSet("birds", (LabelEntry("owl", None, "an"), LabelEntry("wren")))
        >>> scores = np.array([0.97, 0.03], dtype=np.float32)
        >>> word_answer(scores, top_k(scores, birds, k=2), birds, Thresholds()).text
        'An owl (97 %).'
    """
    taxonomy = labels.taxonomy
    node_scores = taxonomy.score_nodes(scores)
    path = taxonomy.descend(node_scores)
    path_scores = node_scores[list(path)].tolist()
    levels, certainty = state_level(path_scores, thresholds)
    if not recognised:
        levels, certainty = 0, "unsure"
    if levels:
        stated, score = path[:levels], path_scores[levels - 1]
        likely = sum(value >= thresholds.probably for value in path_scores)
        text = _commit(labels.node(stated[-1]), score, certainty, is_group=levels < len(path))
        if certainty == "sure" and likely > levels:
            deeper = path[likely - 1]
            text += f"; probably {_named(labels.node(deeper), path_scores[likely - 1])}"
            if guesses := _guesses(top, labels, within=deeper):
                text += f", perhaps {_listed(guesses, labels)}"
        elif guesses := _guesses(top, labels, within=stated[-1]):
            together = sum(guess.score for guess in guesses)
            is_likely = certainty == "sure" and together >= thresholds.probably
            text += f"; {'probably' if is_likely else 'perhaps'} {_listed(guesses, labels)}"
        text += "."
    else:
        stated, score = taxonomy.path_to(taxonomy.node_of(top[0].index)), top[0].score
        guesses = _guesses(top, labels)
        text = (
            f"I am not sure. It might be {_listed(guesses, labels)}."
            if recognised
            else f"I do not recognise this. What comes closest is {_listed(guesses[:1], labels)}."
        )
    entry = labels.node(stated[-1])
    is_group = stated[-1] < taxonomy.num_groups
    return Answer(
        text,
        entry.label,
        entry.wnid,
        # The very number that `top` has, not one that was rounded for adding up.
        score if is_group else float(scores[stated[-1] - taxonomy.num_groups]),
        certainty,
        "group" if is_group else "class",
        tuple(labels.node(node).label for node in stated),
        select_set(top, set_rule) if recognised else (),
        recognised,
    )


def _commit(entry: LabelEntry, score: float, certainty: Certainty, *, is_group: bool) -> str:
    if certainty == "probably":
        return f"Probably {_named(entry, score)}"
    if is_group:
        return f"{_capitalised(entry.phrase)}, almost certainly ({_percent(score)})"
    return _capitalised(_named(entry, score))


def _guesses(
    top: Sequence[ScoredLabel], labels: LabelSet, *, within: int | None = None
) -> list[ScoredLabel]:
    """The classes worth naming: the best ones, or those below the group `within`."""
    taxonomy = labels.taxonomy
    if within is None:
        worthy = [entry for entry in top if entry is top[0] or entry.score >= _WORTH_SAYING]
    elif within >= taxonomy.num_groups:
        worthy = []
    else:
        worthy = [
            entry
            for entry in top
            if entry.score >= _WORTH_SAYING and taxonomy.holds(within, entry.index)
        ]
    return worthy[:_MAX_GUESSES]


def _listed(guesses: Sequence[ScoredLabel], labels: LabelSet) -> str:
    return " or ".join(_named(labels.entries[guess.index], guess.score) for guess in guesses)


def _named(entry: LabelEntry, score: float) -> str:
    return f"{entry.phrase} ({_percent(score)})"


def _percent(score: float) -> str:
    # Nothing a model says is certain or impossible, so it never rounds to 100 % or 0 %.
    return f"{min(99, max(1, round(score * 100)))} %"


def _capitalised(phrase: str) -> str:
    return phrase[:1].upper() + phrase[1:]
