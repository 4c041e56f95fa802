"""``whatsit models``: what is live, told and changed by hand."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.support.waiting import wait_until
from whatsit.cli import cli
from whatsit.errors import NothingToRollBack, SettingsError, UnknownModel, WeightsRejected
from whatsit.models.catalogue import BUNDLED_MODEL, bundled_folder
from whatsit.models.live import LiveAlias
from whatsit.models.store import ModelStore

Run = Callable[..., str]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    ModelStore(tmp_path).add(bundled_folder(), "petals.v1")
    return tmp_path


@pytest.fixture
def run(home: Path) -> Run:
    def run(*arguments: str, status: int = 0) -> str:
        command = ["models", *arguments, "--store", str(home)]
        done = CliRunner().invoke(cli, command)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == status, done.output
        return done.output

    return run


def roles(listing: str) -> dict[str, str]:
    """Role by model, of the output of ``models live``."""
    return {line.split("  ")[0]: line.split("  ")[1].strip() for line in listing.splitlines()[1:]}


def test_a_model_is_made_live_and_rolled_back(run, home):
    assert "No model has been promoted yet" in run("live")
    assert "petals.v1 is live now, unmeasured." in run("set-live", "petals.v1")
    run("set-live", BUNDLED_MODEL)
    assert roles(run("live").replace("petals.v1         ", "petals.v1")) == {
        BUNDLED_MODEL: "live",
        "petals.v1": "was live",
    }
    assert "petals.v1 is live again." in run("rollback")
    with pytest.raises(NothingToRollBack):
        run("rollback")
    assert LiveAlias(home).read().history[0].name == "petals.v1"


def test_what_can_not_be_opened_is_not_made_live(run, home):
    (home / "models" / "petals.v1" / "model.onnx").write_bytes(b"cut off")

    with pytest.raises(WeightsRejected):
        run("set-live", "petals.v1")
    with pytest.raises(UnknownModel):
        run("set-live", "petals.v9")
    assert LiveAlias(home).read().current is None


def test_a_canary_is_begun_and_ended(run, home):
    with pytest.raises(SettingsError, match="No model is live yet"):
        run("canary", "petals.v1")
    LiveAlias(home).promote(BUNDLED_MODEL)
    with pytest.raises(SettingsError, match="answers every picture already"):
        run("canary", BUNDLED_MODEL)
    assert "answers 25 % of the pictures" in run("canary", "petals.v1", "--share", "0.25")
    assert "canary, share 0.25" in run("live")
    assert "every picture" in run("canary", "--end")
    assert LiveAlias(home).read().canary is None


@pytest.mark.parametrize(
    "arguments", [(), ("petals.v1", "--end"), ("petals.v1", "--share", "1"), ("--share", "0.5")]
)
def test_a_canary_needs_a_name_and_a_share_or_an_end(run, arguments):
    run("canary", *arguments, status=2)


def test_a_model_that_answers_is_marked_and_can_not_be_removed(run, home):
    ModelStore(home).add(bundled_folder(), "petals.v2")
    LiveAlias(home).promote("petals.v1")
    LiveAlias(home).try_beside("petals.v2", 0.5)
    listed = run("list")

    assert "here, live" in listed
    assert "here, canary" in listed
    with pytest.raises(SettingsError, match=r"petals\.v1 is live"):
        run("remove", "petals.v1")
    with pytest.raises(SettingsError, match="canary --end"):
        run("remove", "petals.v2")
    LiveAlias(home).end_canary()
    assert "petals.v2 is deleted" in run("remove", "petals.v2")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")
def test_the_hangup_signal_looks_but_a_closed_terminal_ends_the_process(tmp_path):
    program = (
        "import time; from whatsit.web.signals import at_hangup\n"
        "at_hangup(lambda: print('looks', flush=True)); print('ready', flush=True); time.sleep(30)"
    )
    terminal, theirs = os.openpty()
    said = tmp_path / "said"
    with said.open("w") as out:
        process = subprocess.Popen([sys.executable, "-c", program], stdin=theirs, stdout=out)
    os.close(theirs)
    assert wait_until(lambda: "ready" in said.read_text(), 20)
    process.send_signal(signal.SIGHUP)
    assert wait_until(lambda: "looks" in said.read_text(), 5)
    os.close(terminal)
    process.send_signal(signal.SIGHUP)

    assert process.wait(10) == -signal.SIGTERM
    assert said.read_text().count("looks") == 1
