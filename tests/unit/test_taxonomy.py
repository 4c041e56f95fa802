"""Probability adds up along the tree, and no node is ever less likely than what it holds."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whatsit.labels.load import load_labels
from whatsit.labels.taxonomy import Taxonomy

# Groups 0..2, classes 3..7: (animal: (dog: beagle, basset), owl), broccoli, (vehicle: car)
PARENTS = (-1, 0, -1, 1, 1, 0, -1, 2)
TREE = Taxonomy(5, PARENTS)
IMAGENET = load_labels("imagenet-1k", Path("no-such-folder")).taxonomy


def some_scores(classes: int) -> st.SearchStrategy[np.ndarray]:
    """Probabilities from flat to certain, as float32 rounds them."""

    def draw(seed: int, sharpness: float) -> np.ndarray:
        weights = np.exp(np.random.default_rng(seed).normal(size=classes) * sharpness)
        probabilities: np.ndarray = (weights / weights.sum()).astype(np.float32)
        return probabilities

    return st.builds(draw, st.integers(0, 2**32), st.floats(0, 20))


def test_a_group_scores_what_its_classes_score_together():
    scores = TREE.score_nodes(np.array([0.25, 0.125, 0.5, 0.0625, 0.0625], dtype=np.float32))

    assert scores.tolist() == [0.875, 0.375, 0.0625, 0.25, 0.125, 0.5, 0.0625, 0.0625]


def test_the_path_follows_the_best_group_even_where_another_class_scores_more():
    scores = TREE.score_nodes(np.array([0.3, 0.3, 0.0, 0.4, 0.0], dtype=np.float32))

    assert TREE.descend(scores) == (0, 1, 3)


@given(some_scores(1000))
def test_no_member_scores_more_than_its_group(probabilities):
    scores = IMAGENET.score_nodes(probabilities)
    parents = np.array(IMAGENET.parents)
    below = parents >= 0

    assert (scores[below] <= scores[parents[below]]).all()
    assert (probabilities <= scores[IMAGENET.num_groups :]).all()
    assert (scores <= 1).all()


@given(some_scores(1000))
def test_the_tops_share_all_probability(probabilities):
    scores = IMAGENET.score_nodes(probabilities)

    assert scores[np.array(IMAGENET.parents) < 0].sum() == pytest.approx(1, abs=1e-5)


@given(some_scores(1000))
def test_scores_never_rise_on_the_way_down(probabilities):
    scores = IMAGENET.score_nodes(probabilities)
    path = IMAGENET.descend(scores)
    along = [scores[node] for node in path]

    assert along == sorted(along, reverse=True)
    assert IMAGENET.path_to(path[-1]) == path
    assert path[-1] >= IMAGENET.num_groups


def test_every_class_hangs_below_the_groups_of_its_path_and_no_other():
    for node in range(IMAGENET.num_groups):
        holds = sum(IMAGENET.holds(node, index) for index in range(1000))
        assert holds == IMAGENET.size_of(node) > 0
    for index in range(1000):
        path = IMAGENET.path_to(IMAGENET.node_of(index))
        assert all(IMAGENET.holds(node, index) for node in path)


def test_without_groups_every_class_is_a_top():
    flat = Taxonomy(3)
    scores = flat.score_nodes(np.array([0.25, 0.5, 0.25], dtype=np.float32))

    assert scores.tolist() == [0.25, 0.5, 0.25]
    assert flat.descend(scores) == (1,)
    assert flat.path_to(2) == (2,)


@pytest.mark.parametrize(
    ("num_classes", "parents", "sentence"),
    [
        (1, (-1, -1), "is empty"),
        (1, (0, 0), "under itself"),
        (2, (1, 0, 0, 1), "under itself"),
        (2, (-1, 1, 0), "not a group"),
        (2, (-1, 0, -2), "not a group"),
        (3, (-1, -1), "not a group"),
    ],
)
def test_a_broken_tree_is_refused(num_classes, parents, sentence):
    with pytest.raises(ValueError, match=sentence):
        Taxonomy(num_classes, parents)
