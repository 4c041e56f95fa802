"""Every engine keeps the same promises, and they agree on real pictures."""

import csv
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from whatsit.answer import softmax
from whatsit.engines import open_engine
from whatsit.engines.base import Engine
from whatsit.errors import InferenceFailed, SettingsError
from whatsit.images.decode import decode_image
from whatsit.images.preprocess import ImageHWC, fit_image, to_batch
from whatsit.models.catalogue import bundled_folder
from whatsit.models.folder import ModelFolder, open_folder
from whatsit.testing import fake_card

ENGINES = ("openvino", "onnxruntime")


@pytest.fixture(scope="module")
def model() -> ModelFolder:
    return open_folder(bundled_folder())


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest, model: ModelFolder) -> Iterator[Engine]:
    engine = open_engine(request.param, model.weights, model.card)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def pixels(model: ModelFolder) -> ImageHWC:
    size = model.card.input.size
    return np.random.default_rng(7).integers(0, 256, (size, size, 3), dtype=np.uint8)


def test_logits_are_one_float32_row_an_image(engine, pixels, model):
    logits = engine.infer(pixels)

    assert logits.shape == (1, len(model.labels)) == (1, engine.num_classes)
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()


def test_the_same_pixels_give_the_same_logits(engine, pixels):
    np.testing.assert_array_equal(engine.infer(pixels), engine.infer(pixels))


def test_logits_belong_to_the_caller(engine, pixels):
    first = engine.infer(pixels)
    kept = first.copy()
    engine.infer(np.zeros_like(pixels))

    np.testing.assert_array_equal(first, kept)


def test_threads_get_the_answers_they_would_get_alone(engine, pixels):
    pictures = [(pixels * factor).astype(np.uint8) for factor in np.linspace(0.2, 1.0, 12)]
    alone = [engine.infer(one) for one in pictures]

    with ThreadPoolExecutor(6) as threads:
        together = list(threads.map(engine.infer, pictures * 3))

    for got, wanted in zip(together, alone * 3, strict=True):
        # One and several threads may add in another order, and int8 rounds the difference up.
        assert np.abs(softmax(got) - softmax(wanted)).max() < 0.02


def test_pixels_of_the_wrong_shape_are_refused(engine):
    with pytest.raises(InferenceFailed):
        engine.infer(np.zeros((8, 8, 3), dtype=np.uint8))


@pytest.mark.parametrize("channel_order", ["RGB", "BGR"])
@pytest.mark.parametrize("name", ENGINES)
def test_pixels_are_normalised_as_the_card_says(name, channel_order, tmp_path: Path):
    card = fake_card(
        input={
            **{"size": 16, "resize_shorter_side": 18, "channel_order": channel_order},
            **{"scale": 1 / 64, "mean": (0.5, 1.5, 2.5), "std": (0.25, 0.5, 2.0)},
        }
    )
    pixels = np.random.default_rng(5).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    pixels[:, :, 0] //= 4
    engine = open_engine(name, _channel_means(tmp_path / "means.onnx"), card)

    expected = to_batch(pixels, card.input).mean(axis=(2, 3))

    np.testing.assert_allclose(engine.infer(pixels), expected, rtol=0.01, atol=0.01)


def _channel_means(path: Path) -> Path:
    """A model whose logits are the mean of each channel of its input."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["input"], ["means"]),
        helper.make_node("Flatten", ["means"], ["logits"]),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("input", [1, 3, 16, 16]), ("logits", [1, 3]))
    ]
    graph = helper.make_graph(nodes, "means", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("name", ENGINES)
def test_weights_that_are_no_model_are_refused(name, model, tmp_path: Path):
    nonsense = tmp_path / "model.onnx"
    nonsense.write_bytes(b"not a model")

    with pytest.raises(InferenceFailed) as caught:
        open_engine(name, nonsense, model.card)
    assert str(tmp_path) not in caught.value.detail


@pytest.mark.parametrize("name", ENGINES)
def test_a_card_that_names_another_output_is_refused(name, model):
    output = model.card.output.model_copy(update={"name": "elsewhere"})
    card = model.card.model_copy(update={"output": output})

    with pytest.raises(InferenceFailed, match="elsewhere"):
        open_engine(name, model.weights, card)


def test_an_unknown_engine_is_refused_with_the_known_ones(model):
    with pytest.raises(SettingsError, match="openvino"):
        open_engine("tensorrt", model.weights, model.card)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["bundled", "resnet50"])
def test_engines_agree_on_real_pictures(name, model, shared):
    if name == "resnet50":
        model = open_folder(shared / "models" / "resnet50-tf")
    folder = shared / "images" / "photos300"
    with (folder / "labels.csv").open() as table:
        files = [row["file"] for row in csv.DictReader(table)][::5]
    spec = model.card.input
    pictures = [
        fit_image(decode_image((folder / file).read_bytes()).pixels, spec) for file in files
    ]
    engines = [open_engine(engine, model.weights, model.card) for engine in ENGINES]

    ours, theirs = ([engine.infer(pixels) for pixels in pictures] for engine in engines)

    agreed = [np.argmax(a) == np.argmax(b) for a, b in zip(ours, theirs, strict=True)]
    differences = [np.abs(softmax(a) - softmax(b)).max() for a, b in zip(ours, theirs, strict=True)]
    # bfloat16 and int8 kernels round differently; near-ties may swap on a picture or two.
    assert np.mean(agreed) >= 0.95
    assert np.median(differences) < 0.03


@pytest.mark.shared
def test_weights_stored_in_8_bits_survive_several_streams(shared, pixels):
    model = open_folder(shared / "models" / "resnet50-tf")
    reference = open_engine("onnxruntime", model.weights, model.card)
    engine = open_engine("openvino", model.weights, model.card)
    centre = pixels[:224, :224]
    pictures = [(centre * factor).astype(np.uint8) for factor in np.linspace(0.2, 1.0, 8)]

    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(engine.infer, pictures * 2))

    for got, wanted in zip(together, [reference.infer(one) for one in pictures] * 2, strict=True):
        # bfloat16 has 8 bits of mantissa: about 1 % of the spread after fifty layers.
        assert np.abs(got - wanted).max() < 0.05 * np.ptp(wanted)
