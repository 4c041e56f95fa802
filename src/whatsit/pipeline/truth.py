"""The right answers of a split, in the classes of the model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from whatsit.answer import Logits
from whatsit.classifier import Classifier
from whatsit.labels.label_set import LabelSet, label_key
from whatsit.labels.taxonomy import Taxonomy
from whatsit.pipeline.evaluation import LevelFigures
from whatsit.pipeline.manifest import (
    DatasetClass,
    Picture,
)
from whatsit.quality.measure import Quality, Statements, measure
from whatsit.quality.measurements import Measurements, Parameters


def match_classes(classes: Sequence[DatasetClass], labels: LabelSet) -> tuple[int | None, ...]:
    """Which output of a model stands for each class of a data set.

    Args:
        classes: Of the data set.
        labels: Of the model.

    Returns:
        A class index of the model, by WordNet id where both have one, else by label; None where
        the model lacks the class.

    Example:
        >>> birds = LabelSet("birds", (LabelEntry("owl", "n01621127"), LabelEntry("Crow")))
        >>> match_classes([DatasetClass("crow"), DatasetClass("an owl", "n01621127")], birds)
        (1, 0)
    """
    by_wnid = {
        entry.wnid: index for index, entry in enumerate(labels.entries) if entry.wnid is not None
    }
    by_label = {label_key(entry.label): index for index, entry in enumerate(labels.entries)}
    matched = []
    for one in classes:
        index = None if one.wnid is None else by_wnid.get(one.wnid)
        if index is None:
            index = by_label.get(label_key(one.label))
            # The same word for another thing, such as the crane that is a bird.
            if index is not None and None not in (one.wnid, labels.entries[index].wnid):
                index = None
        matched.append(index)
    return tuple(matched)


@dataclass(frozen=True)
class Truth:
    """The right class index of each picture.

    A class that the model does not know is one more output that never scores anything, so that
    its pictures count as wrong in every figure.
    """

    indices: npt.NDArray[np.intp]
    num_classes: int

    @classmethod
    def of(
        cls, pictures: Sequence[Picture], indices: Sequence[int | None], num_classes: int
    ) -> "Truth":
        """Return the truth about some pictures, from the model's index of each class."""
        known = [num_classes if index is None else index for index in indices]
        truth = [known[picture.class_index] for picture in pictures]
        return cls(np.array(truth, dtype=np.intp), num_classes)

    @property
    def has_unknown(self) -> bool:
        """True if there is a class that the model does not know."""
        return bool((self.indices == self.num_classes).any())

    def measure(self, logits: Logits, classifier: Classifier) -> Quality:
        """Measure the answers that a model would give with the parameters on its card."""
        taxonomy = classifier.labels.taxonomy
        if self.has_unknown:
            nothing = np.full((len(logits), 1), -np.inf, dtype=logits.dtype)
            logits = np.hstack([logits, nothing])
            taxonomy = Taxonomy(self.num_classes + 1, (*taxonomy.parents, -1))
        card = classifier.card
        parameters = Parameters(
            card.calibration.temperature,
            card.thresholds.sure,
            card.thresholds.probably,
            None if card.answer_set is None else card.answer_set.least_score,
            sure_passed=True,
        )
        return measure(Measurements(logits, self.indices), parameters, taxonomy)

    def per_level(
        self, logits: Logits, classifier: Classifier, recognised: npt.NDArray[np.bool_]
    ) -> LevelFigures:
        """As the answers are worded: what is not recognised is unsure, whatever it scores."""
        total, kept = len(logits), int(recognised.sum())
        right = logits.argmax(axis=1) == self.indices
        nothing = Statements(0, 0.0, None, None, None, None)
        sure = probably = stated = nothing
        unsure, unsure_right = total - kept, float(right[~recognised].sum())
        if kept:
            some = Truth(self.indices[recognised], self.num_classes)
            quality = some.measure(logits[recognised], classifier)
            sure, probably, stated = (
                replace(said, share=said.pictures / total)
                for said in (quality.sure, quality.probably, quality.stated)
            )
            unsure += kept - stated.pictures
            unsure_right += (quality.unsure_best or 0.0) * (kept - stated.pictures)
        return LevelFigures(
            sure,
            probably,
            stated,
            unsure_share=unsure / total,
            unsure_accuracy=unsure_right / unsure if unsure else None,
            unrecognised_share=1 - kept / total,
        )

    def top5(self, quality: Quality) -> float:
        """Return the share of pictures whose class is among the best five."""
        # Of four labels and one that does not exist, the best five would hold the latter.
        known = float((self.indices < self.num_classes).mean())
        return min(quality.top5, known)
