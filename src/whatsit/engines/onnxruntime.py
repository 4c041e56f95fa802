"""ONNX Runtime on the CPU: runs wherever OpenVINO does not."""

from pathlib import Path
from typing import cast

import onnxruntime as ort

from whatsit.answer import Logits
from whatsit.engines.base import require_port
from whatsit.errors import InferenceFailed
from whatsit.model_card import ModelCard
from whatsit.preprocess import ImageHWC, to_batch


class OnnxRuntimeEngine:
    """One model in one session, in float32 (or as its weights are quantised)."""

    identity = "onnxruntime-f32"

    def __init__(self, weights: Path, card: ModelCard) -> None:
        try:
            self._session = ort.InferenceSession(weights, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise InferenceFailed(f"ONNX Runtime can't load the model {card.name!r}.") from error
        outputs = {port.name: port.shape for port in self._session.get_outputs()}
        inputs = {port.name for port in self._session.get_inputs()}
        self._input = require_port("input", card.input.name, inputs)
        self._output = require_port("output", card.output.name, outputs)
        self._spec = card.input
        self.num_classes = int(outputs[self._output][1])

    def infer(self, pixels: ImageHWC) -> Logits:
        """See `Engine.infer`."""
        try:
            batch = to_batch(pixels, self._spec)
            (logits,) = self._session.run([self._output], {self._input: batch})
        except Exception as error:
            raise InferenceFailed("ONNX Runtime failed on this picture.") from error
        return cast(Logits, logits)

    def close(self) -> None:
        """See `Engine.close`."""
        del self._session
