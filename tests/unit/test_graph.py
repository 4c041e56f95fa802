"""Surgery on ONNX graphs."""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from whatsit.answer import softmax
from whatsit.pipeline.graph import (
    add_classifier,
    computes_in_8_bits,
    cut_classifier,
    unpack_weights,
)

FEATURES, CLASSES = 4, 3


def network() -> onnx.ModelProto:
    """A dense layer of 8-bit weights, a scale and a zero point for each class, and a softmax."""
    rng = np.random.default_rng(0)
    initializers: dict[str, np.ndarray] = {
        "packed": rng.integers(0, 255, (FEATURES, CLASSES), dtype=np.uint8),
        "scales": np.array([0.01, 0.02, 0.05], dtype=np.float32),
        "zeros": np.array([100, 128, 130], dtype=np.uint8),
        "bias": np.array([0.1, 0.2, 0.3], dtype=np.float32),
    }
    nodes = [
        helper.make_node("Relu", ["x"], ["seen"]),
        helper.make_node("DequantizeLinear", ["packed", "scales", "zeros"], ["weights"], axis=1),
        helper.make_node("MatMul", ["seen", "weights"], ["product"]),
        helper.make_node("Add", ["bias", "product"], ["sum"]),
        helper.make_node("Softmax", ["sum"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", FEATURES])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", CLASSES])],
        [numpy_helper.from_array(value, name) for name, value in initializers.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def answer(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (y,) = session.run(None, {"x": x})
    return np.asarray(y)


X = np.array([[1.0, -2.0, 3.0, 0.5], [0.0, 1.0, 0.0, -1.0]], dtype=np.float32)


def test_unpacked_weights_give_the_same_answers():
    plain = network()
    stored = {entry.name: numpy_helper.to_array(entry) for entry in plain.graph.initializer}
    weights = (stored["packed"].astype(np.float64) - stored["zeros"]) * stored["scales"]
    expected = softmax((np.maximum(X, 0) @ weights + stored["bias"]).astype(np.float32))

    assert unpack_weights(plain) == 1

    assert "DequantizeLinear" not in {node.op_type for node in plain.graph.node}
    assert {entry.name for entry in plain.graph.initializer} == {"weights", "bias"}
    # Worked out by hand: ONNX Runtime rounds the other factor of packed weights too.
    np.testing.assert_allclose(answer(plain, X), expected, rtol=1e-5)


def test_stored_8_bit_weights_are_no_8_bit_arithmetic():
    model = network()
    assert not computes_in_8_bits(model)

    model.graph.node.append(helper.make_node("QuantizeLinear", ["seen", "s", "z"], ["q"]))

    assert computes_in_8_bits(model)


def test_another_classifier_sees_what_the_first_one_saw():
    trunk = cut_classifier(network())
    weights = np.eye(FEATURES, 2, dtype=np.float32)
    bias = np.array([10.0, 20.0], dtype=np.float32)

    model = add_classifier(trunk, weights, bias)

    assert [entry.name for entry in model.graph.output] == ["logits"]
    assert {entry.name for entry in model.graph.initializer} == {"head/weights", "head/bias"}
    np.testing.assert_allclose(answer(model, X), np.maximum(X, 0)[:, :2] + bias)
