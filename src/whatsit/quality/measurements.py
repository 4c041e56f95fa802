"""The output of a model for labelled pictures, and the parameters fitted on it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from whatsit.answer import Logits, Probabilities

Indices = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Measurements:
    """The output of a model for labelled pictures.

    Attributes:
        logits: Shape (pictures, num_classes).
        class_indices: The right class of each picture.
        statistics: `whatsit.familiarity.describe_pixels` of each, shape (pictures, 6); None where
            the pictures themselves were not there.
    """

    logits: Logits
    class_indices: Indices
    statistics: Floats | None = None

    def __len__(self) -> int:
        return len(self.class_indices)

    def pick(self, rows: Indices) -> "Measurements":
        """Some of the pictures."""
        statistics = None if self.statistics is None else self.statistics[rows]
        return Measurements(self.logits[rows], self.class_indices[rows], statistics)

    def halves(self, seed: int) -> tuple["Measurements", "Measurements"]:
        """Two random halves; the second has the odd picture."""
        order = np.random.default_rng(seed).permutation(len(self))
        return self.pick(order[: len(self) // 2]), self.pick(order[len(self) // 2 :])


@dataclass(frozen=True)
class Parameters:
    """All that is fitted.

    Attributes:
        temperature: Divides the logits.
        sure: From this score on an answer is ``sure``.
        probably: From this score on an answer is ``probably``.
        set_least_score: From this score on a label is in the set; None where no set of 20 labels
            keeps the promise.
        sure_passed: True if `sure` passed its test. If not, there were too few pictures or too
            many errors, and it is only a high score.
    """

    temperature: float
    sure: float
    probably: float
    set_least_score: float | None
    sure_passed: bool


def true_scores_and_ranks(scores: Probabilities, truth: Indices) -> tuple[Floats, Indices]:
    """The score of each picture's right class, and its 0-based rank among all labels."""
    true_scores = scores[np.arange(len(truth)), truth][:, np.newaxis]
    # Equal scores keep class order, as in `whatsit.answer.top_k`.
    earlier = np.arange(scores.shape[1]) < truth[:, np.newaxis]
    before = (scores > true_scores) | ((scores == true_scores) & earlier)
    return true_scores[:, 0].astype(np.float64), before.sum(axis=1)
