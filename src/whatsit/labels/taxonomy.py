"""The tree that a label set's classes hang in, and how probability adds up along it."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

NodeScores = npt.NDArray[np.float64]

_STEPS = 2.0**40
"""Probabilities are summed in steps of 2**-40. Sums of whole numbers are exact, so a group never
scores less than one of its members, whatever the order of adding."""


class Taxonomy:
    """A forest over classes; the tops hang under a root that is never stated.

    Nodes are numbered: first the groups, then the classes in output order. Without groups every
    class is a top.

    Args:
        num_classes: How many classes there are.
        parents: For each node the group it hangs under, -1 for the tops; empty for no groups.

    Raises:
        ValueError: A group is empty, or hangs under itself or under something that is not a group.

    Example:
        >>> animals = Taxonomy(3, (-1, 0, 0, -1))  # a group of two classes, and a class alone
        >>> scores = animals.score_nodes(np.array([0.5, 0.25, 0.25], dtype=np.float32))
        >>> scores.tolist()
        [0.75, 0.5, 0.25, 0.25]
        >>> animals.descend(scores)
        (0, 1)
    """

    def __init__(self, num_classes: int, parents: Sequence[int] = ()) -> None:
        parents = tuple(parents) or (-1,) * num_classes
        self.num_groups = len(parents) - num_classes
        if self.num_groups < 0 or any(not -1 <= up < self.num_groups for up in parents):
            raise ValueError("A node of the tree hangs under something that is not a group.")
        self.parents = parents
        members: list[list[int]] = [[] for _ in range(self.num_groups)]
        tops: list[int] = []
        for node, up in enumerate(parents):
            (members[up] if up >= 0 else tops).append(node)
        if not all(members):
            raise ValueError("A group of the tree is empty.")
        self._tops = np.array(tops)
        self._members = [np.array(nodes) for nodes in members]
        self._lay_out(tops, members)

    def _lay_out(self, tops: list[int], members: list[list[int]]) -> None:
        # Classes in depth-first order: each node's classes then are one run, first..end.
        first = np.zeros(len(self.parents), dtype=np.intp)
        end = np.zeros(len(self.parents), dtype=np.intp)
        classes: list[int] = []
        stack = [(node, False) for node in reversed(tops)]
        while stack:
            node, is_done = stack.pop()
            if is_done:
                end[node] = len(classes)
                continue
            first[node] = len(classes)
            stack.append((node, True))
            if node < self.num_groups:
                stack += [(member, False) for member in reversed(members[node])]
            else:
                classes.append(node - self.num_groups)
        if len(classes) != self.num_classes:
            raise ValueError("A group of the tree hangs under itself.")
        self._order = np.array(classes)
        self._position = np.argsort(self._order)
        self._first, self._end = first, end

    @property
    def num_classes(self) -> int:
        """How many classes the tree has."""
        return len(self.parents) - self.num_groups

    def score_nodes(self, probabilities: npt.NDArray[np.floating]) -> NodeScores:
        """Give every node the probability of its classes.

        Args:
            probabilities: One image, shape (num_classes,), summing to 1.

        Returns:
            One score for each node, groups first. No member scores more than its group.
        """
        sums = np.zeros(self.num_classes + 1)
        np.cumsum(np.ceil(probabilities[self._order] * _STEPS), out=sums[1:])
        scores: NodeScores = np.minimum((sums[self._end] - sums[self._first]) / _STEPS, 1.0)
        return scores

    def descend(self, scores: NodeScores) -> tuple[int, ...]:
        """Follow the best-scoring member from the top down to a class.

        Returns:
            The nodes on the way. Their scores never rise, so the nodes above any threshold come
            first. Among equals the lowest number is taken.
        """
        path = []
        choice = self._tops
        while True:
            node = int(choice[scores[choice].argmax()])
            path.append(node)
            if node >= self.num_groups:
                return tuple(path)
            choice = self._members[node]

    def path_to(self, node: int) -> tuple[int, ...]:
        """The nodes from the top down to `node`, itself included."""
        path = [node]
        while (up := self.parents[path[-1]]) >= 0:
            path.append(up)
        return tuple(reversed(path))

    def node_of(self, class_index: int) -> int:
        """The node of a class."""
        return self.num_groups + class_index

    def holds(self, node: int, class_index: int) -> bool:
        """True if a class is a node, or hangs below it."""
        return bool(self._first[node] <= self._position[class_index] < self._end[node])

    def size_of(self, node: int) -> int:
        """How many classes a node holds."""
        return int(self._end[node] - self._first[node])
