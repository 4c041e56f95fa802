"""What another user of the machine has prepared: links, pipes, devices, locks that are held."""

import fcntl
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.tiny_models import as_onnx
from tests.unit.test_models import make_folder
from whatsit.access.keys import KeyFile
from whatsit.cache.embedded import EmbeddedValkey
from whatsit.errors import CacheError, InvalidModelCard, ModelUnavailable, WhatsitError
from whatsit.feedback.connect import url_in_store
from whatsit.feedback.database import FeedbackDatabase
from whatsit.feedback.pictures import KeptPictures
from whatsit.model_card import read_card
from whatsit.models.catalogue import BUNDLED_MODEL, catalogue
from whatsit.models.download import download
from whatsit.models.folder import open_folder
from whatsit.models.live import LiveAlias
from whatsit.models.store import ModelStore

SECRET = "AWS_SECRET=hunter2"
IS_ROOT = os.geteuid() == 0


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file that is no business of whatsit's."""
    file = tmp_path / "elsewhere" / "shadow"
    file.parent.mkdir()
    file.write_text(f"{SECRET}\nroot:x:0:0\n", encoding="utf-8")
    file.chmod(0o644)
    return file


def facts_of(file: Path) -> tuple[bytes, int, int]:
    found = file.stat()
    return file.read_bytes(), found.st_uid, stat.S_IMODE(found.st_mode)


# Locks and state files

ACTS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "keys": ("keys.lock", lambda store: KeyFile(store).create("shop")),
    "live": ("models/.live.lock", lambda store: LiveAlias(store).promote(BUNDLED_MODEL)),
    "removal": ("models/.lock", lambda store: ModelStore(store).remove("birds")),
    "pull": (
        f"models/.downloads/{next(iter(catalogue()))}.lock",
        lambda store: ModelStore(store).pull(next(iter(catalogue()))),
    ),
    "download": (
        "model.onnx.part",
        lambda store: download(
            ["http://127.0.0.1:9/"], store / "model.onnx", sha256="0" * 64, size_bytes=40
        ),
    ),
    "corrections": (
        "feedback.db",
        lambda store: FeedbackDatabase(url_in_store(store)).prepare(),
    ),
    "pictures": (
        "feedback-pictures/.lock",
        lambda store: KeptPictures(store, 10**6).changing().__enter__(),
    ),
    "cache": ("cache/owner.lock", lambda store: EmbeddedValkey(store / "cache").__enter__()),
}


@pytest.mark.parametrize("act", ACTS)
def test_a_link_in_the_place_of_a_lock_leads_to_no_other_file(tmp_path, victim, act):
    name, call = ACTS[act]
    store = tmp_path / "store"
    ModelStore(store).add(make_folder(tmp_path / "birds"))
    (store / name).unlink(missing_ok=True)
    (store / name).parent.mkdir(parents=True, exist_ok=True)
    (store / name).symlink_to(victim)
    if IS_ROOT:
        for folder in (store, (store / name).parent):
            os.chown(folder, 4242, 4242)
    before = facts_of(victim)

    with pytest.raises((WhatsitError, OSError, CacheError, ModelUnavailable)) as caught:
        call(store)

    assert facts_of(victim) == before
    told = getattr(caught.value, "reason", str(caught.value))
    assert "symbolic link" in told or "belongs to another user" in told


@pytest.mark.skipif(not IS_ROOT, reason="Only root hands files to others.")
def test_root_hands_no_file_that_is_there_to_the_owner_of_the_store(tmp_path, victim):
    store = tmp_path / "store"
    store.mkdir()
    os.chown(store, 4242, 4242)
    victim.rename(store / "keys.lock")  # the owner of a folder may move what is in it

    KeyFile(store).create("shop")

    assert (store / "keys.lock").stat().st_uid == 0
    assert SECRET in (store / "keys.lock").read_text()
    assert (store / "keys.json").stat().st_uid == 4242


@pytest.mark.parametrize("act", ["keys", "live", "removal", "pictures"])
def test_nobody_else_can_open_a_lock_and_so_hold_it(tmp_path, act):
    name, call = ACTS[act]
    store = tmp_path / "store"
    ModelStore(store).add(make_folder(tmp_path / "birds"))
    lock = store / name
    lock.unlink(missing_ok=True)

    call(store)

    assert stat.S_IMODE(lock.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.stat().st_mode) == 0o700


@pytest.mark.skipif(IS_ROOT, reason="Root changes no file that is there.")
def test_a_lock_of_an_earlier_version_is_closed_to_others(tmp_path):
    lock = tmp_path / "keys.lock"
    lock.touch()
    lock.chmod(0o644)

    KeyFile(tmp_path).create("shop")

    assert stat.S_IMODE(lock.stat().st_mode) == 0o600


@pytest.mark.parametrize("act", ["keys", "live"])
def test_a_lock_that_is_held_ends_in_a_sentence(tmp_path, act):
    lock, call = {
        "keys": ("keys.lock", lambda: KeyFile(tmp_path, lock_seconds=0.1).create("shop")),
        "live": (
            "models/.live.lock",
            lambda: LiveAlias(tmp_path, lock_seconds=0.1).promote(BUNDLED_MODEL),
        ),
    }[act]
    call()
    with (tmp_path / lock).open("r+") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)

        with pytest.raises(WhatsitError, match=r"another program has held .*lock for 0\.1 s"):
            call()

    call()


@pytest.mark.parametrize("file", ["keys.lock", "keys.json"])
def test_a_pipe_in_the_place_of_a_file_makes_nobody_wait(tmp_path, file):
    os.mkfifo(tmp_path / file)

    with pytest.raises(WhatsitError, match="not a regular file"):
        KeyFile(tmp_path).create("shop")


# Model folders


def put(folder: Path, name: str, victim: Path, form: str) -> None:
    """Put something else in the place of a file of a model folder."""
    place = folder / name
    content = place.read_bytes()
    place.unlink()
    if form == "link":
        place.symlink_to(victim)
    elif form == "link to the right file":
        (victim.parent / name).write_bytes(content)
        place.symlink_to(victim.parent / name)
    elif form == "hard link":
        os.link(victim, place)
        os.chown(folder, 4242, 4242)
    elif form == "pipe":
        os.mkfifo(place)
    elif form == "device":
        place.symlink_to("/dev/zero")
    elif form == "folder":
        place.mkdir()
    else:
        with place.open("wb") as file:
            file.truncate(5_000_000_000)  # takes no room


@pytest.mark.parametrize("name", ["card.toml", "labels.txt", "model.onnx"])
@pytest.mark.parametrize(
    "form",
    [
        *("link", "link to the right file", "pipe", "device", "folder", "huge"),
        pytest.param("hard link", marks=pytest.mark.skipif(not IS_ROOT, reason="Needs root.")),
    ],
)
def test_a_model_folder_has_plain_files_of_its_own(tmp_path, victim, name, form):
    folder = make_folder(tmp_path / "birds")
    put(folder, name, victim, form)
    store = ModelStore(tmp_path / "home")
    refusals: list[WhatsitError] = []

    def look() -> None:
        for act in (open_folder, store.add):
            try:
                act(folder)
            except WhatsitError as error:
                refusals.append(error)

    # Whoever waits for the other end of a pipe waits for ever.
    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(10)

    assert len(refusals) == 2, "It waits, or was taken."
    for error in refusals:
        assert "hunter2" not in error.detail
        assert str(tmp_path) not in error.detail
        assert name in error.detail
    assert store.names() == ()


def test_what_is_stored_is_what_was_looked_at(tmp_path, victim):
    folder = make_folder(tmp_path / "birds")
    store = ModelStore(tmp_path / "home")

    def swap(_: object) -> None:
        (folder / "labels.txt").unlink()
        (folder / "labels.txt").symlink_to(victim)

    stored = store.add(folder, trial=swap)

    assert [entry.label for entry in stored.labels.entries] == ["owl", "wren"]


def test_a_plain_folder_in_the_store_is_looked_at_like_any_other(tmp_path, victim):
    folder = make_folder(tmp_path / "home" / "models" / "birds")
    put(folder, "labels.txt", victim, "link")

    with pytest.raises(InvalidModelCard, match="symbolic link"):
        ModelStore(tmp_path / "home").open("birds")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"a = " + b"[" * 5_000, "nested too deeply|can't be read"),
        (b"a = " + b"9" * 5_000, "can't be read"),
        ("name = 'Zaunkönig'".encode("latin-1"), "UTF-8"),
        (b"\xff\xfen\0a\0", "UTF-8"),
    ],
    ids=["deep", "long number", "latin-1", "UTF-16"],
)
def test_a_card_that_is_none_is_refused_with_a_sentence(tmp_path, content, complaint):
    (tmp_path / "card.toml").write_bytes(content)

    with pytest.raises(InvalidModelCard, match=complaint):
        read_card(tmp_path)


def test_weights_with_a_second_file_beside_them_are_not_taken_for_whole(tmp_path):
    """Their digest would cover the first file only, so a changed second one would go unseen."""
    content = b'<?xml version="1.0"?><net name="model" version="11"/>'
    folder = make_folder(tmp_path / "birds", content)
    (folder / "model.bin").write_bytes(b"weights")
    with pytest.raises(WhatsitError, match=r"model\.onnx is not an ONNX file"):
        open_folder(folder)

    with pytest.raises(InvalidModelCard, match=r"weights\.file.*\.onnx"):
        make_folder(
            tmp_path / "xml", as_onnx(b""), weights={"file": "model.xml", "sha256": "0" * 64}
        )
