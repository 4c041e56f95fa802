"""OpenVINO on the CPU: the engine whatsit serves with."""

import logging
import queue
import threading
from pathlib import Path

import numpy as np
import openvino as ov
from openvino import passes

from whatsit.answer import Logits
from whatsit.engines.base import require_port
from whatsit.errors import InferenceFailed
from whatsit.model_card import ModelCard
from whatsit.preprocess import BatchNCHW

_log = logging.getLogger(__name__)

_AGREEMENT = 0.05
"""How far two forms of one model may lie apart, as a share of the spread of the logits: they
add in another order, and bfloat16 and int8 round the difference up to about a hundredth."""


class OpenVinoEngine:
    """One model, compiled twice: for one picture at a time, and for several at once.

    A lone request runs on all cores (latency hint). Requests that overlap run side by side on
    one core each (throughput streams), which answers more of them per second. If the two forms
    do not agree on a probe, only the first is used (docs/decisions/0002).

    Numeric precision is OpenVINO's choice for the processor: bfloat16 where it has
    instructions for it, float32 elsewhere, int8 where the model is quantised.
    """

    def __init__(self, weights: Path, card: ModelCard) -> None:
        core = ov.Core()
        try:
            model = core.read_model(weights)
            _unpack_weights(model)
            self._alone, self._together = (
                _Requests(core.compile_model(model, "CPU", {"PERFORMANCE_HINT": hint}), card)
                for hint in ("LATENCY", "THROUGHPUT")
            )
            if not _agree(self._alone, self._together, card.input.size):
                _log.warning(
                    "OpenVINO's streams give wrong answers with %r; it runs without.", card.name
                )
                self._together = self._alone
        except RuntimeError as error:
            raise InferenceFailed(f"OpenVINO can't load the weights of {card.name!r}.") from error
        self._in_flight = 0
        self._lock = threading.Lock()
        self.identity = f"openvino-{self._alone.precision}"
        self.num_classes = self._alone.num_classes

    def infer(self, batch: BatchNCHW) -> Logits:
        """See `Engine.infer`."""
        with self._lock:
            self._in_flight += 1
            requests = self._alone if self._in_flight == 1 else self._together
        try:
            return requests.infer(batch)
        finally:
            with self._lock:
                self._in_flight -= 1

    def close(self) -> None:
        """See `Engine.close`."""
        del self._alone, self._together


class _Requests:
    """A compiled model and its free infer requests; each serves one thread at a time."""

    def __init__(self, compiled: ov.CompiledModel, card: ModelCard) -> None:
        self._input = require_port("input", card.input.name, _names(compiled.inputs))
        self._output = require_port("output", card.output.name, _names(compiled.outputs))
        output = compiled.output(self._output)
        self.num_classes = int(output.partial_shape[1].get_length())
        precision = compiled.get_property("INFERENCE_PRECISION_HINT")
        self.precision = {ov.Type.bf16: "bf16", ov.Type.f16: "f16"}.get(precision, "f32")
        self._compiled = compiled
        self._free: queue.SimpleQueue[ov.InferRequest] = queue.SimpleQueue()
        for _ in range(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")):
            self._free.put(compiled.create_infer_request())

    def infer(self, batch: BatchNCHW) -> Logits:
        """Wait for a free request and run it."""
        request = self._free.get()
        try:
            request.infer({self._input: batch}, share_inputs=True)
            # The request's own buffer is overwritten by whoever takes it next.
            return np.array(request.get_tensor(self._output).data, dtype=np.float32)
        except RuntimeError as error:
            raise InferenceFailed("OpenVINO failed on this batch.") from error
        finally:
            self._free.put(request)


def _unpack_weights(model: ov.Model) -> None:
    """Turn weights that are stored in 8 bits, but computed with in floating point, into floats.

    OpenVINO would do so itself, but with several streams it mixes the unpacked weights up
    (openvinotoolkit/openvino#36328). Models that compute in 8 bits too are left as they are.
    """
    if not any(operation.get_type_name() == "FakeQuantize" for operation in model.get_ops()):
        manager = passes.Manager()
        manager.register_pass(passes.ConstantFolding())
        manager.run_passes(model)


def _agree(one: _Requests, other: _Requests, size: int) -> bool:
    noise = np.random.default_rng(0).normal(size=(1, 3, size, size)).astype(np.float32)
    expected = one.infer(noise)
    difference = np.abs(expected - other.infer(noise)).max()
    return bool(difference <= _AGREEMENT * np.ptp(expected))


def fixed_input_size(weights: Path) -> int | None:
    """Side of the input of an ONNX file, pixels; None where it takes any size.

    Raises:
        InferenceFailed: This is no model that OpenVINO reads, or its input is no square image.
    """
    try:
        shape = ov.Core().read_model(weights).input(0).partial_shape
    except RuntimeError as error:
        raise InferenceFailed(f"OpenVINO can't read {weights.name}.") from error
    if shape.rank.is_dynamic or len(shape) != 4:
        raise InferenceFailed(f"The input of {weights.name} is not of shape (N, 3, size, size).")
    if shape[3].is_dynamic:
        return None
    return int(shape[3].get_length())


def _names(ports: list[ov.ConstOutput]) -> list[str]:
    return [port.get_any_name() for port in ports]
