"""A store that can't be written: every command says so in a sentence, and what is there is read."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.unit.test_models import make_folder
from whatsit.access.keys import KeyFile
from whatsit.cli import cli
from whatsit.errors import FeedbackUnavailable, SettingsError, StoreUnusable, WhatsitError
from whatsit.models.catalogue import BUNDLED_MODEL, bundled_folder, catalogue
from whatsit.models.live import LiveAlias
from whatsit.models.store import ModelStore
from whatsit.picture import Picture

WRITING: dict[str, tuple[str, ...]] = {
    "add": ("models", "add", str(bundled_folder()), "--name", "petals"),
    "add a file": ("models", "add", str(bundled_folder() / "model.onnx"), "--name", "petals"),
    "pull": ("models", "pull", next(iter(catalogue()))),
    "remove": ("models", "remove", "birds"),
    "set-live": ("models", "set-live", BUNDLED_MODEL),
    "canary": ("models", "canary", BUNDLED_MODEL),
    "end of a canary": ("models", "canary", "--end"),
    "rollback": ("models", "rollback"),
    "new key": ("keys", "create", "shop"),
    "revoked key": ("keys", "revoke", "0a1b2c3d"),
    "forget": ("feedback", "forget", "--all"),
}
READING: dict[str, tuple[str, ...]] = {
    "models": ("models", "list"),
    "what is live": ("models", "live"),
    "keys": ("keys", "list"),
    "corrections": ("feedback", "list"),
    "settings": ("settings",),
}


@pytest.fixture(params=["below a file", "read-only"])
def closed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A store that this user can't write to."""
    if request.param == "below a file":
        (tmp_path / "file").touch()
        yield tmp_path / "file" / "store"
        return
    store = tmp_path / "store"
    ModelStore(store).add(make_folder(tmp_path / "birds"))
    ModelStore(store).add(bundled_folder(), "petals")
    LiveAlias(store).promote("petals")
    LiveAlias(store).promote(BUNDLED_MODEL)
    KeyFile(store).create("shop")
    folders = [store, *(path for path in store.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    if os.access(store, os.W_OK):
        pytest.skip("Root may write everywhere.")
    yield store
    for folder in folders:
        folder.chmod(0o755)


def run(store: Path, *command: str) -> BaseException | None:
    option = () if command == ("settings",) else ("--store", str(store))
    error = CliRunner().invoke(cli, [*command, *option]).exception
    return None if isinstance(error, SystemExit) and error.code == 0 else error


@pytest.mark.parametrize("command", WRITING)
def test_what_writes_is_refused_with_a_sentence(closed, command):
    error = run(closed, *WRITING[command])

    if error is None:
        assert command == "forget"  # nothing is kept there, so nothing has to be written
        return
    assert isinstance(error, WhatsitError), repr(error)
    assert error.detail
    if isinstance(error, StoreUnusable):
        assert "can't be written" in error.detail
    else:
        # Nothing of that name is there, or nothing is live.
        assert isinstance(error, (SettingsError, FeedbackUnavailable)) or command in {
            *("remove", "rollback", "revoked key", "canary"),
        }


@pytest.mark.parametrize("command", READING)
def test_what_only_reads_works(closed, command):
    error = run(closed, *READING[command])

    if error is not None:
        assert command == "keys"  # what can't be looked for may be there
        assert closed.parent.is_file()
        assert isinstance(error, SettingsError)


def test_an_answer_needs_no_store(closed, tmp_path, monkeypatch):
    from whatsit.data import example_pictures
    from whatsit.opening import open_service
    from whatsit.settings import load_settings

    monkeypatch.setenv("WHATSIT_MODEL", BUNDLED_MODEL)
    monkeypatch.setenv("WHATSIT_STORE", str(closed))
    with open_service(load_settings()) as running:
        reply = running.service.classify(Picture.of(example_pictures()["bee"]), top_k=1)

    assert reply.top[0].label == "bee"
