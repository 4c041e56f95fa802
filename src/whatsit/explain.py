"""Image -> heat map: the parts of a picture that support a label.

Two methods. Where the network ends in pooling and one dense layer, the last feature map weighted
by the class (Zhou et al., Learning Deep Features for Discriminative Localization, CVPR 2016)
costs one inference. For any other network, patches of the picture are covered one after the other,
to see which of them lower the score of the label (Zeiler and Fergus, Visualizing and Understanding
Convolutional Networks, ECCV 2014).
"""

import time
from difflib import get_close_matches

import numpy as np
import numpy.typing as npt

from whatsit.answer import to_logits
from whatsit.classifier import Classifier, Stopwatch
from whatsit.engines.base import Explainable, FeatureMaps
from whatsit.errors import InferenceFailed, InvalidParameter
from whatsit.images.preprocess import BatchNCHW, ImageHWC, crop_box, to_batch
from whatsit.labels.label_set import LabelSet, label_key
from whatsit.picture import Picture
from whatsit.prediction import GRID_STEPS, HeatMap, HeatMapMethod

Grid = npt.NDArray[np.float32]

DEFAULT_BUDGET_SECONDS = 2.0
"""How long covering patches may take; an activation map takes far less."""

_COARSE, *_FINER = (4, 6, 8, 10, 12)
"""Places along one side of an occlusion map; the first is always done."""

_NO_EVIDENCE = 1e-5
"""Less than this is rounding."""

_NEAREST_NAMES = 3


def explain(
    classifier: Classifier,
    picture: Picture | bytes,
    class_index: int | None = None,
    *,
    budget_seconds: float = DEFAULT_BUDGET_SECONDS,
    stopwatch: Stopwatch | None = None,
) -> HeatMap:
    """Show which parts of a picture support a label.

    Args:
        classifier: Whose answer to explain. Its engine opens its feature maps on the first call,
            which takes as long as loading the model.
        picture: In a format that `whatsit.images.decode.decode_image` reads.
        class_index: The label in question; None for the best one.
        budget_seconds: For covering patches, without an activation map. The less, the
            coarser the grid; the coarsest takes 26 inferences and is always finished.
        stopwatch: Receives the milliseconds of ``decode``, ``preprocess``, ``open`` and
            ``explain``.

    Raises:
        InputError: The picture can't be answered, or the class does not exist.
        InferenceFailed: The engine failed.

    Example:
        >>> with Classifier.load("efficientnet-lite2") as classifier:
        ...     heat_map = explain(classifier, example_pictures()["cat"])
        >>> heat_map.method, heat_map.grid.shape
        ('activation', (9, 9))
    """
    stopwatch = stopwatch or Stopwatch()
    class_index = require_class_index(classifier.labels, class_index)
    pixels, facts = classifier.prepare(picture, stopwatch=stopwatch)
    with stopwatch.measure("open"):
        engine = classifier.engine
        maps = engine.feature_maps() if isinstance(engine, Explainable) else None
    method: HeatMapMethod
    with stopwatch.measure("explain"):
        if maps is not None:
            method = "activation"
            batch = to_batch(pixels, classifier.card.input)
            class_index, evidence = _weigh_features(maps, batch, class_index)
        else:
            method = "occlusion"
            score = _LogProbability(classifier)
            class_index, evidence = _cover_patches(score, pixels, class_index, budget_seconds)
    entry = classifier.labels.entries[class_index]
    return HeatMap(
        model=classifier.model,
        image=facts,
        label=entry.label,
        wnid=entry.wnid,
        index=class_index,
        method=method,
        grid=_scale(evidence),
        box=crop_box(facts.width, facts.height, classifier.card.input),
    )


def require_class_index(labels: LabelSet, wanted: str | int | None) -> int | None:
    """The class index of a label.

    Args:
        labels: The label set.
        wanted: A label in any spelling of its capitals, a class index (as digits, too), or None.

    Raises:
        InvalidParameter: The class does not exist; the sentence names similar labels.
    """
    if wanted is None:
        return None
    if isinstance(wanted, str):
        names = {label_key(entry.label): index for index, entry in enumerate(labels.entries)}
        folded = label_key(wanted.strip())
        if folded in names:
            return names[folded]
        if not (folded.isascii() and folded.isdigit()):
            near = [
                labels.entries[names[name]].label
                for name in get_close_matches(folded, names, _NEAREST_NAMES)
            ]
            hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise InvalidParameter(f"label: The label {wanted[:80]!r} does not exist.{hint}")
        wanted = int(folded[:10])
    if not 0 <= wanted < len(labels):
        raise InvalidParameter(
            f"label: The class index is {wanted}; it must lie between 0 and {len(labels) - 1}."
        )
    return wanted


def _weigh_features(
    maps: FeatureMaps, batch: BatchNCHW, class_index: int | None
) -> tuple[int, Grid]:
    logits, features = maps.infer(batch)
    if not (np.isfinite(logits).all() and np.isfinite(features).all()):
        raise InferenceFailed("The model gave no finite answer.")
    if class_index is None:
        class_index = int(np.argmax(logits[0]))
    # Support for all classes alike changes no probability, so it does not count as evidence.
    weights = maps.class_weights[class_index] - maps.class_weights.mean(axis=0)
    channels, height, width = features.shape[1:]
    return class_index, (weights @ features[0].reshape(channels, -1)).reshape(height, width)


class _LogProbability:
    """The engine, asked for the logarithm of each label's probability."""

    def __init__(self, classifier: Classifier) -> None:
        self._engine = classifier.engine
        self._activation = classifier.card.output.activation

    def __call__(self, pixels: ImageHWC) -> npt.NDArray[np.float64]:
        """Shape (num_classes,)."""
        outputs = self._engine.infer(pixels)
        if not np.isfinite(outputs).all():
            raise InferenceFailed("The model gave no finite answer.")
        logits: npt.NDArray[np.float64] = to_logits(outputs, self._activation)[0].astype(np.float64)
        logits -= logits.max()
        logits -= np.log(np.exp(logits).sum())
        return logits


def _cover_patches(
    score: _LogProbability, pixels: ImageHWC, class_index: int | None, budget_seconds: float
) -> tuple[int, Grid]:
    deadline = time.monotonic() + budget_seconds
    whole = score(pixels)
    if class_index is None:
        class_index = int(np.argmax(whole))
    start = time.monotonic()
    evidence = _cover_all(score, pixels, class_index, whole, _COARSE, None)
    assert evidence is not None
    seconds_each = (time.monotonic() - start) / (_COARSE + 1) ** 2
    left = deadline - time.monotonic()
    affordable = [steps for steps in _FINER if (steps + 1) ** 2 * seconds_each <= left]
    if affordable:
        finer = _cover_all(score, pixels, class_index, whole, affordable[-1], deadline)
        evidence = evidence if finer is None else finer
    return class_index, evidence


def _cover_all(
    score: _LogProbability,
    pixels: ImageHWC,
    class_index: int,
    whole: npt.NDArray[np.float64],
    steps: int,
    deadline: float | None,
) -> Grid | None:
    """Cover patches of 2 x 2 places, overlapping by half; None if time runs out before the end."""
    height, width = pixels.shape[:2]
    rows = np.linspace(0, height, steps + 1).round().astype(int)
    columns = np.linspace(0, width, steps + 1).round().astype(int)
    blank = pixels.mean(axis=(0, 1)).round().astype(np.uint8)
    loss = np.zeros((steps, steps), dtype=np.float32)
    for row in range(-1, steps):
        for column in range(-1, steps):
            if deadline is not None and time.monotonic() > deadline:
                return None
            places = np.s_[max(row, 0) : row + 2, max(column, 0) : column + 2]
            covered = pixels.copy()
            covered[
                rows[max(row, 0)] : rows[min(row + 2, steps)],
                columns[max(column, 0)] : columns[min(column + 2, steps)],
            ] = blank
            loss[places] += whole[class_index] - score(covered)[class_index]
    return loss


def _scale(evidence: Grid) -> Grid:
    evidence = np.maximum(evidence, 0)
    most = float(evidence.max())
    if most <= _NO_EVIDENCE:
        return np.zeros(evidence.shape, dtype=np.float32)
    steps = np.round(evidence / most * GRID_STEPS)
    return (steps / GRID_STEPS).astype(np.float32)
