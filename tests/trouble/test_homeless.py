"""Users without a home, without an entry in the list of users, and in folders they can't enter."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.support.running import start_server
from whatsit.data import example_pictures

MODEL = "efficientnet-lite2"
NOBODY = ("unshare", "--user", "--map-user=12345")
"""A command runs as a user that is nobody and has no rights but those of its owner."""


@pytest.fixture(autouse=True)
def _needs_user_namespaces() -> None:
    try:
        subprocess.run([*NOBODY, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("A user without an entry can't be made up here; it takes user namespaces.")


@pytest.fixture
def unenterable(tmp_path: Path) -> Path:
    folder = tmp_path / "unenterable"
    folder.mkdir()
    return folder


def environment(store: Path | None) -> Mapping[str, str]:
    given = {"PATH": os.environ["PATH"], "WHATSIT_MODEL": MODEL}
    return given if store is None else {**given, "WHATSIT_STORE": str(store)}


def run(
    *arguments: str, store: Path | None, inside: Path, before: Callable[[], None] = lambda: None
) -> subprocess.CompletedProcess[str]:
    def enter() -> None:
        os.chdir(inside)
        before()

    return subprocess.run(
        [*NOBODY, sys.executable, "-m", "whatsit", *arguments],
        env=environment(store),
        preexec_fn=enter,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_page_is_served_without_a_home_and_from_a_deleted_folder(tmp_path, unenterable):
    store = tmp_path / "store"
    store.mkdir()
    # Entered, and gone before the server starts.
    gone = ("sh", "-c", 'cd "$1" && rmdir "$1" && shift && exec "$@"', "sh", str(unenterable))
    with (
        start_server(
            store,
            model=MODEL,
            environment=environment(store),
            inherits=False,
            prefix=(*gone, *NOBODY),
        ) as server,
        server.client() as client,
    ):
        assert client.get("/").status_code == 200
        answer = client.post("/api/v1/classify", content=example_pictures()["bee"])
    assert answer.json()["answer"]["label"] == "bee"
    assert "Traceback" not in server.log


def test_without_a_home_and_a_store_a_sentence_says_what_to_set(tmp_path):
    done = run("settings", store=None, inside=tmp_path)

    assert done.returncode == 2
    assert done.stderr == (
        "whatsit: This user has no home folder (HOME). Set WHATSIT_STORE to the folder to use.\n"
    )


def test_a_working_folder_that_may_not_be_entered_is_passed_by(tmp_path, unenterable):
    picture = tmp_path / "bee.jpg"
    picture.write_bytes(example_pictures()["bee"])
    done = run(
        *("classify", str(picture)),
        store=tmp_path / "store",
        inside=unenterable,
        before=lambda: unenterable.chmod(0),
    )
    unenterable.chmod(0o700)

    assert "A bee" in done.stdout, done.stderr
    assert done.returncode == 0


def test_a_dotenv_that_may_not_be_read_stops_the_start_with_a_sentence(tmp_path):
    (tmp_path / ".env").write_text("WHATSIT_API_KEYS=required\n")
    (tmp_path / ".env").chmod(0)

    done = run("settings", store=tmp_path / "store", inside=tmp_path)

    assert done.returncode == 2
    assert "can't be read: Permission denied" in done.stderr
    assert "Traceback" not in done.stderr
