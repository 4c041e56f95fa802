"""Networks of Keras as model folders."""

import subprocess
import sys

import numpy as np
import pytest

from whatsit.classifier import Classifier
from whatsit.errors import InvalidModelCard, SettingsError
from whatsit.models.importers.architectures import find_architecture
from whatsit.models.importers.keras import import_keras
from whatsit.models.importers.onnx_export import require_same_logits
from whatsit.models.importers.preprocessing import describe_input
from whatsit.models.store import ModelStore
from whatsit.pipeline.optimise import optimise
from whatsit.pipeline.report import read_report

pytest.importorskip("keras")

pytestmark = [pytest.mark.training, pytest.mark.filterwarnings("ignore")]

IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
NOTHING = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@pytest.mark.parametrize(
    ("name", "order", "mean", "std"),
    [
        ("ResNet50", "BGR", (103.939, 116.779, 123.68), (1.0, 1.0, 1.0)),
        ("ResNet50V2", "RGB", (127.5,) * 3, (127.5,) * 3),
        ("DenseNet121", "RGB", IMAGENET_MEAN, IMAGENET_STD),
        ("EfficientNetV2B0", "RGB", *NOTHING),
        ("ConvNeXtTiny", "RGB", *NOTHING),
    ],
)
def test_the_card_says_what_keras_does_to_pixels(name, order, mean, std):
    spec = describe_input(find_architecture(name), 224)

    assert (spec.channel_order, spec.mean, spec.std) == (order, mean, std)
    assert (spec.size, spec.resize_shorter_side, spec.scale) == (224, 256, 1.0)


def test_preprocessing_that_no_card_can_say_is_refused():
    architecture = find_architecture("ResNet50")
    for odd in (lambda x: -x, np.sqrt):
        changed = type(architecture)("Odd", architecture.build, odd)
        with pytest.raises(InvalidModelCard, match="can't be put on a card"):
            describe_input(changed, 224)


def test_logits_that_differ_are_refused():
    logits = np.array([[1.0, 2.0]], dtype=np.float32)

    assert require_same_logits(logits, logits + np.float32(1e-5), "It") <= 2e-5
    with pytest.raises(InvalidModelCard, match="differ by"):
        require_same_logits(logits, logits + np.float32(1e-3), "It")


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    import_keras("keras:ResNet50", ModelStore(home), weights="random")
    return home


def test_an_imported_network_answers_like_any_model(imported):
    card = ModelStore(imported).card("resnet50-random")

    assert card.provenance["logits_max_abs_difference"] <= 1e-4
    assert "random" in card.description
    with Classifier.load("resnet50-random", home=imported) as classifier:
        assert classifier.engine.num_classes == 1000


def test_a_float_model_becomes_8_bits_only_if_that_is_as_good(few, imported, tmp_path):
    data, manifest = few

    optimise(data, manifest, tmp_path, model="resnet50-random", store=imported, max_drop=1.0)

    report = read_report(tmp_path, "optimise")
    parity = report["parity"]
    assert parity["split"] == "validation"
    assert parity["bytes_after"] < 0.4 * parity["bytes_before"]
    assert parity["max_logit_difference"] > 0
    faster = parity["latency_ms_after"] < parity["latency_ms_before"]
    assert report["kept"] == ("int8" if faster else "as it was")


def test_an_unknown_architecture_names_the_known_ones():
    with pytest.raises(SettingsError, match=r"no architecture 'ResNet51'.*ResNet50"):
        find_architecture("keras:ResNet51")


def test_the_command_imports_and_says_how_to_serve(tmp_path):
    command = ["models", "import", "keras:MobileNetV2", "--weights", "random", "--name", "blank"]
    done = subprocess.run(
        [sys.executable, "-m", "whatsit", *command, "--store", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=180,
    )

    assert done.returncode == 0, done.stderr
    assert "whatsit serve --model blank" in done.stdout
    assert ModelStore(tmp_path).open("blank").card.architecture == "mobilenetv2"
