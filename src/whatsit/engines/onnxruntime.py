"""ONNX Runtime on the CPU: runs wherever OpenVINO does not."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from whatsit.answer import Logits
from whatsit.engines.base import (
    Port,
    as_logits,
    count_classes,
    require_image_input,
    require_scores,
)
from whatsit.engines.onnx_file import explain_refusal
from whatsit.errors import InferenceFailed
from whatsit.images.preprocess import ImageHWC, to_batch
from whatsit.model_card import ModelCard


class OnnxRuntimeEngine:
    """One model in one session, in float32 (or as its weights are quantised)."""

    identity = "onnxruntime-f32"

    def __init__(self, weights: Path, card: ModelCard) -> None:
        try:
            self._session = ort.InferenceSession(weights, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise InferenceFailed(explain_refusal(weights, card.name, "ONNX Runtime")) from error
        taken = require_image_input(_ports(self._session.get_inputs()), card)
        given = require_scores(_ports(self._session.get_outputs()), card)
        self._input, self._output, self._kind = taken.name, given.name, taken.kind
        self._spec = card.input
        classes = count_classes(given)
        if classes is None:
            size = card.input.size
            classes = self.infer(np.zeros((size, size, 3), dtype=np.uint8)).shape[1]
        self.num_classes = classes

    def infer(self, pixels: ImageHWC) -> Logits:
        """See `Engine.infer`."""
        try:
            batch = to_batch(pixels, self._spec).astype(self._kind, copy=False)
            (logits,) = self._session.run([self._output], {self._input: batch})
        except Exception as error:
            raise InferenceFailed("ONNX Runtime failed on this picture.") from error
        return as_logits(logits)

    def close(self) -> None:
        """See `Engine.close`."""
        del self._session


def _ports(ports: Sequence[Any]) -> list[Port]:
    return [Port(port.name, _shape(port.shape), _kind(port.type)) for port in ports]


def _shape(shape: Sequence[int | str | None]) -> tuple[int | None, ...]:
    # A name stands for a side that differs from call to call, nothing for any shape at all.
    sides = shape or (None, None)
    return tuple(side if isinstance(side, int) and side > 0 else None for side in sides)


def _kind(name: str) -> str:
    inner = name.removeprefix("tensor(").removesuffix(")")
    return {"float": "float32", "double": "float64"}.get(inner, inner)
