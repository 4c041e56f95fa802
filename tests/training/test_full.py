"""Mode ``full``: a network of Keras trained in two stages, killed and gone on with."""

import os
import signal
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest

from whatsit.classifier import Classifier
from whatsit.errors import ModelUnavailable, PipelineError
from whatsit.models.folder import open_folder
from whatsit.pipeline.finetune import finetune
from whatsit.pipeline.report import read_report

pytest.importorskip("keras")

pytestmark = [pytest.mark.training, pytest.mark.filterwarnings("ignore")]

CHOICES: dict[str, Any] = {
    "base": "VGG16",
    "mode": "full",
    "weights": "random",
    "image_size": 32,
    "epochs": 2,
    "batch_size": 4,
    "checkpoint_steps": 1,
}

PROGRAM = """
import sys
from pathlib import Path
from whatsit.pipeline.finetune import finetune
data, manifest, out, checkpoints = map(Path, sys.argv[1:])
finetune(data, manifest, out, checkpoints=checkpoints, **{choices!r})
"""


@pytest.fixture(scope="module")
def through_checkpoints(tmp_path_factory):
    return tmp_path_factory.mktemp("checkpoints")


@pytest.fixture(scope="module")
def through(few, through_checkpoints, tmp_path_factory):
    """A run that nobody stopped."""
    out = tmp_path_factory.mktemp("through")
    return finetune(few[0], few[1], out, checkpoints=through_checkpoints, **CHOICES)


def steps_done(checkpoints) -> int:
    from json import loads

    try:
        with np.load(checkpoints / "latest.npz") as stored:
            return int(loads(str(stored["facts"]))["progress"]["step"])
    except OSError:
        return 0


def state_of(checkpoints):
    """All variables of network, augmentation and optimiser."""
    with np.load(checkpoints / "latest.npz") as stored:
        return {name: stored[name] for name in stored.files if name != "facts"}


def test_a_killed_run_goes_on_at_its_step_and_ends_as_if_nothing_had_been(
    few, through, through_checkpoints, tmp_path
):
    checkpoints = tmp_path / "checkpoints"
    arguments = [*map(str, few), str(tmp_path / "killed"), str(checkpoints)]
    program = PROGRAM.format(choices=CHOICES)
    running = subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stderr=subprocess.DEVNULL
    )
    try:
        # In the middle of the second epoch, which is the second stage.
        total = read_report(through)["steps"]
        limit = time.monotonic() + 180
        while steps_done(checkpoints) < total // 2 + 1:
            assert running.poll() is None
            assert time.monotonic() < limit
            time.sleep(0.02)
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait()
    assert not (tmp_path / "killed" / "model.onnx").exists()
    stopped_at = steps_done(checkpoints)

    finetune(few[0], few[1], tmp_path / "out", checkpoints=checkpoints, **CHOICES)

    report, expected = read_report(tmp_path / "out"), read_report(through)
    assert report["resumed_at_step"] == stopped_at < total
    assert report["steps"] == total
    assert report["train_accuracy"] == expected["train_accuracy"]
    assert report["validation_accuracy"] == expected["validation_accuracy"]
    state = state_of(checkpoints)
    for name, value in state_of(through_checkpoints).items():
        # The same numbers but for the last digits of float32.
        np.testing.assert_allclose(state[name], value, rtol=1e-3, atol=1e-5, err_msg=name)


def test_the_exported_model_gives_what_keras_gives(through):
    report = read_report(through, "finetune")

    assert report["epochs"] == 2
    assert report["pictures_compared"] > 0
    assert report["logits_max_abs_difference"] <= 1e-4


def test_the_exported_model_is_a_model_folder(few, through):
    model = open_folder(through)

    assert model.card.input.size == 32
    assert model.card.input.mean == (103.939, 116.779, 123.68)
    assert model.card.licence == ""
    with Classifier.from_folder(model) as classifier:
        answer = classifier.classify(next((few[0] / "lemon").iterdir()).read_bytes())
    assert {entry.label for entry in answer.top} == {entry.label for entry in model.labels.entries}


def test_checkpoints_of_another_run_are_refused(few, tmp_path):
    from whatsit.pipeline.training.checkpoints import Checkpoints, Progress

    Checkpoints(tmp_path, {"seed": 0, "base": "MobileNet"}).save(Progress(step=3), [])

    with pytest.raises(PipelineError, match="differs in seed"):
        Checkpoints(tmp_path, {"seed": 1, "base": "MobileNet"}).latest()


def test_weights_that_cannot_be_downloaded_are_named(few, tmp_path):
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "KERAS_HOME": str(tmp_path / "keras"),
        # Refuses every connection.
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
    }
    choices = {**CHOICES, "weights": "imagenet", "image_size": 128}
    arguments = [*map(str, few), str(tmp_path / "out"), str(tmp_path / "checkpoints")]

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(choices=choices), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode != 0
    assert ModelUnavailable.__name__ in done.stderr.splitlines()[-1]
    assert "can't download its weights of VGG16" in done.stderr
