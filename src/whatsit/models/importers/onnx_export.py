"""A Keras model -> ONNX, and the proof that both give the same logits."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from whatsit.errors import InvalidModelCard
from whatsit.models.importers.require_extra import load_keras

MAX_DIFFERENCE = 1e-4
"""How far logits of two runtimes in float32 may lie apart, as a share of the largest, or of one.
They add in another order; ten times what was seen."""


def export_onnx(network: Any, target: Path) -> None:
    """Write a Keras model, which takes (N, size, size, 3), as ONNX that takes (N, 3, size, size).

    A few seconds for a small network, a minute for a large one.
    """
    keras = load_keras()
    *_, height, width, channels = network.input_shape
    batch = keras.Input((channels, height, width), name="input")
    wrapped = keras.Model(batch, network(keras.layers.Permute((2, 3, 1))(batch)))
    wrapped(np.zeros((1, channels, height, width), dtype=np.float32))
    with warnings.catch_warnings():
        # Of the exporter and of TensorFlow, about each other.
        warnings.simplefilter("ignore")
        wrapped.export(str(target), format="onnx", verbose=False)


def require_same_logits(
    expected: npt.NDArray[np.float32], found: npt.NDArray[np.float32], what: str
) -> float:
    """The largest difference between the logits of two forms of a model.

    Args:
        expected: Shape (N, num_classes), from Keras.
        found: The same, from ONNX.
        what: The model, for the sentence.

    Raises:
        InvalidModelCard: It is more than `MAX_DIFFERENCE`, or not a number.
    """
    difference = float(np.abs(expected - found).max())
    limit = MAX_DIFFERENCE * max(1.0, float(np.abs(expected).max()))
    if not difference <= limit:
        raise InvalidModelCard(
            f"{what} as ONNX does not give the logits that Keras gives: they differ by "
            f"{difference:.2g}, and the limit is {limit:.2g}."
        )
    return difference
