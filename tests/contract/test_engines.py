"""Every engine keeps the same promises, and they agree on real pictures."""

import csv
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from whatsit.answer import softmax
from whatsit.engines import open_engine
from whatsit.engines.base import Engine
from whatsit.errors import InferenceFailed, SettingsError
from whatsit.images import decode_image
from whatsit.models.catalogue import bundled_folder
from whatsit.models.store import ModelFolder, open_folder
from whatsit.preprocess import BatchNCHW, fit_image, to_batch

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
def batch(model: ModelFolder) -> BatchNCHW:
    size = model.card.input.size
    noise = np.random.default_rng(7).integers(0, 256, (size, size, 3), dtype=np.uint8)
    return to_batch(noise, model.card.input)


def test_logits_are_one_float32_row_an_image(engine, batch, model):
    logits = engine.infer(batch)

    assert logits.shape == (1, len(model.labels)) == (1, engine.num_classes)
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()


def test_the_same_batch_gives_the_same_logits(engine, batch):
    np.testing.assert_array_equal(engine.infer(batch), engine.infer(batch))


def test_logits_belong_to_the_caller(engine, batch):
    first = engine.infer(batch)
    kept = first.copy()
    engine.infer(np.zeros_like(batch))

    np.testing.assert_array_equal(first, kept)


def test_threads_get_the_answers_they_would_get_alone(engine, batch):
    batches = [batch * factor for factor in np.linspace(0.2, 1.0, 12, dtype=np.float32)]
    alone = [engine.infer(one) for one in batches]

    with ThreadPoolExecutor(6) as threads:
        together = list(threads.map(engine.infer, batches * 3))

    for got, wanted in zip(together, alone * 3, strict=True):
        # One and several threads may add in another order, and int8 rounds the difference up.
        assert np.abs(softmax(got) - softmax(wanted)).max() < 0.02


def test_a_batch_of_the_wrong_shape_is_refused(engine):
    with pytest.raises(InferenceFailed):
        engine.infer(np.zeros((1, 1, 8, 8), dtype=np.float32))


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
    batches = [
        to_batch(fit_image(decode_image((folder / file).read_bytes()).pixels, spec), spec)
        for file in files
    ]
    engines = [open_engine(engine, model.weights, model.card) for engine in ENGINES]

    ours, theirs = ([engine.infer(batch) for batch in batches] for engine in engines)

    agreed = [np.argmax(a) == np.argmax(b) for a, b in zip(ours, theirs, strict=True)]
    differences = [np.abs(softmax(a) - softmax(b)).max() for a, b in zip(ours, theirs, strict=True)]
    # bfloat16 and int8 kernels round differently; near-ties may swap on a picture or two.
    assert np.mean(agreed) >= 0.95
    assert np.median(differences) < 0.03


@pytest.mark.shared
def test_weights_stored_in_8_bits_survive_several_streams(shared, batch):
    model = open_folder(shared / "models" / "resnet50-tf")
    reference = open_engine("onnxruntime", model.weights, model.card)
    engine = open_engine("openvino", model.weights, model.card)
    centre = batch[:, :, :224, :224]
    batches = [centre * factor for factor in np.linspace(20, 90, 8, dtype=np.float32)]

    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(engine.infer, batches * 2))

    for got, wanted in zip(together, [reference.infer(one) for one in batches] * 2, strict=True):
        # bfloat16 has 8 bits of mantissa: about 1 % of the spread after fifty layers.
        assert np.abs(got - wanted).max() < 0.05 * np.ptp(wanted)
