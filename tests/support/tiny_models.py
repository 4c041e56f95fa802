"""Models of a few hundred bytes, sound ones and such as people have by mistake."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

CLASSES = 4
SIZE = 32
WEIGHTS = np.random.default_rng(1).normal(size=(3, CLASSES)).astype(np.float32)


def as_onnx(content: bytes) -> bytes:
    """A file in the form of ONNX that holds `content` and is no model."""
    length, digits = len(content), bytearray()
    while length > 0x7F:
        digits.append(length & 0x7F | 0x80)
        length >>= 7
    return b"\x32" + bytes([*digits, length]) + content  # the documentation, field 6


def write_tiny_model(
    path: Path,
    *,
    shape: Sequence[int | str] = (1, 3, SIZE, SIZE),
    kind: int = TensorProto.FLOAT,
    weights: npt.NDArray[np.float32] = WEIGHTS,
    output_shape: Sequence[int | str] = (1, CLASSES),
    ends: str = "",
    second_input: bool = False,
    opset: int = 17,
    data_file: str | None = None,
) -> Path:
    """Write a model whose scores are the weighted means of the channels.

    Args:
        path: The file.
        shape: Of the input; with the channels last where that is 3.
        kind: Of the input's numbers.
        weights: Of the classes.
        output_shape: Of the output; what is not (1, classes) is brought into that shape.
        ends: An operation more at the end: ``Softmax``, ``ArgMax``, or ``Nothing``.
        second_input: Whether it takes a second input.
        opset: Version of the operators.
        data_file: Where the weights lie, if not in `path`.
    """
    nodes = [helper.make_node("Cast", ["input"], ["pixels"], to=TensorProto.FLOAT)]
    if len(shape) == 4 and shape[3] == 3 != shape[1]:
        nodes.append(helper.make_node("Transpose", ["pixels"], ["first"], perm=[0, 3, 1, 2]))
    else:
        nodes.append(helper.make_node("Identity", ["pixels"], ["first"]))
    nodes += [
        helper.make_node("GlobalAveragePool", ["first"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["means"]),
        helper.make_node("MatMul", ["means", "weights"], ["scores"]),
    ]
    tensors = [numpy_helper.from_array(weights, "weights")]
    last, result = "scores", TensorProto.FLOAT
    if second_input:
        nodes.append(helper.make_node("Add", [last, "mask"], ["masked"]))
        last = "masked"
    if ends == "Nothing":
        tensors.append(numpy_helper.from_array(np.zeros((1, CLASSES), np.float32), "zero"))
        nodes.append(helper.make_node("Mul", [last, "zero"], ["ended"]))
    elif ends == "ArgMax":
        result = TensorProto.INT64
        nodes.append(helper.make_node("ArgMax", [last], ["ended"], axis=1, keepdims=1))
    elif ends:
        nodes.append(helper.make_node(ends, [last], ["ended"]))
    last = "ended" if ends else last
    if all(isinstance(side, int) for side in output_shape):
        tensors.append(numpy_helper.from_array(np.array(output_shape, np.int64), "shape"))
        nodes.append(helper.make_node("Reshape", [last, "shape"], ["output"]))
    else:
        nodes.append(helper.make_node("Identity", [last], ["output"]))
    inputs = [helper.make_tensor_value_info("input", kind, shape)]
    if second_input:
        inputs.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1, CLASSES]))
    outputs = [helper.make_tensor_value_info("output", result, output_shape)]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, tensors)
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=10,
        producer_name="tiny",
        producer_version="1.0",
    )
    if data_file is None:
        path.write_bytes(model.SerializeToString())
    else:
        onnx.save_model(
            model, str(path), save_as_external_data=True, location=data_file, size_threshold=0
        )
    return path
