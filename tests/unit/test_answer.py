"""Logits become scores, scores become labels, labels become a sentence that claims no more."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from whatsit.answer import select_set, softmax, state_level, top_k, word_answer
from whatsit.errors import InvalidParameter
from whatsit.labels.label_set import LabelEntry, LabelSet
from whatsit.labels.load import load_labels
from whatsit.model_card import SetRule, Thresholds
from whatsit.prediction import Answer, ScoredLabel

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


def answer(*scores: float, first: int = 0, labels: LabelSet = SPECIES) -> Answer:
    """What is said when the labels from `first` on have these scores, and all others 0."""
    probabilities = np.zeros(len(labels), dtype=np.float32)
    probabilities[first : first + len(scores)] = scores
    return word_answer(probabilities, top_k(probabilities, labels, len(labels)), labels, THRESHOLDS)


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


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
def test_top_k_keeps_class_order_on_ties(k):
    tied = np.array([0.1, 0.3, 0.1, 0.3, 0.2], dtype=np.float32)

    assert [entry.index for entry in top_k(tied, SPECIES, k)] == [1, 3, 4, 0, 2][:k]


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
    assert answer(score, first=first).text == text


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
    assert answer(*scores).text == f"I am not sure. It might be {text}"


@pytest.mark.parametrize(
    ("score", "certainty"),
    [
        (1.0, "sure"),
        (0.8, "sure"),
        (0.7999999, "probably"),
        (0.4, "probably"),
        (0.3999999, "unsure"),
        (0.0, "unsure"),
    ],
)
def test_a_threshold_itself_belongs_to_the_higher_certainty(score, certainty):
    assert answer(score).certainty == certainty


@given(st.floats(min_value=0, max_value=1))
def test_a_sentence_never_says_100_or_0_percent(score):
    (percent,) = re.findall(r"(\d+) %", answer(score).text)

    assert 1 <= int(percent) <= 99
    assert abs(int(percent) / 100 - score) <= 0.011


def test_an_answer_carries_the_label_its_sentence_puts_first():
    said = answer(0.875, 0.125)

    assert (said.label, said.wnid, said.score) == ("beagle", "n02088364", 0.875)
    assert (said.level, said.path) == ("class", ("beagle",))


def test_only_the_first_letter_of_a_sentence_is_raised():
    labels = LabelSet("dogs", (LabelEntry("Great Dane", None, ""),))

    assert answer(0.9, labels=labels).text == "Great Dane (90 %)."


# The level of detail

# animal: (dog: beagle, basset, pug), owl; teapot
PETS = LabelSet(
    "pets",
    tuple(
        LabelEntry(name, None, article)
        for name, article in [
            ("beagle", "a"),
            ("basset", "a"),
            ("pug", "a"),
            ("owl", "an"),
            ("teapot", "a"),
        ]
    ),
    (LabelEntry("animal", "n1", "an"), LabelEntry("dog", "n2", "a")),
    (-1, 0, 1, 1, 1, 0, -1),
)
FITTED = Thresholds(sure=0.9, probably=0.75)
IMAGENET = load_labels("imagenet-1k", Path("no-such-folder"))


def pet(*scores: float) -> Answer:
    """What is said of beagle, basset, pug, owl and teapot with these scores."""
    probabilities = np.array(scores, dtype=np.float32)
    return word_answer(probabilities, top_k(probabilities, PETS, 5), PETS, FITTED)


@pytest.mark.parametrize(
    ("scores", "text", "path"),
    [
        ((0.93, 0.03, 0.01, 0.01, 0.02), "A beagle (93 %).", ("animal", "dog", "beagle")),
        (
            (0.48, 0.31, 0.17, 0.02, 0.02),
            "A dog, almost certainly (96 %); "
            "probably a beagle (48 %) or a basset (31 %) or a pug (17 %).",
            ("animal", "dog"),
        ),
        (
            (0.85, 0.11, 0.0, 0.02, 0.02),
            "A dog, almost certainly (96 %); probably a beagle (85 %).",
            ("animal", "dog"),
        ),
        (
            (0.46, 0.36, 0.03, 0.12, 0.03),
            "An animal, almost certainly (97 %); probably a dog (85 %), "
            "perhaps a beagle (46 %) or a basset (36 %).",
            ("animal",),
        ),
        (
            (0.30, 0.22, 0.02, 0.41, 0.05),
            "An animal, almost certainly (95 %); "
            "probably an owl (41 %) or a beagle (30 %) or a basset (22 %).",
            ("animal",),
        ),
        (
            (0.50, 0.28, 0.03, 0.01, 0.18),
            "Probably a dog (81 %); perhaps a beagle (50 %) or a basset (28 %).",
            ("animal", "dog"),
        ),
        ((0.03, 0.02, 0.0, 0.15, 0.8), "Probably a teapot (80 %).", ("teapot",)),
        (
            (0.4, 0.0, 0.0, 0.2, 0.4),
            "I am not sure. It might be a beagle (40 %) or a teapot (40 %) or an owl (20 %).",
            ("animal", "dog", "beagle"),
        ),
    ],
)
def test_the_sentence_is_as_specific_as_the_evidence(scores, text, path):
    said = pet(*scores)

    assert (said.text, said.path, said.label) == (text, path, path[-1])


def test_a_stated_group_is_what_the_answer_is_about():
    said = pet(0.48, 0.31, 0.17, 0.02, 0.02)

    assert (said.label, said.wnid, said.level, said.certainty) == ("dog", "n2", "group", "sure")
    assert said.score == pytest.approx(0.96)


def test_classes_that_score_little_together_are_not_called_probable():
    many = LabelSet(
        "many",
        tuple(LabelEntry(f"breed {index}", None, "a") for index in range(10)),
        (LabelEntry("dog", None, "a"), LabelEntry("thing", None, "a")),
        (-1, -1, *[0] * 9, 1),
    )
    scores = np.array([0.15, *[0.1] * 8, 0.05], dtype=np.float32)
    said = word_answer(scores, top_k(scores, many, 10), many, FITTED)

    assert said.text == (
        "A dog, almost certainly (95 %); "
        "perhaps a breed 0 (15 %) or a breed 1 (10 %) or a breed 2 (10 %)."
    )


some_imagenet_scores = st.builds(
    lambda seed, sharpness: softmax(
        (np.random.default_rng(seed).normal(size=(1, 1000)) * sharpness).astype(np.float32)
    )[0],
    st.integers(0, 2**32),
    st.floats(0, 12),
)
LADDER = [Thresholds(sure=sure, probably=sure - 0.1) for sure in np.linspace(0.62, 0.99, 12)]


def stated_levels(scores: np.ndarray, thresholds: Thresholds) -> int:
    said = word_answer(scores, top_k(scores, IMAGENET, 20), IMAGENET, thresholds)
    return 0 if said.certainty == "unsure" else len(said.path)


@given(some_imagenet_scores)
def test_a_stricter_promise_never_makes_a_sure_answer_more_specific(scores):
    taxonomy = IMAGENET.taxonomy
    node_scores = taxonomy.score_nodes(scores)
    along = node_scores[list(taxonomy.descend(node_scores))].tolist()
    levels = [
        count if certainty == "sure" else 0
        for count, certainty in (state_level(along, thresholds) for thresholds in LADDER)
    ]

    assert levels == sorted(levels, reverse=True)


@given(some_imagenet_scores, st.floats(0, 1), st.floats(0, 1))
def test_less_evidence_never_makes_what_is_sure_more_specific(scores, one, other):
    only_sure = Thresholds(sure=0.9, probably=0.9)
    weak, strong = (
        (share * scores + (1 - share) / 1000).astype(np.float32) for share in sorted((one, other))
    )

    assert stated_levels(weak, only_sure) <= stated_levels(strong, only_sure)


# The parts of the sentence

_NAMED = re.compile(
    r"(?P<before>probably|perhaps|might be|closest is|or)? ?\ban? (?P<name>[a-z]+)"
    r"(?P<after>, almost certainly)? \((?P<percent>\d+) %\)",
    re.IGNORECASE,
)
_HEDGES = {"probably": "probable", "perhaps": "possible", "might be": "possible"}


def read_sentence(text: str) -> list[tuple[str, str, int]]:
    """What a person reads: how strongly, what, and with which percentage."""
    found: list[tuple[str, str, int]] = []
    for match in _NAMED.finditer(text):
        before = (match["before"] or "").lower()
        hedge = "almost_certain" if match["after"] else _HEDGES.get(before, "certain")
        hedge = {"or": found[-1][0] if found else "", "closest is": "closest"}.get(before, hedge)
        found.append((hedge, match["name"], int(match["percent"])))
    return found


def in_percent(score: float) -> int:
    return min(99, max(1, round(round(score, 6) * 100)))


some_pets = arrays(np.float32, 5, elements=st.floats(0, 1, width=32)).map(
    lambda weights: (weights + np.float32(1e-6)) / (weights + np.float32(1e-6)).sum()
)
some_thresholds = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(
    lambda two: Thresholds(sure=max(two), probably=min(two))
)


@given(some_pets, some_thresholds, st.booleans())
def test_the_parts_are_what_the_sentence_says(scores, thresholds, recognised):
    top = top_k(scores, PETS, 5)
    said = word_answer(scores, top, PETS, thresholds, recognised=recognised)

    parts = [(part.hedge, part.label, in_percent(part.score)) for part in said.parts]
    assert read_sentence(said.text) == parts
    first = said.parts[0]
    assert [part.role for part in said.parts[1:]] == ["guess"] * (len(parts) - 1)
    assert (first.role == "stated") == (said.certainty != "unsure")
    assert (first.label, first.wnid, first.level, first.score) == (
        *(said.label, said.wnid, said.level, said.score),
    )
    assert {"certain", "almost_certain"} & {first.hedge} or said.certainty != "sure"


@pytest.mark.parametrize(
    ("scores", "parts"),
    [
        ((0.93, 0.03, 0.01, 0.01, 0.02), ["stated certain class beagle"]),
        (
            (0.48, 0.31, 0.17, 0.02, 0.02),
            [
                "stated almost_certain group dog",
                "guess probable class beagle",
                "guess probable class basset",
                "guess probable class pug",
            ],
        ),
        (
            (0.46, 0.36, 0.03, 0.12, 0.03),
            [
                "stated almost_certain group animal",
                "guess probable group dog",
                "guess possible class beagle",
                "guess possible class basset",
            ],
        ),
        (
            (0.50, 0.28, 0.03, 0.01, 0.18),
            [
                "stated probable group dog",
                "guess possible class beagle",
                "guess possible class basset",
            ],
        ),
        ((0.03, 0.02, 0.0, 0.15, 0.8), ["stated probable class teapot"]),
        (
            (0.4, 0.0, 0.0, 0.2, 0.4),
            [
                "guess possible class beagle",
                "guess possible class teapot",
                "guess possible class owl",
            ],
        ),
    ],
)
def test_the_parts_carry_role_hedge_and_level(scores, parts):
    said = pet(*scores)

    assert [f"{each.role} {each.hedge} {each.level} {each.label}" for each in said.parts] == parts


def test_an_unrecognised_picture_has_one_part_that_is_only_the_closest():
    scores = np.array([0.93, 0.03, 0.01, 0.01, 0.02], dtype=np.float32)
    said = word_answer(scores, top_k(scores, PETS, 5), PETS, FITTED, recognised=False)

    assert [(part.role, part.hedge, part.label) for part in said.parts] == [
        ("guess", "closest", "beagle")
    ]


# The set


@given(some_probabilities, st.floats(0.001, 1), st.floats(0.001, 1))
def test_a_lower_least_score_only_adds_to_the_set(probabilities, one, other):
    top = top_k(probabilities, SPECIES, 5)
    strict, lax = (
        select_set(top, SetRule(least_score=least)) for least in sorted((one, other), reverse=True)
    )

    assert lax[: len(strict)] == strict
    assert strict[0] is top[0]


def test_the_set_starts_with_the_best_and_ends_at_the_least_score():
    top = top_k(np.array([0.5, 0.25, 0.125, 0.0625, 0.0625], dtype=np.float32), SPECIES, 5)

    assert select_set(top, SetRule(least_score=0.125)) == top[:3]
    assert select_set(top, SetRule(least_score=0.9)) == top[:1]


def test_a_model_that_promises_nothing_gives_no_set():
    top = top_k(np.array([0.5, 0.25, 0.125, 0.0625, 0.0625], dtype=np.float32), SPECIES, 5)

    assert select_set(top, None) == ()
