"""Mode ``head``: a new classifier on a network that stays as it is."""

import os

import numpy as np
import pytest

from whatsit.classifier import Classifier
from whatsit.errors import PipelineError, SettingsError
from whatsit.models.catalogue import BUNDLED_MODEL, bundled_folder
from whatsit.models.folder import open_folder
from whatsit.pipeline.finetune import finetune
from whatsit.pipeline.manifest import read_manifest, read_picture
from whatsit.pipeline.optimise import optimise
from whatsit.pipeline.report import read_report

onnx = pytest.importorskip("onnx")

pytestmark = [pytest.mark.training, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def trained(few, tmp_path_factory):
    data, manifest = few
    return finetune(data, manifest, tmp_path_factory.mktemp("head"), epochs=12, batch_size=8)


def test_the_model_tells_the_own_classes_apart(few, trained):
    data, manifest = few
    dataset = read_manifest(manifest)
    model = open_folder(trained)
    assert [entry.label for entry in model.labels.entries] == [
        entry.label for entry in dataset.classes
    ]
    with Classifier.from_folder(model) as classifier:
        for picture in dataset.pictures_of("test"):
            best = classifier.classify(read_picture(data, picture)).top[0]
            assert best.index == picture.class_index


def test_the_card_says_where_the_model_comes_from(few, trained):
    card = open_folder(trained).card
    base = open_folder(bundled_folder()).card

    assert card.input == base.input
    assert card.licence == base.licence
    assert card.provenance["base"] == BUNDLED_MODEL
    assert len(card.provenance["base_fingerprint"]) == 64
    assert card.provenance["data_sha256"] == read_manifest(few[1]).data_sha256
    assert card.provenance["seed"] == 0
    # Both fit the base's own classes.
    assert card.recognition is None
    assert card.answer_set is None


def test_the_report_proves_the_joined_network_and_leaves_figures_for_tensorboard(trained):
    report = read_report(trained, "finetune")

    assert report["pictures_compared"] > 0
    assert report["logits_max_abs_difference"] <= 1e-4
    assert list((trained / "tensorboard").glob("events.out.tfevents.*"))


def test_the_same_seed_gives_the_same_model(few, trained, tmp_path):
    data, manifest = few

    finetune(data, manifest, tmp_path, epochs=12, batch_size=8)

    first, again = (
        onnx.numpy_helper.to_array(
            next(
                entry
                for entry in onnx.load(folder / "model.onnx").graph.initializer
                if entry.name == "head/weights"
            )
        )
        for folder in (trained, tmp_path)
    )
    np.testing.assert_allclose(first, again, atol=1e-5)


def test_a_model_in_8_bits_is_not_quantised_again(few, trained, tmp_path):
    data, manifest = few

    optimise(data, manifest, tmp_path, model=trained)

    assert "8 bits already" in read_report(tmp_path, "optimise")["reason"]
    assert open_folder(tmp_path).card == open_folder(trained).card


def test_a_base_that_ends_otherwise_is_refused(few, tmp_path):
    network = onnx.load(bundled_folder() / "model.onnx")
    card = open_folder(bundled_folder()).card
    # Its features as the answer: there is no dense layer behind them.
    from whatsit.pipeline.graph import cut_classifier

    trunk = cut_classifier(network, card.output.name)
    with pytest.raises(PipelineError, match="does not end in a dense layer"):
        cut_classifier(trunk.model, trunk.features)


def test_an_argument_that_would_have_no_effect_is_refused(few, tmp_path):
    with pytest.raises(SettingsError, match="image_size is for mode 'full'"):
        finetune(few[0], few[1], tmp_path, image_size=128)


def test_figures_reach_mlflow_where_it_is_asked_for(few, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "runs").as_uri())
    mlflow.set_tracking_uri(None)

    finetune(few[0], few[1], tmp_path / "out", epochs=3)

    (run,) = mlflow.MlflowClient().search_runs(["0"])
    assert run.info.status == "FINISHED"
    assert run.data.params["base"] == BUNDLED_MODEL
    assert len(mlflow.MlflowClient().get_metric_history(run.info.run_id, "val_loss")) == 3


def test_a_tracking_server_that_is_not_there_stops_nothing(few, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")

    finetune(few[0], few[1], tmp_path / "out", epochs=1)

    assert "MLflow does not take figures" in caplog.text
    assert os.path.isfile(tmp_path / "out" / "model.onnx")  # noqa: PTH113
