"""The last feature map of a network that ends in pooling and one dense layer.

In such a network the logit of a class is the mean, over all places of the map, of the features
weighted by that class; so the weighted features say how much each place speaks for the class.
See Zhou et al., Learning Deep Features for Discriminative Localization, CVPR 2016.
"""

import math
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino as ov
from openvino import opset13

from whatsit.answer import Logits, to_logits
from whatsit.engines.base import ClassWeights, Features, as_logits, require_port
from whatsit.errors import InferenceFailed
from whatsit.images.preprocess import BatchNCHW
from whatsit.model_card import ModelCard

_POOLING = frozenset({"ReduceMean", "AvgPool"})
_ARITHMETIC = frozenset({"Add", "Divide", "MatMul", "Multiply", "Subtract"})
_PASSED_OVER = frozenset(
    {
        "Convert",
        "FakeQuantize",
        "Identity",
        "Reshape",
        "Softmax",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
    }
)
"""Quantising, shaping, the bias. `_adds_up` detects those that do more than that."""

_LEAST_CORRELATION = 0.95
"""Of logits with weighted features, on a probe. Rounding to 8 bits leaves 0.98 or more."""


class OpenVinoFeatureMaps:
    """A second compiled form of a model, with its last feature map as a second output.

    One picture at a time, on all cores. Made by `open_feature_maps`; see
    `whatsit.engines.base.FeatureMaps`.
    """

    def __init__(
        self, model: ov.Model, logits: ov.Output, head: "_Head", class_weights: ClassWeights
    ) -> None:
        outputs = [opset13.result(logits), opset13.result(head.features)]
        with_features = ov.Model(outputs, model.get_parameters())
        # Never on several streams: docs/decisions/0002.
        compiled = ov.Core().compile_model(with_features, "CPU", {"PERFORMANCE_HINT": "LATENCY"})
        self._request = compiled.create_infer_request()
        self._to_nchw = (0, 3, 1, 2) if head.channels_last else (0, 1, 2, 3)
        self._lock = threading.Lock()
        self.class_weights = class_weights

    def infer(self, batch: BatchNCHW) -> tuple[Logits, Features]:
        """See `whatsit.engines.base.FeatureMaps.infer`."""
        with self._lock:
            try:
                self._request.infer([batch], share_inputs=True)
                # The request's own buffers are overwritten by the next call.
                logits = as_logits(self._request.get_output_tensor(0).data)
                features = np.array(self._request.get_output_tensor(1).data, dtype=np.float32)
            except RuntimeError as error:
                raise InferenceFailed("OpenVINO failed on this batch.") from error
        return logits, features.transpose(self._to_nchw)


@dataclass(frozen=True, slots=True)
class _Head:
    """The end of a network: global pooling, then one dense layer.

    Attributes:
        features: The pooled output.
        channels_last: True if it has the shape (N, h, w, channels), as in TensorFlow.
        weights: Of the dense layer.
        weights_transposed: True if they have the shape (num_classes, channels).
    """

    features: ov.Output
    channels_last: bool
    weights: ov.Output
    weights_transposed: bool


def open_feature_maps(weights: Path, card: ModelCard) -> OpenVinoFeatureMaps | None:
    """Compile a model a second time, so that it shows its last feature map too.

    Takes about as long, and about as much memory, as loading the model did.

    Returns:
        None where the network does not end in pooling and one dense layer.

    Raises:
        InferenceFailed: OpenVINO can't load these weights.
    """
    try:
        model = ov.Core().read_model(weights)
        names = {port.get_any_name() for port in model.outputs}
        logits = model.output(require_port("output", card.output.name, names))
        logits = logits.get_node().input_value(0)
        head = _find_head(logits)
        # A batch of another type is converted by the engine, and not here.
        if head is None or model.input(0).element_type != ov.Type.f32:
            return None
        class_weights = _evaluate(head.weights)
        if not head.weights_transposed:
            class_weights = np.ascontiguousarray(class_weights.T)
        maps = OpenVinoFeatureMaps(model, logits, head, class_weights)
        return maps if _adds_up(maps, card) else None
    except RuntimeError as error:
        raise InferenceFailed(f"OpenVINO can't show what {card.name!r} looks at.") from error


def _find_head(logits: ov.Output) -> _Head | None:
    """Walk from the logits towards the input: a dense layer, a pooling, the features."""
    dense: ov.Node | None = None
    node = logits.get_node()
    while True:
        kind = node.get_type_name()
        if kind in _POOLING and dense is not None:
            return _head_of(node, dense)
        if kind == "MatMul" and dense is None:
            dense = node
        elif kind == "MatMul" or kind not in _ARITHMETIC | _PASSED_OVER:
            return None
        followed = node.input_value(0)
        if kind in _ARITHMETIC and _is_constant(followed):
            followed = node.input_value(1)
        node = followed.get_node()


def _head_of(pooling: ov.Node, dense: ov.Node) -> _Head | None:
    features, weights = pooling.input_value(0), dense.input_value(1)
    shape, pooled = _sides(features), _sides(pooling.output(0))
    if len(shape) != 3 or None in (*shape, *pooled) or not _is_constant(weights):
        return None
    transposed = bool(dense.get_attributes()["transpose_b"])
    channels = weights.shape[1 if transposed else 0]
    # More values than channels would mean that less than the whole map was pooled.
    if math.prod(side or 0 for side in pooled) != channels or channels not in (shape[0], shape[2]):
        return None
    return _Head(features, shape[0] != channels, weights, transposed)


def _sides(port: ov.Output) -> list[int | None]:
    """The shape without the batch; None for what differs from call to call."""
    if port.partial_shape.rank.is_dynamic:
        return [None]
    sides = list(port.partial_shape)[1:]
    return [None if side.is_dynamic else int(side.get_length()) for side in sides]


def _is_constant(port: ov.Output) -> bool:
    waiting, seen = [port.get_node()], set()
    while waiting:
        node = waiting.pop()
        if node.get_type_name() == "Parameter":
            return False
        if node.friendly_name not in seen:
            seen.add(node.friendly_name)
            waiting += [source.get_node() for source in node.input_values()]
    return True


def _evaluate(port: ov.Output) -> ClassWeights:
    """The values of something constant; weights stored in 8 bits are unpacked."""
    model = ov.Model([opset13.result(port)], [])
    request = (
        ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    ).create_infer_request()
    request.infer([])
    return np.array(request.get_output_tensor(0).data, dtype=np.float32)


def _adds_up(maps: OpenVinoFeatureMaps, card: ModelCard) -> bool:
    """True if the logits of a probe follow from features and weights.

    Exporters write the graph in different ways; a map relies on this alone.
    """
    size = card.input.size
    noise = np.random.default_rng(0).normal(size=(1, 3, size, size)).astype(np.float32)
    # About the contrast of a photograph, in the model's own units.
    noise *= np.float32(64 * card.input.scale / np.mean(card.input.std))
    (one, these), (other, those) = maps.infer(noise), maps.infer(np.zeros_like(noise))
    one, other = (to_logits(given, card.output.activation) for given in (one, other))
    # The difference of two probes cancels the bias.
    weighted = maps.class_weights @ (these - those).mean(axis=(2, 3))[0]
    return bool(np.corrcoef(weighted, (one - other)[0])[0, 1] >= _LEAST_CORRELATION)
