"""ONNX files in plain float32, to compare two forms of one model number by number."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import openvino as ov

from whatsit.errors import InferenceFailed
from whatsit.images.preprocess import BatchNCHW


class ExactModel:
    """An ONNX file on OpenVINO, never in bfloat16; what is quantised stays quantised.

    Not for serving: it takes normalised batches, one call at a time.
    """

    def __init__(self, weights: Path) -> None:
        settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        try:
            self._model = ov.Core().compile_model(weights, "CPU", settings)
        except RuntimeError as error:
            raise InferenceFailed(f"OpenVINO can't load {weights.name}.") from error

    def infer(self, batch: BatchNCHW) -> npt.NDArray[np.float32]:
        """The model's first output, one row a picture.

        Args:
            batch: Shape (N, 3, size, size).

        Returns:
            Shape (N, values of one picture).

        Raises:
            InferenceFailed: The runtime refused the batch.
        """
        try:
            # One at a time: a file may be made for batches of one.
            rows = [np.array(self._model([row[np.newaxis]])[0]).reshape(-1) for row in batch]
        except RuntimeError as error:
            raise InferenceFailed("OpenVINO failed on this batch.") from error
        return np.stack(rows).astype(np.float32, copy=False)
