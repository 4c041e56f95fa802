"""Models as exporters write them: taken, or refused with what is wrong, by every engine alike."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from onnx import TensorProto

from tests.support.tiny_models import CLASSES, SIZE, WEIGHTS, write_tiny_model
from whatsit.classifier import Classifier
from whatsit.cli import cli
from whatsit.data import example_pictures
from whatsit.errors import InferenceFailed, SettingsError, WhatsitError
from whatsit.models.store import ModelStore
from whatsit.pipeline.trial import require_running

ENGINES = ("openvino", "onnxruntime")
Add = Callable[..., str]

TAKEN: dict[str, dict[str, Any]] = {
    "usual": {},
    "any number of pictures": {"shape": ("N", 3, SIZE, SIZE), "output_shape": ("N", CLASSES)},
    "any size": {"shape": ("N", 3, "h", "w"), "output_shape": ("N", "classes")},
    "scores with sides of one": {"output_shape": (1, CLASSES, 1, 1)},
    "16 bits": {"kind": TensorProto.FLOAT16},
    "64 bits": {"kind": TensorProto.DOUBLE},
    "weights beside it": {"data_file": "tiny.onnx.data"},
}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "channels last": (
        {"shape": (1, SIZE, SIZE, 3)},
        r"\(1, 32, 32, 3\), with the channels last.*--inputs-as-nchw input",
    ),
    "grey": ({"shape": (1, 1, SIZE, SIZE), "weights": WEIGHTS[:1]}, "one channel"),
    "four channels": (
        {"shape": (1, 4, SIZE, SIZE), "weights": np.ones((4, CLASSES), np.float32)},
        "4 channels",
    ),
    "another size": ({"shape": (1, 3, SIZE, 48)}, r"\(1, 3, 32, 48\).*32 x 32.*--size"),
    "eight at a time": (
        {"shape": (8, 3, SIZE, SIZE), "output_shape": (8, CLASSES)},
        "takes 8 pictures at a time",
    ),
    "two inputs": ({"second_input": True}, r"takes 2 inputs \('input'.*'mask'"),
    "one dimension": ({"output_shape": (CLASSES,)}, r"shape \(4\).*\(N, classes\)"),
    "a map of scores": (
        {"output_shape": (1, 2, 2, 1)},
        r"shape \(1, 2, 2, 1\).*one score for each class",
    ),
    "the number of a class": ({"ends": "ArgMax", "output_shape": (1, 1)}, "gives int64"),
    "signed bytes": ({"kind": TensorProto.INT8}, "int8, which can't hold a picture"),
    "yes and no": ({"kind": TensorProto.BOOL}, "bool, which can't hold a picture"),
    "not a number": ({"weights": np.full_like(WEIGHTS, np.nan)}, "NaN or infinity"),
    "infinity": ({"weights": np.full_like(WEIGHTS, np.inf)}, "NaN or infinity"),
    "always the same": ({"ends": "Nothing"}, "same answer to every picture"),
    "softmax twice": ({"ends": "Softmax"}, r"gives probabilities.*--softmax"),
}


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Add:
    labels = tmp_path / "labels.txt"
    labels.write_text("owl\nwren\njay\ncrow\n", encoding="utf-8")

    def add(engine: str, *options: str, **form: Any) -> str:
        weights = write_tiny_model(tmp_path / "tiny.onnx", **form)
        monkeypatch.setenv("WHATSIT_ENGINE", engine)
        command = ("models", "add", str(weights), "--name", "tiny", "--labels", str(labels))
        store = ("--size", str(SIZE), "--store", str(tmp_path / "home"))
        done = CliRunner().invoke(cli, [*command, *store, *options])
        if done.exception is not None:
            raise done.exception
        return done.output

    return add


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("form", TAKEN)
def test_a_model_that_can_be_run_is_taken_and_answers(tmp_path, add, form, engine):
    assert "tiny is here (4 classes)" in add(engine, **TAKEN[form])

    for beside in tmp_path.glob("tiny.onnx*"):
        beside.unlink()
    folder = ModelStore(tmp_path / "home").open("tiny")
    with Classifier.from_folder(folder, engine=engine) as classifier:
        pixels, _ = classifier.prepare(example_pictures()["bee"])
        expected = (pixels.astype(np.float32) / 255).mean(axis=(0, 1)) @ WEIGHTS
        given = classifier.engine.infer(pixels)
    assert given.shape == (1, CLASSES)
    # bfloat16 and float16 have 8 and 11 bits.
    np.testing.assert_allclose(given[0], expected, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("form", REFUSED)
def test_a_model_that_can_not_be_run_is_refused_with_the_reason(tmp_path, add, form, engine):
    facts, complaint = REFUSED[form]

    with pytest.raises(InferenceFailed, match=complaint) as caught:
        add(engine, **facts)

    assert str(tmp_path) not in caught.value.detail
    assert ModelStore(tmp_path / "home").names() == ()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", [TensorProto.UINT8, TensorProto.INT32])
def test_a_model_that_takes_whole_numbers_gets_the_pixels_as_they_are(tmp_path, add, kind, engine):
    add(engine, kind=kind)

    folder = ModelStore(tmp_path / "home").open("tiny")
    assert folder.card.input.scale == 1.0
    with Classifier.from_folder(folder, engine=engine) as classifier:
        pixels, _ = classifier.prepare(example_pictures()["bee"])
        given = classifier.engine.infer(pixels)[0]
    expected = pixels.astype(np.float32).mean(axis=(0, 1)) @ WEIGHTS
    np.testing.assert_allclose(given, expected, rtol=0.02, atol=2)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_card_that_scales_what_takes_whole_numbers_is_refused(tmp_path, add, engine):
    with pytest.raises(SettingsError, match=r"whole numbers \(uint8\).*Leave out --mean"):
        add(engine, "--mean", "0.5", "0.5", "0.5", kind=TensorProto.UINT8)

    add(engine, kind=TensorProto.UINT8)
    store = ModelStore(tmp_path / "home")
    folder = store.open("tiny")
    spec = folder.card.input.model_copy(update={"scale": 1 / 255})
    store.replace_card("tiny", folder.card.model_copy(update={"input": spec}))
    with pytest.raises(InferenceFailed, match=r"whole numbers \(uint8\).*scale = 1\.0"):
        require_running(store.open("tiny"), engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_probabilities_are_taken_for_what_they_are_where_that_is_said(add, engine):
    assert "is here" in add(engine, "--softmax", ends="Softmax")

    with pytest.raises(InferenceFailed, match=r"do not sum to 1.*without --softmax"):
        add(engine, "--softmax")


def test_a_stored_model_whose_softmax_is_applied_twice_answers_and_says_so(tmp_path, add):
    add("openvino", "--softmax", ends="Softmax")
    store = ModelStore(tmp_path / "home")
    card = store.card("tiny")
    output = card.output.model_copy(update={"activation": "none"})
    store.replace_card("tiny", card.model_copy(update={"output": output}))

    with Classifier.from_folder(store.open("tiny")) as classifier:
        assert "gives probabilities" in str(classifier.complaint)
        assert classifier.classify(example_pictures()["bee"]).top


def test_operators_that_are_too_new_are_told_with_who_wrote_them(add):
    with pytest.raises(InferenceFailed, match=r"opset 99, written by tiny 1\.0.*older opset"):
        add("onnxruntime", opset=99)


def test_weights_whose_data_file_is_missing_are_refused_by_its_name(tmp_path, add):
    def without_data() -> None:
        weights = write_tiny_model(tmp_path / "lone" / "lone.onnx", data_file="lone.onnx.data")
        weights.with_name("lone.onnx.data").unlink()
        command = ["models", "add", str(weights), "--name", "lone", "--store", str(tmp_path / "h")]
        done = CliRunner().invoke(cli, command)
        assert done.exception is not None
        raise done.exception

    (tmp_path / "lone").mkdir()
    with pytest.raises(WhatsitError, match=r"lone\.onnx keeps weights in 'lone\.onnx\.data', and"):
        without_data()


def test_set_live_tries_a_model_like_add_does(tmp_path, add):
    add("openvino")
    store = ModelStore(tmp_path / "home")
    broken = write_tiny_model(tmp_path / "broken.onnx", weights=np.full_like(WEIGHTS, np.nan))
    card = store.card("tiny")
    store.add_weights(
        broken,
        lambda copy: card.with_weights(_digest(copy)).renamed("broken"),
        tmp_path / "labels.txt",
    )

    command = ["models", "set-live", "broken", "--store", str(tmp_path / "home")]
    done = CliRunner().invoke(cli, command)

    assert isinstance(done.exception, InferenceFailed)
    assert "NaN" in done.exception.detail


def _digest(path: Path) -> str:
    from whatsit.models.folder import weights_digest

    return weights_digest(path)
