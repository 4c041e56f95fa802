"""Logits -> scores -> labels -> a sentence."""

from collections.abc import Sequence
from itertools import groupby
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from whatsit.errors import InvalidParameter
from whatsit.labels.label_set import LabelSet
from whatsit.model_card import SetRule, Thresholds
from whatsit.prediction import Answer, AnswerPart, Certainty, Hedge, Level, Role, ScoredLabel

Logits = npt.NDArray[np.float32]
Probabilities = npt.NDArray[np.float32]


_MAX_GUESSES = 3
_WORTH_SAYING = 0.05
"""A guess below this score is left out of the sentence."""
_ADVERBS: dict[Hedge, str] = {"probable": "probably ", "possible": "perhaps "}


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
        thresholds: The scores that a level must reach to be stated.

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
    # The very numbers that `top` has, not those that were rounded for adding up.
    node_scores[taxonomy.num_groups :] = scores
    path = taxonomy.descend(node_scores)
    path_scores = node_scores[list(path)].tolist()
    levels, certainty = state_level(path_scores, thresholds)
    if not recognised:
        levels, certainty = 0, "unsure"
    if levels:
        stated = path[:levels]
        claims = _claim(path, path_scores, levels, certainty, top, labels, thresholds)
    else:
        stated = taxonomy.path_to(taxonomy.node_of(top[0].index))
        guesses = _guesses(top, labels)
        claims = (
            _offer("possible", guesses, labels)
            if recognised
            else _offer("closest", guesses[:1], labels)
        )
    entry = labels.node(stated[-1])
    return Answer(
        _sentence(claims, labels),
        entry.label,
        entry.wnid,
        float(node_scores[stated[-1]]),
        certainty,
        _level(stated[-1], labels),
        tuple(labels.node(node).label for node in stated),
        select_set(top, set_rule) if recognised else (),
        recognised,
        tuple(_describe(claim, labels) for claim in claims),
    )


class _Claim(NamedTuple):
    """An `AnswerPart` that still knows its node of the taxonomy."""

    role: Role
    hedge: Hedge
    node: int
    score: float


def _claim(
    path: Sequence[int],
    path_scores: Sequence[float],
    levels: int,
    certainty: Certainty,
    top: Sequence[ScoredLabel],
    labels: LabelSet,
    thresholds: Thresholds,
) -> list[_Claim]:
    """The level that is stated, then what is likely and what is possible below it."""
    is_sure, stated = certainty == "sure", path[levels - 1]
    hedge: Hedge = "probable"
    if is_sure:
        hedge = "certain" if _level(stated, labels) == "class" else "almost_certain"
    claims = [_Claim("stated", hedge, stated, path_scores[levels - 1])]
    likely = sum(score >= thresholds.probably for score in path_scores)
    if is_sure and likely > levels:
        deeper = path[likely - 1]
        claims.append(_Claim("guess", "probable", deeper, path_scores[likely - 1]))
        return claims + _offer("possible", _guesses(top, labels, within=deeper), labels)
    guesses = _guesses(top, labels, within=stated)
    together = sum(guess.score for guess in guesses)
    is_likely = is_sure and together >= thresholds.probably
    return claims + _offer("probable" if is_likely else "possible", guesses, labels)


def _offer(hedge: Hedge, guesses: Sequence[ScoredLabel], labels: LabelSet) -> list[_Claim]:
    node_of = labels.taxonomy.node_of
    return [_Claim("guess", hedge, node_of(guess.index), guess.score) for guess in guesses]


def _describe(claim: _Claim, labels: LabelSet) -> AnswerPart:
    entry, level = labels.node(claim.node), _level(claim.node, labels)
    return AnswerPart(claim.role, claim.hedge, entry.label, entry.wnid, level, claim.score)


def _level(node: int, labels: LabelSet) -> Level:
    return "group" if node < labels.taxonomy.num_groups else "class"


def _sentence(claims: Sequence[_Claim], labels: LabelSet) -> str:
    clauses = [
        (hedge, " or ".join(_named(claim, labels) for claim in alternatives))
        for (_, hedge), alternatives in groupby(claims, key=lambda claim: claim[:2])
    ]
    first, listed = clauses[0]
    if first == "closest":
        return f"I do not recognise this. What comes closest is {listed}."
    if first == "possible":
        return f"I am not sure. It might be {listed}."
    lead, *further = (_ADVERBS.get(hedge, "") + listed for hedge, listed in clauses)
    below = f"; {', '.join(further)}" if further else ""
    return f"{_capitalised(lead)}{below}."


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


def _named(claim: _Claim, labels: LabelSet) -> str:
    hedge = ", almost certainly" if claim.hedge == "almost_certain" else ""
    return f"{labels.node(claim.node).phrase}{hedge} ({_percent(claim.score)})"


def _percent(score: float) -> str:
    # Nothing a model says is certain or impossible, so it never rounds to 100 % or 0 %.
    # Documents carry six decimals of a score; anyone who rounds those finds the same percentage.
    return f"{min(99, max(1, round(round(score, 6) * 100)))} %"


def _capitalised(phrase: str) -> str:
    return phrase[:1].upper() + phrase[1:]
