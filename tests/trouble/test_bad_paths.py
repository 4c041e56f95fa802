"""Whatever is named on the command line: one bad path stops nothing, and no picture is harmed."""

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from whatsit.cli import cli
from whatsit.data import example_pictures

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]
_PR_CAPBSET_DROP = 24
_RIGHTS_TO_ALL_FILES = (1, 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
BEE = example_pictures()["bee"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs ``whatsit`` in a folder with a picture, without root's right to read everything."""
    (tmp_path / "bee.jpg").write_bytes(BEE)
    library = ctypes.CDLL(None)

    def drop_rights() -> None:
        for right in _RIGHTS_TO_ALL_FILES:
            library.prctl(_PR_CAPBSET_DROP, right, 0, 0, 0)

    def run(*arguments: str | bytes, given: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(
            [sys.executable, "-m", "whatsit", *arguments],
            input=given,
            capture_output=True,
            cwd=tmp_path,
            env={
                **os.environ,
                "WHATSIT_STORE": str(tmp_path / "home"),
                "WHATSIT_MODEL": "efficientnet-lite2",
                "WHATSIT_CACHE": "off",
            },
            preexec_fn=drop_rights,
            timeout=60,
        )

    return run


def test_one_bad_path_stops_none_of_the_others(run, tmp_path):
    (tmp_path / "secret.jpg").write_bytes(BEE)
    (tmp_path / "secret.jpg").chmod(0)
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked" / "inside.jpg").write_bytes(BEE)
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "empty.jpg").touch()
    named = os.fsdecode(b"caf\xe9.jpg")
    (tmp_path / named).write_bytes(BEE)
    bad = {
        "secret.jpg": "Permission denied",
        "locked": "Permission denied",
        "locked/inside.jpg": "Permission denied",
        "pipe.jpg": "a pipe",
        "/dev/zero": "a device",
        "loop.jpg": "symbolic links",
        "empty.jpg": "picture",
        "gone.jpg": "No such file",
        "x" * 300: "too long",
        "bee.jpg/x.jpg": "Not a directory",
    }
    (tmp_path / "locked").chmod(0)
    try:
        done = run("classify", "--json", *bad, "-", os.fsencode(named), "bee.jpg", given=BEE)
    finally:
        (tmp_path / "locked").chmod(0o700)

    documents = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert [(each["path"], each["answer"]["label"]) for each in documents] == [
        ("-", "bee"),
        (r"caf\xe9.jpg", "bee"),
        ("bee.jpg", "bee"),
    ]
    told = dict(line.split(": ", 1) for line in done.stderr.decode().splitlines())
    assert told.keys() == bad.keys()
    assert {path: words for path, words in bad.items() if words not in told[path]} == {}


@pytest.mark.parametrize("way", ["itself", "another path", "hard link", "link", "link to the link"])
@pytest.mark.parametrize("option", ["--why", "--out"])
def test_no_picture_is_written_over(tmp_path, monkeypatch, way, option):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.csv").write_bytes(BEE if option == "--why" else b"")
    target = {
        "itself": "p.csv",
        "another path": f"../{tmp_path.name}/./p.csv",
        "hard link": "same.csv",
        "link": "same.csv",
        "link to the link": "same.csv",
    }[way]
    if way == "hard link":
        (tmp_path / "same.csv").hardlink_to(tmp_path / "p.csv")
    elif way.startswith("link"):
        (tmp_path / "way.csv").symlink_to("p.csv")
        (tmp_path / "same.csv").symlink_to("way.csv" if way.endswith("link") else "p.csv")
    before = (tmp_path / "p.csv").read_bytes()

    done = CliRunner().invoke(cli, ["classify", "p.csv", option, target])

    assert done.exit_code == 2
    assert "would overwrite an input" in done.output
    assert (tmp_path / "p.csv").read_bytes() == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("models", "calibrate", "m", "--images", "f", "--labels", "f/l.csv", "--out", "f"),
        ("models", "reference", "m", "--images", "f", "--out", "f"),
        ("pipeline", "prepare", "--data", "f", "--out", "f"),
        ("pipeline", "finetune", "--data", "d", "--manifest", "f", "--out", "f"),
        ("pipeline", "evaluate", "--data", "d", "--manifest", "f", "--out", "f", "--model", "m"),
        ("pipeline", "optimise", "--data", "d", "--manifest", "d", "--out", "f", "--model", "f"),
        ("pipeline", "run", "--data", "f", "--work", "./f", "--name", "n"),
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_no_step_writes_into_the_folder_that_it_reads(tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "l.csv").write_text("file,class_index\n")
    (tmp_path / "d").mkdir()

    done = CliRunner().invoke(cli, arguments)

    assert done.exit_code == 2
    assert "would overwrite an input" in done.output
    assert [each.name for each in (tmp_path / "f").iterdir()] == ["l.csv"]


def test_standard_input_is_read_once_and_explained(run, tmp_path):
    done = run("classify", "-", "--why", "why.png", given=BEE)
    assert (done.returncode, done.stderr[:13]) == (0, b"why.png shows"), done.stderr
    assert done.stdout.startswith(b"-: A bee")
    assert (tmp_path / "why.png").read_bytes().startswith(b"\x89PNG")

    twice = run("classify", "-", "-", given=BEE)
    assert twice.returncode == 2
    assert b"only once" in twice.stderr


def test_a_file_that_is_called_like_standard_input_is_a_file(run, tmp_path):
    (tmp_path / "-").write_bytes(b"no picture")
    done = run("classify", "./-", given=BEE)

    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"-: This is not a picture")
