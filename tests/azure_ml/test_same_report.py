"""The YAML for Azure ML and ``whatsit pipeline run`` say the same about the same pictures."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.azure_ml.definitions import PIPELINE
from tests.azure_ml.local_run import run_pipeline
from whatsit.pipeline.azure_ml.definition import with_inputs
from whatsit.pipeline.azure_ml.reader import load_pipeline

pytestmark = [pytest.mark.training, pytest.mark.shared]

FOLDERS = {
    "prepare": "manifest",
    "finetune": "model",
    "evaluate": "evaluation",
    "optimise": "model",
    "register": "registration",
    "promote": "promotion",
}
NAME, EPOCHS, TEST_RATIO = "owls", 4, 0.3
TIMES = ("seconds", "latency", "_ms")


@pytest.fixture(scope="module")
def pictures(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of 24 pictures each."""
    source = shared / "images" / "imagenette600"
    folder = tmp_path_factory.mktemp("pictures")
    classes = sorted(entry for entry in (source / "train").iterdir() if entry.is_dir())[:3]
    for one in classes:
        (folder / one.name).mkdir()
        for picture in sorted(one.iterdir())[:24]:
            shutil.copy2(picture, folder / one.name)
    return folder


def without_times(fact: Any) -> Any:
    """A report without what no two runs have in common: durations, and the folders in between."""
    if isinstance(fact, dict):
        is_a_time = any(word in str(fact.get("figure")) for word in TIMES)
        return {
            key: without_times(value)
            for key, value in fact.items()
            if key != "arguments"
            and not any(word in key for word in TIMES)
            and not (is_a_time and key in {"live", "candidate"})
        }
    return [without_times(entry) for entry in fact] if isinstance(fact, list) else fact


def test_the_reports_of_all_steps_are_the_same(pictures, tmp_path):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "whatsit", "pipeline", "run"),
            *("--data", str(pictures), "--work", str(tmp_path / "run"), "--name", NAME),
            *("--epochs", str(EPOCHS), "--test-ratio", str(TEST_RATIO)),
            *("--latency-budget-ms", "60000", "--store", str(tmp_path / "store")),
        ],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    inputs = {
        "data": str(pictures),
        "name": NAME,
        "epochs": str(EPOCHS),
        "test_ratio": str(TEST_RATIO),
        "latency_budget_ms": "60000",
    }
    run_pipeline(with_inputs(load_pipeline(PIPELINE), inputs), tmp_path / "local")

    for step, output in FOLDERS.items():
        one = json.loads((tmp_path / "run" / step / "report.json").read_text())
        other = json.loads((tmp_path / "local" / step / output / "report.json").read_text())
        assert one["step"] == step
        assert without_times(other) == without_times(one), step
