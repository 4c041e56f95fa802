"""Surgery on ONNX graphs: another classifier for a network, and weights in plain float32."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from whatsit.errors import PipelineError
from whatsit.models.importers.require_extra import training_extra

LOGITS = "logits"

_AFTER_THE_CLASSIFIER = frozenset(
    {
        *("Add", "Cast", "DequantizeLinear", "Div", "Flatten", "Identity", "Mul"),
        *("QuantizeLinear", "Reshape", "Softmax", "Squeeze"),
    }
)
_CLASSIFIERS = frozenset({"Conv", "Gemm", "MatMul"})
_REARRANGING = frozenset(
    {
        *("DequantizeLinear", "Flatten", "Identity", "QuantizeLinear"),
        *("Reshape", "Squeeze"),
    }
)
"""Between pooling and classifier; what is rounded to 8 bits there need not be."""

_COMPUTES_IN_8_BITS = frozenset(
    {
        *("ConvInteger", "DynamicQuantizeLinear", "MatMulInteger"),
        *("QLinearConv", "QLinearMatMul", "QuantizeLinear"),
    }
)


@dataclass(frozen=True)
class Trunk:
    """A network without its classifier.

    Attributes:
        model: The ONNX model; its one output is the features.
        features: Name of that output.
    """

    model: Any
    features: str


def cut_classifier(model: Any, output: str | None = None) -> Trunk:
    """Take the last dense layer off a network, so that it ends in what that layer saw.

    The features are taken in float32: in a quantised network, before they are quantised.

    Args:
        model: An ONNX model; left as it is.
        output: Name of the output with the logits; needed where there are several.

    Raises:
        PipelineError: It does not end in a dense layer with fixed weights.
    """
    graph = model.graph
    producers = {name: node for node in graph.node for name in node.output}
    constants = _constant_names(graph)
    name = output or graph.output[0].name
    while (node := producers.get(name)) is not None and node.op_type in _AFTER_THE_CLASSIFIER:
        name = next((source for source in node.input if source not in constants), "")
    if node is None or node.op_type not in _CLASSIFIERS or node.input[1] not in constants:
        raise PipelineError(
            "The base network does not end in a dense layer, so its classifier can't be replaced. "
            "Take another base."
        )
    features = node.input[0]
    while (before := producers.get(features)) is not None and before.op_type in _REARRANGING:
        features = before.input[0]
    return Trunk(_part_before(model, features), features)


def add_classifier(
    trunk: Trunk, weights: npt.NDArray[np.float32], bias: npt.NDArray[np.float32]
) -> Any:
    """A whole network again: the trunk, and a dense layer in float32 that gives logits.

    Args:
        trunk: Of `cut_classifier`; left as it is.
        weights: Shape (features, classes).
        bias: Shape (classes,).

    Raises:
        PipelineError: Trunk and classifier do not fit.
    """
    with training_extra():
        from onnx import TensorProto, checker, helper, numpy_helper
    model = type(trunk.model)()
    model.CopyFrom(trunk.model)
    graph = model.graph
    graph.node.append(
        helper.make_node("Flatten", [trunk.features], ["head/flat"], name="head/flatten", axis=1)
    )
    graph.node.append(
        helper.make_node(
            "Gemm", ["head/flat", "head/weights", "head/bias"], [LOGITS], name="head/dense"
        )
    )
    graph.initializer.append(numpy_helper.from_array(weights, "head/weights"))
    graph.initializer.append(numpy_helper.from_array(bias, "head/bias"))
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, ["N", len(bias)]))
    try:
        checker.check_model(model)
    except checker.ValidationError as error:
        raise PipelineError("The new classifier does not fit the base network.") from error
    return model


def computes_in_8_bits(model: Any) -> bool:
    """True if activations are quantised, not only stored weights."""
    return any(node.op_type in _COMPUTES_IN_8_BITS for node in model.graph.node)


def unpack_weights(model: Any) -> int:
    """Replace weights that are stored in 8 bits by their float32 values, in place.

    Returns:
        How many tensors were unpacked.
    """
    with training_extra():
        from onnx import numpy_helper
    graph = model.graph
    stored = {entry.name: entry for entry in graph.initializer}
    kept, unpacked = [], []
    for node in graph.node:
        is_packed = (
            node.op_type == "DequantizeLinear"
            and all(name in stored for name in node.input if name)
            and not any(attribute.name == "block_size" for attribute in node.attribute)
        )
        if not is_packed:
            kept.append(node)
            continue
        values, scale, *zero = (numpy_helper.to_array(stored[name]) for name in node.input if name)
        axis = next((entry.i for entry in node.attribute if entry.name == "axis"), 1)
        shape = [1] * values.ndim
        if scale.size > 1:
            shape[axis] = scale.size
        offset = zero[0].reshape(shape).astype(np.float32) if zero else np.float32(0)
        plain = (values.astype(np.float32) - offset) * scale.reshape(shape)
        unpacked.append(numpy_helper.from_array(plain.astype(np.float32), node.output[0]))
    del graph.node[:]
    graph.node.extend(kept)
    graph.initializer.extend(unpacked)
    _drop_unused(graph)
    return len(unpacked)


def _constant_names(graph: Any) -> set[str]:
    """Tensors that do not depend on the input, the empty name of an absent one included."""
    names = {"", *(entry.name for entry in graph.initializer)}
    for node in graph.node:  # sorted so that a tensor is made before it is used
        if all(name in names for name in node.input):
            names.update(node.output)
    return names


def _part_before(model: Any, tensor: str) -> Any:
    """The part of a network that makes one tensor, with that as its only output."""
    with training_extra():
        from onnx import TensorProto, helper
    part = type(model)()
    part.CopyFrom(model)
    graph = part.graph
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(tensor, TensorProto.FLOAT, None))
    wanted, kept = {tensor}, []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            kept.append(node)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    _drop_unused(graph)
    return part


def _drop_unused(graph: Any) -> None:
    used = {name for node in graph.node for name in node.input}
    kept = [entry for entry in graph.initializer if entry.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    # Old exporters list every weight as an input too.
    inputs = [entry for entry in graph.input if entry.name in used]
    del graph.input[:]
    graph.input.extend(inputs)
    del graph.value_info[:]
