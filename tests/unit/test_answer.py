"""Logits become scores, scores become labels, labels become a sentence that claims no more."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from whatsit.answer import softmax, top_k, word_answer
from whatsit.errors import InvalidParameter
from whatsit.labels import LabelEntry, LabelSet
from whatsit.model_card import Thresholds
from whatsit.prediction import ScoredLabel

SPECIES = LabelSet(
    "species",
    (
        LabelEntry("beagle", "n02088364", "a"),
        LabelEntry("owl", None, "an"),
        LabelEntry("broccoli", None, ""),
        LabelEntry("wren", None, "a"),
        LabelEntry("hen", None, "a"),
    ),
)
THRESHOLDS = Thresholds(sure=0.8, probably=0.4)

some_logits = arrays(np.float32, (2, 5), elements=st.floats(min_value=-50, max_value=50, width=32))
some_probabilities = arrays(np.float32, 5, elements=st.floats(min_value=0, max_value=1, width=32))


def scored(*scores: float, first: int = 0) -> list[ScoredLabel]:
    """Labels of SPECIES in order, from `first` on, with these scores."""
    return [
        ScoredLabel(SPECIES.entries[index].label, SPECIES.entries[index].wnid, index, score)
        for index, score in enumerate(scores, start=first)
    ]


def sentence(*scores: float, first: int = 0) -> str:
    return word_answer(scored(*scores, first=first), SPECIES, THRESHOLDS).text


# Softmax


@given(some_logits)
def test_probabilities_lie_between_0_and_1_and_sum_to_1(logits):
    probabilities = softmax(logits)

    assert (probabilities >= 0).all()
    assert (probabilities <= 1).all()
    assert np.abs(probabilities.sum(axis=-1) - 1).max() < 1e-6
    assert probabilities.dtype == np.float32


@given(some_logits, st.floats(min_value=-100, max_value=100, width=32))
def test_adding_a_constant_to_logits_changes_nothing(logits, constant):
    # The sum itself is rounded to float32, by up to 1e-5 at this size.
    assert np.abs(softmax(logits + np.float32(constant)) - softmax(logits)).max() < 1e-4


@given(some_logits, st.floats(min_value=0.1, max_value=10), st.floats(min_value=1, max_value=10))
def test_a_higher_temperature_never_raises_the_best_score(logits, temperature, factor):
    cool, warm = softmax(logits, temperature), softmax(logits, temperature * factor)

    assert (warm.max(axis=-1) <= cool.max(axis=-1) + 1e-6).all()


def test_probabilities_known_by_hand():
    logits = np.log(np.array([[1, 2, 5]], dtype=np.float32))

    assert softmax(logits)[0].tolist() == pytest.approx([1 / 8, 2 / 8, 5 / 8])
    assert softmax(logits, temperature=0.5)[0].tolist() == pytest.approx([1 / 30, 4 / 30, 25 / 30])


def test_huge_logits_do_not_overflow():
    assert softmax(np.array([[3e38, -3e38]], dtype=np.float32)).tolist() == [[1.0, 0.0]]


# Top k


@given(some_probabilities)
def test_scores_never_rise_along_the_top(probabilities):
    scores = [entry.score for entry in top_k(probabilities, SPECIES, 5)]

    assert scores == sorted(scores, reverse=True)


@given(some_probabilities, st.integers(min_value=1, max_value=4))
def test_one_more_extends_the_top(probabilities, k):
    assert top_k(probabilities, SPECIES, k + 1)[:k] == top_k(probabilities, SPECIES, k)


def test_top_k_keeps_class_order_on_ties():
    tied = np.array([0.1, 0.3, 0.1, 0.3, 0.2], dtype=np.float32)

    assert [entry.index for entry in top_k(tied, SPECIES, 5)] == [1, 3, 4, 0, 2]


def test_an_entry_of_the_top_carries_everything_about_its_class():
    probabilities = np.array([0.75, 0.25, 0, 0, 0], dtype=np.float32)

    assert top_k(probabilities, SPECIES, 1) == (ScoredLabel("beagle", "n02088364", 0, 0.75),)


@pytest.mark.parametrize("k", [-1, 0, 6])
def test_a_k_outside_its_range_is_refused_with_the_range(k):
    with pytest.raises(InvalidParameter, match=f"{k}; it must lie between 1 and 5"):
        top_k(np.full(5, 0.2, dtype=np.float32), SPECIES, k)


# The sentence


@pytest.mark.parametrize(
    ("first", "score", "text"),
    [
        (0, 0.94, "A beagle (94 %)."),
        (1, 0.94, "An owl (94 %)."),
        (2, 0.94, "Broccoli (94 %)."),
        (0, 0.5, "Probably a beagle (50 %)."),
        (1, 0.5, "Probably an owl (50 %)."),
        (2, 0.5, "Probably broccoli (50 %)."),
        (0, 0.2, "I am not sure. It might be a beagle (20 %)."),
        (1, 0.2, "I am not sure. It might be an owl (20 %)."),
        (2, 0.2, "I am not sure. It might be broccoli (20 %)."),
    ],
)
def test_the_sentence_has_the_article_of_its_label(first, score, text):
    assert sentence(score, first=first) == text


@pytest.mark.parametrize(
    ("scores", "text"),
    [
        ((0.3, 0.2, 0.1), "a beagle (30 %) or an owl (20 %) or broccoli (10 %)."),
        ((0.3, 0.2, 0.1, 0.09), "a beagle (30 %) or an owl (20 %) or broccoli (10 %)."),
        ((0.3, 0.05, 0.0499), "a beagle (30 %) or an owl (5 %)."),
        ((0.04, 0.03, 0.02, 0.01), "a beagle (4 %)."),
    ],
    ids=["three", "three-at-most", "none-below-5-percent", "but-the-best-always"],
)
def test_an_unsure_sentence_lists_what_it_might_be(scores, text):
    assert sentence(*scores) == f"I am not sure. It might be {text}"


@pytest.mark.parametrize(
    ("score", "certainty"),
    [
        (1.0, "sure"),
        (0.8, "sure"),
        (np.nextafter(0.8, 0), "probably"),
        (0.4, "probably"),
        (np.nextafter(0.4, 0), "unsure"),
        (0.0, "unsure"),
    ],
)
def test_a_threshold_itself_belongs_to_the_higher_certainty(score, certainty):
    assert word_answer(scored(score), SPECIES, THRESHOLDS).certainty == certainty


@given(st.floats(min_value=0, max_value=1))
def test_a_sentence_never_says_100_or_0_percent(score):
    (percent,) = re.findall(r"(\d+) %", sentence(score))

    assert 1 <= int(percent) <= 99
    assert abs(int(percent) / 100 - score) <= 0.011


def test_an_answer_carries_the_label_its_sentence_puts_first():
    answer = word_answer(scored(0.9, 0.1), SPECIES, THRESHOLDS)

    assert (answer.label, answer.wnid, answer.score) == ("beagle", "n02088364", 0.9)


def test_only_the_first_letter_of_a_sentence_is_raised():
    labels = LabelSet("dogs", (LabelEntry("Great Dane", None, ""),))
    top = [ScoredLabel("Great Dane", None, 0, 0.9)]

    assert word_answer(top, labels, THRESHOLDS).text == "Great Dane (90 %)."
