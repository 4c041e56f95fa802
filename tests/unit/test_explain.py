"""Heat maps of constructed cases: where they must point, and how they are drawn."""

import io
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from whatsit.answer import Logits
from whatsit.cache.codec import decode_entry, encode_heat_map
from whatsit.cache.memory import MemoryCache
from whatsit.cache.tiers import TieredCache
from whatsit.engines.feature_maps import open_feature_maps
from whatsit.errors import CacheError, InferenceFailed, InvalidParameter
from whatsit.explain import explain, require_class_index
from whatsit.images.overlay import draw_overlay, draw_picture
from whatsit.images.preprocess import ImageHWC
from whatsit.labels.label_set import LabelEntry, LabelSet
from whatsit.picture import Picture
from whatsit.prediction import HeatMap
from whatsit.service.service import Service
from whatsit.testing import COLOURS, FakeEngine, fake_card, fake_classifier, plain_picture


class CornerEngine(FakeEngine):
    """Knows nothing but how red the lower right quarter is."""

    def infer(self, pixels: ImageHWC) -> Logits:
        """See `FakeEngine.infer`."""
        self.calls += 1
        logits = np.zeros((1, 3), dtype=np.float32)
        logits[0, 0] = pixels[8:, 8:, 0].mean() / 255 * 10
        return logits


class FailingEngine(FakeEngine):
    """Gives no finite answer."""

    def infer(self, pixels: ImageHWC) -> Logits:
        """See `FakeEngine.infer`."""
        return np.full((1, 3), np.nan, dtype=np.float32)


def encode(pixels: np.ndarray) -> bytes:
    encoded = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(encoded, "PNG")
    return encoded.getvalue()


@pytest.fixture
def spotted() -> bytes:
    """A blue square picture with red in two of its corners."""
    pixels = np.zeros((18, 18, 3))
    pixels[:, :, 2] = 255
    pixels[10:, 10:] = pixels[:8, :8] = (255, 0, 0)
    return encode(pixels)


@pytest.fixture
def heat_map(spotted) -> HeatMap:
    return explain(fake_classifier(CornerEngine()), spotted, 0)


def half_masses(grid: np.ndarray) -> list[float]:
    rows, columns = (side // 2 for side in grid.shape)
    quarters = (
        grid[:rows, :columns],
        grid[:rows, columns:],
        grid[rows:, :columns],
        grid[rows:, columns:],
    )
    return [float(quarter.sum() / grid.sum()) for quarter in quarters]


@pytest.mark.parametrize("budget_seconds", [0, 5])
def test_occlusion_points_to_the_corner_that_the_answer_depends_on(spotted, budget_seconds):
    classifier = fake_classifier(CornerEngine())
    heat_map = explain(classifier, spotted, 0, budget_seconds=budget_seconds)

    assert heat_map.method == "occlusion"
    assert half_masses(heat_map.grid)[3] > 0.8


def test_a_budget_buys_a_finer_grid_and_none_buys_the_coarsest(spotted):
    engine = CornerEngine()
    coarse = explain(fake_classifier(engine), spotted, 0, budget_seconds=0)
    calls = engine.calls
    fine = explain(fake_classifier(engine), spotted, 0, budget_seconds=5)

    assert coarse.grid.shape == (4, 4)
    assert calls == 26
    assert fine.grid.shape == (12, 12)


def test_a_label_that_nothing_speaks_for_has_an_empty_map():
    heat_map = explain(fake_classifier(), plain_picture("red"), 1)

    assert heat_map.label == "green thing"
    assert not heat_map.grid.any()


def test_the_box_is_what_the_model_sees_of_the_upright_picture():
    heat_map = explain(fake_classifier(), plain_picture("red", size=(36, 18)))

    assert heat_map.box == (10, 1, 26, 17)


def test_a_model_without_finite_answers_is_not_explained(spotted):
    with pytest.raises(InferenceFailed):
        explain(fake_classifier(FailingEngine()), spotted)


def test_probabilities_instead_of_logits_are_explained_too(spotted):
    class SoftmaxEngine(CornerEngine):
        def infer(self, pixels):
            weights = np.exp(super().infer(pixels))
            return weights / weights.sum(axis=1, keepdims=True)

    card = fake_card(output={"labels": "colours", "activation": "softmax"})
    plain = explain(fake_classifier(CornerEngine()), spotted, 0, budget_seconds=0)
    softmax = explain(fake_classifier(SoftmaxEngine(), card), spotted, 0, budget_seconds=0)

    np.testing.assert_allclose(softmax.grid, plain.grid, atol=0.005)


@pytest.mark.parametrize("wanted", ["green thing", " GREEN Thing ", "1", 1])
def test_a_label_is_found_by_name_or_index(wanted):
    assert require_class_index(COLOURS, wanted) == 1


def test_a_label_that_is_a_number_is_a_label_first():
    digits = LabelSet("digits", tuple(LabelEntry(name) for name in "2013"))

    assert require_class_index(digits, "2") == 0
    assert require_class_index(digits, 2) == 2


@pytest.mark.parametrize("wanted", ["3", 3, -1, "9" * 5000, "²", "", "nothing"])
def test_an_unknown_label_is_refused(wanted):
    with pytest.raises(InvalidParameter):
        require_class_index(COLOURS, wanted)


def test_the_nearest_labels_are_named():
    with pytest.raises(InvalidParameter, match="Did you mean 'blue thing'"):
        require_class_index(COLOURS, "blu think")


def test_an_overlay_is_bright_where_the_map_is_and_dim_where_the_model_is_blind(spotted, heat_map):
    grey = Image.new("RGB", (180, 180), (80, 80, 80))
    drawn = np.asarray(Image.open(io.BytesIO(draw_overlay(grey, heat_map)))).astype(float)

    hot, cold, blind = drawn[140, 140].mean(), drawn[40, 40], drawn[2, 2]
    assert hot > 110
    np.testing.assert_array_equal(cold, 80)
    np.testing.assert_array_equal(blind, 28)


@pytest.mark.parametrize("size", [(3000, 1000), (1000, 3000), (1, 400), (2, 2)])
def test_an_overlay_keeps_its_shape_and_a_bounded_size(size):
    picture = plain_picture("red", size)
    heat_map = explain(fake_classifier(), picture, budget_seconds=0)

    overlay = Image.open(io.BytesIO(draw_picture(picture, heat_map)))
    assert max(overlay.size) == min(960, max(size))
    assert overlay.width * size[1] == pytest.approx(overlay.height * size[0], rel=0.01)


def test_a_heat_map_survives_the_codec(heat_map):
    copy = decode_entry("key", encode_heat_map("key", heat_map))

    assert isinstance(copy, HeatMap)
    np.testing.assert_array_equal(copy.grid, heat_map.grid)
    for name in ("model", "image", "label", "wnid", "index", "method", "box"):
        assert getattr(copy, name) == getattr(heat_map, name)


@given(st.data())
def test_no_changed_bit_of_a_stored_heat_map_goes_unnoticed(data):
    stored = bytearray(encode_heat_map("key", explain(fake_classifier(), plain_picture("red"))))
    position = data.draw(st.integers(0, len(stored) - 1))
    stored[position] ^= 1 << data.draw(st.integers(0, 7))

    with pytest.raises(CacheError):
        decode_entry("key", bytes(stored))


def test_the_second_map_comes_from_the_cache_and_each_label_has_its_own(spotted, workers):
    engine = CornerEngine()
    service = Service(fake_classifier(engine), TieredCache(MemoryCache(10, 60)), workers=workers)
    first = service.explain(Picture.of(spotted), label="red thing")
    calls = engine.calls

    assert service.explain(Picture.of(spotted), label=0).cache == "hit"
    assert engine.calls == calls
    assert [
        service.explain(Picture.of(spotted)).cache,
        service.explain(Picture.of(spotted)).cache,
    ] == ["miss", "hit"]
    assert service.explain(Picture.of(spotted), label=1).cache == "miss"
    assert service.explain(Picture.of(spotted), label=0, cache="bypass").cache == "bypass"
    assert first.timings_ms["total"] > 0


def test_a_map_under_the_key_of_an_answer_is_not_taken_for_one(spotted, workers):
    class OneEntry(MemoryCache):
        """Whatever is asked for, it is this."""

        def get(self, key):
            return next(iter(self._entries.values()), (0, None))[1]

    service = Service(fake_classifier(), TieredCache(OneEntry(1, 60)), workers=workers)
    service.explain(Picture.of(spotted))

    assert service.classify(Picture.of(spotted)).cache == "miss"
    assert service.explain(Picture.of(spotted)).cache == "miss"
    assert service.explain(Picture.of(spotted), label=1).cache == "miss"


def build_network(path: Path, ending: str) -> Path:
    """Eight filters, then pooling and a dense layer, or something that only looks like it."""
    random = np.random.default_rng(1)

    def weights(name: str, *shape: int) -> TensorProto:
        return numpy_helper.from_array(random.normal(size=shape).astype(np.float32), name)

    nodes = [helper.make_node("Conv", ["input", "filters"], ["map"], strides=[2, 2])]
    dense, last = "pooled", "logits"
    match ending:
        case "GlobalAveragePool" | "AvgPool" | "relu between":
            if ending == "AvgPool":
                nodes.append(
                    helper.make_node("AveragePool", ["map"], ["pool"], kernel_shape=[7, 7])
                )
            else:
                nodes.append(helper.make_node("GlobalAveragePool", ["map"], ["pool"]))
            nodes.append(helper.make_node("Flatten", ["pool"], ["flat"]))
            operator = "Relu" if ending == "relu between" else "Identity"
            nodes.append(helper.make_node(operator, ["flat"], ["pooled"]))
        case "channels last" | "scaled channels" | "softmax":
            nodes.append(helper.make_node("Transpose", ["map"], ["nhwc"], perm=[0, 2, 3, 1]))
            nodes.append(
                helper.make_node("ReduceMean", ["nhwc"], ["pooled"], axes=[1, 2], keepdims=0)
            )
            if ending == "scaled channels":
                nodes.append(helper.make_node("Mul", ["pooled", "scales"], ["scaled"]))
                dense = "scaled"
        case "small pool":
            nodes += [
                helper.make_node("AveragePool", ["map"], ["pool"], kernel_shape=[6, 6]),
                helper.make_node("Flatten", ["pool"], ["pooled"]),
            ]
    inputs = 32 if ending == "small pool" else 8
    if ending == "softmax":
        last = "scores"
        nodes.append(helper.make_node("Gemm", [dense, "dense", "bias"], ["scores"]))
        nodes.append(helper.make_node("Softmax", ["scores"], ["logits"], axis=1))
    else:
        nodes.append(helper.make_node("Gemm", [dense, "dense", "bias"], [last]))
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 3, 16, 16])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 3])],
        [
            weights("filters", 8, 3, 4, 4),
            weights("dense", inputs, 3),
            weights("bias", 3),
            weights("scales", 8),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("ending", ["GlobalAveragePool", "AvgPool", "channels last", "softmax"])
def test_pooling_and_a_dense_layer_are_found_however_they_are_written(ending, tmp_path):
    activation = "softmax" if ending == "softmax" else "none"
    card = fake_card(output={"labels": "colours", "name": "logits", "activation": activation})
    maps = open_feature_maps(build_network(tmp_path / "network.onnx", ending), card)

    assert maps is not None
    batch = np.random.default_rng(2).normal(size=(1, 3, 16, 16)).astype(np.float32)
    outputs, features = maps.infer(batch)
    assert features.shape == (1, 8, 7, 7)
    assert maps.class_weights.shape == (3, 8)
    weighted = maps.class_weights @ features.mean(axis=(2, 3))[0]
    logits = np.log(outputs[0]) if activation == "softmax" else outputs[0]
    without = maps.infer(np.zeros_like(batch))
    base = np.log(without[0][0]) if activation == "softmax" else without[0][0]
    difference = weighted - maps.class_weights @ without[1].mean(axis=(2, 3))[0]
    gained = logits - base
    # bfloat16 where the processor has it; a softmax leaves a shift of all logits open.
    np.testing.assert_allclose(
        difference - difference.mean(), gained - gained.mean(), atol=0.03 * np.ptp(gained)
    )


@pytest.mark.parametrize("ending", ["relu between", "scaled channels", "small pool"])
def test_what_only_looks_like_it_is_left_to_occlusion(ending, tmp_path):
    card = fake_card(output={"labels": "colours", "name": "logits"})

    assert open_feature_maps(build_network(tmp_path / "network.onnx", ending), card) is None
