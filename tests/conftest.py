"""Fixtures that several kinds of tests share."""

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.support.running import RunningServer, start_server
from whatsit.classifier import Classifier
from whatsit.models.store import ModelStore
from whatsit.service.workers import Workers

ROOT = Path(__file__).resolve().parent.parent


# How long an example takes is the machine's doing; a test that is about time says so.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own settings must not decide a test."""
    for name in list(os.environ):
        if name.startswith("WHATSIT_") and name != "WHATSIT_SHARED":
            monkeypatch.delenv(name)


@pytest.fixture
def workers() -> Iterator[Workers]:
    """Two threads that work on pictures."""
    workers = Workers(2)
    yield workers
    workers.close()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real models and labelled pictures."""
    folder = Path(os.environ.get("WHATSIT_SHARED", ROOT.parent / "shared"))
    if not (folder / "models").is_dir():
        pytest.skip("The folder of real models and pictures is missing; set WHATSIT_SHARED.")
    return folder


@pytest.fixture(scope="session")
def bundled() -> Iterator[Classifier]:
    """The bundled model, warm."""
    with Classifier.load("efficientnet-lite2") as classifier:
        yield classifier


@pytest.fixture(scope="session")
def resnet_home(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose store holds a real ResNet50 under its name."""
    home = tmp_path_factory.mktemp("resnet-home")
    ModelStore(home).add(shared / "models" / "resnet50-tf")
    return home


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """``whatsit serve`` as a process of its own: the bundled model, page and API."""
    with start_server(tmp_path_factory.mktemp("home"), model="efficientnet-lite2") as running:
        yield running


@pytest.fixture(scope="session")
def resnet_server(resnet_home: Path) -> Iterator[RunningServer]:
    """``whatsit serve`` with a real ResNet50."""
    with start_server(resnet_home, model="resnet50") as running:
        yield running
