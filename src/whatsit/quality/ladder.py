"""The levels that an answer may state: from the broadest group of a picture down to a class."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from whatsit.answer import Probabilities
from whatsit.labels.taxonomy import Taxonomy
from whatsit.quality.measurements import Flags, Floats, Indices


@dataclass(frozen=True)
class Ladder:
    """For each picture the levels from the broadest group down to a class, side by side.

    Arrays have the shape (pictures, length of the longest path). Where a path is shorter, scores
    are -1.

    Attributes:
        scores: Of the level: the sum over its classes.
        right: True where the level holds the right class.
        is_class: True where the level is a class rather than a group.
        sizes: How many classes the level holds.
    """

    scores: Floats
    right: Flags
    is_class: Flags
    sizes: Floats

    @classmethod
    def climb(cls, scores: Probabilities, truth: Indices, taxonomy: Taxonomy) -> Self:
        """Look up each picture's way down the tree of the classes.

        Args:
            scores: Shape (pictures, num_classes); rows sum to 1.
            truth: The right class of each picture.
            taxonomy: The tree.
        """
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
