"""OpenVINO on the CPU: the engine whatsit serves with."""

import logging
import queue
import re
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openvino as ov
from openvino.preprocess import PrePostProcessor

from whatsit.answer import Logits
from whatsit.engines.base import (
    Port,
    as_logits,
    count_classes,
    require_image_input,
    require_scores,
)
from whatsit.engines.feature_maps import OpenVinoFeatureMaps, open_feature_maps
from whatsit.engines.onnx_file import explain_refusal
from whatsit.errors import InferenceFailed
from whatsit.images.preprocess import ImageHWC
from whatsit.model_card import InputSpec, ModelCard

_log = logging.getLogger(__name__)

_AGREEMENT = 0.05
"""How far two forms of one model may lie apart, as a share of the spread of the logits: they
add in another order, and bfloat16 and int8 round the difference up to about a hundredth."""


_KINDS = {
    **{"f16": "float16", "f32": "float32", "f64": "float64", "bf16": "bfloat16"},
    **{"u8": "uint8", "u16": "uint16", "u32": "uint32", "u64": "uint64"},
    **{"i8": "int8", "i16": "int16", "i32": "int32", "i64": "int64", "boolean": "bool"},
}
_UNKNOWN_OPERATIONS = re.compile(r"No conversion rule found for operations: ([\w.:, ]+)")

_ANY_SHAPE = (None, None)
"""Measured by running it."""

_BUSY_SECONDS = 0.1
"""How long after an overlap requests still count as concurrent."""


class OpenVinoEngine:
    """A model compiled for one picture at a time and, where that is cheap, for several at once.

    A lone request runs on all cores (latency hint). Requests that overlap may run side by side
    on one core each (throughput streams), which answers more of them per second. Models that
    compute in 8 bits are small enough to be compiled a second time for that, in the background,
    when requests first overlap. The second form is used only if it agrees with the first on a
    probe (docs/decisions/0002).

    Pixels are normalised inside the compiled model, which gives the numbers that
    `whatsit.images.preprocess.to_batch` gives and spares every picture a copy four times its size.

    Numeric precision is OpenVINO's choice for the processor: bfloat16 where it has
    instructions for it, float32 elsewhere, int8 where the model is quantised.
    """

    def __init__(self, weights: Path, card: ModelCard) -> None:
        self._weights = weights
        self._card = card
        self._alone = self._compile("LATENCY")
        self._together = self._alone
        self._compiling: threading.Thread | None = None
        self._in_flight = 0
        self._overlapped_at = float("-inf")
        self._lock = threading.Lock()
        self._feature_maps: OpenVinoFeatureMaps | None = None
        self._feature_maps_known = False
        self._opening = threading.Lock()
        self.identity = f"openvino-{self._alone.precision}"
        self.num_classes = self._alone.num_classes

    def infer(self, pixels: ImageHWC) -> Logits:
        """See `Engine.infer`."""
        with self._lock:
            self._in_flight += 1
            now = time.monotonic()
            if self._in_flight > 1:
                self._overlapped_at = now
                if self._compiling is None and self._alone.computes_in_8_bits:
                    self._compiling = threading.Thread(target=self._compile_for_many, daemon=True)
                    self._compiling.start()
            # Under load requests overlap now and then only, because pictures are decoded between
            # them; both forms at once would fight for the cores.
            is_busy = now - self._overlapped_at < _BUSY_SECONDS
            requests = self._together if is_busy else self._alone
        try:
            return requests.infer(pixels)
        finally:
            with self._lock:
                self._in_flight -= 1

    def feature_maps(self) -> OpenVinoFeatureMaps | None:
        """See `whatsit.engines.base.Explainable.feature_maps`."""
        with self._opening:
            if not self._feature_maps_known:
                self._feature_maps = open_feature_maps(self._weights, self._card)
                self._feature_maps_known = True
            return self._feature_maps

    def close(self) -> None:
        """See `Engine.close`."""
        if self._compiling is not None:
            self._compiling.join()
        del self._alone, self._together, self._feature_maps

    def _compile_for_many(self) -> None:
        together = self._compile("THROUGHPUT")
        if _agree(self._alone, together, self._card.input.size):
            self._together = together
        else:
            _log.warning("OpenVINO's streams give wrong answers; it runs without them.")

    def _compile(self, hint: str) -> "_Requests":
        try:
            core = ov.Core()
            model = core.read_model(self._weights)
            port = require_image_input(_ports(model.inputs), self._card)
            model = _take_pixels(model, port.name, self._card.input)
            compiled = core.compile_model(model, "CPU", {"PERFORMANCE_HINT": hint})
            return _Requests(model, compiled, self._card)
        except RuntimeError as error:
            raise InferenceFailed(
                explain_refusal(self._weights, self._card.name, "OpenVINO", _reason(error))
            ) from error


class _Requests:
    """A compiled model and its free infer requests; each serves one thread at a time."""

    def __init__(self, model: ov.Model, compiled: ov.CompiledModel, card: ModelCard) -> None:
        port = require_scores(_ports(compiled.outputs), card)
        self._input, self._output = compiled.input(0), compiled.output(port.name)
        precision = compiled.get_property("INFERENCE_PRECISION_HINT")
        self.precision = {ov.Type.bf16: "bf16", ov.Type.f16: "f16"}.get(precision, "f32")
        # Activations that are quantised too arrive as this operation.
        self.computes_in_8_bits = any(
            operation.get_type_name() == "FakeQuantize" for operation in model.get_ops()
        )
        self._compiled = compiled
        self._free: queue.SimpleQueue[ov.InferRequest] = queue.SimpleQueue()
        for _ in range(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")):
            self._free.put(compiled.create_infer_request())
        classes = count_classes(port)
        if classes is None:
            blank = np.zeros((card.input.size, card.input.size, 3), dtype=np.uint8)
            classes = self.infer(blank).shape[1]
        self.num_classes = classes

    def infer(self, pixels: ImageHWC) -> Logits:
        """Wait for a free request and run it."""
        request = self._free.get()
        try:
            shared = {"share_inputs": True, "share_outputs": True}
            request.infer({self._input: pixels[np.newaxis]}, **shared)
            # The request's own buffer is overwritten by the next one that takes it.
            return as_logits(request.get_tensor(self._output).data)
        except RuntimeError as error:
            raise InferenceFailed("OpenVINO failed on this picture.") from error
        finally:
            self._free.put(request)


def _take_pixels(model: ov.Model, name: str, spec: InputSpec) -> ov.Model:
    """The model with `to_batch` inside it, for one image of shape (1, size, size, 3) in RGB."""
    builder = PrePostProcessor(model)
    port = builder.input(name)
    port.tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    port.tensor().set_shape([1, spec.size, spec.size, 3])
    port.model().set_layout(ov.Layout("NCHW"))
    steps = port.preprocess().convert_element_type(ov.Type.f32)
    if spec.channel_order == "BGR":
        steps.reverse_channels()
    steps.mean([mean / spec.scale for mean in spec.mean])
    steps.scale([std / spec.scale for std in spec.std])
    return builder.build()


def _agree(one: _Requests, other: _Requests, size: int) -> bool:
    noise = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    expected = one.infer(noise)
    difference = np.abs(expected - other.infer(noise)).max()
    return bool(difference <= _AGREEMENT * np.ptp(expected))


def describe_input(weights: Path, name: str) -> Port:
    """The first input of the ONNX file of a model.

    Raises:
        InferenceFailed: This is not a model that OpenVINO reads, or it has no input.
    """
    try:
        return _ports(ov.Core().read_model(weights).inputs)[0]
    except (RuntimeError, IndexError) as error:
        reason = _reason(error) if isinstance(error, RuntimeError) else "it has no input"
        raise InferenceFailed(explain_refusal(weights, name, "OpenVINO", reason)) from error


def _ports(ports: Sequence[ov.ConstOutput]) -> list[Port]:
    return [Port(port.get_any_name(), _shape(port), _kind(port)) for port in ports]


def _shape(port: ov.ConstOutput) -> tuple[int | None, ...]:
    shape = port.partial_shape
    if shape.rank.is_dynamic:
        return _ANY_SHAPE
    return tuple(None if side.is_dynamic else int(side.get_length()) for side in shape)


def _kind(port: ov.ConstOutput) -> str:
    name: str = port.element_type.get_type_name()
    return _KINDS.get(name, name)


def _reason(error: RuntimeError) -> str:
    """Why a file is not a model for OpenVINO, where its words say that without places of files."""
    found = _UNKNOWN_OPERATIONS.search(str(error))
    return f"it does not know the operations {found[1].strip()}" if found else ""
