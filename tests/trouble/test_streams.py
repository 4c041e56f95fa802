"""A terminal that lacks letters, a full disk, a closed pipe: characters and sentences change."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from whatsit.data import example_pictures

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]
ENCODINGS = ("latin-1", "ascii", "ascii:strict", "cp1252", "cp437", "iso8859-7", "utf-8:strict")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a command of the shell, in which ``whatsit`` stands for the real one."""
    (tmp_path / "bee.jpg").write_bytes(example_pictures()["bee"])
    (tmp_path / "gr\u00fc\u00df\u718a.jpg").write_bytes(example_pictures()["cat"])

    def run(command: str, **environment: str) -> "subprocess.CompletedProcess[bytes]":
        whatsit = f'whatsit() {{ {sys.executable} -m whatsit "$@"; }}\n'
        settings = {
            "WHATSIT_STORE": str(tmp_path / "home"),
            "WHATSIT_MODEL": "efficientnet-lite2",
            "WHATSIT_CACHE": "off",
        }
        inherited = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
        return subprocess.run(
            ["bash", "-c", f"set -o pipefail\n{whatsit}{command}"],
            capture_output=True,
            cwd=tmp_path,
            env={**inherited, **settings, **environment},
            timeout=60,
        )

    return run


def test_a_picture_is_answered_in_letters_that_the_terminal_has(run):
    done = run("whatsit classify --top-k 1 *.jpg", PYTHONIOENCODING="latin-1")

    assert (done.returncode, done.stderr) == (0, b"")
    bee, bar, cat, _ = done.stdout.decode("latin-1").splitlines()
    assert bee == "bee.jpg: A bee (99 %)."
    assert bar.endswith("#" * 30)
    assert cat.startswith("gr\u00fc\u00df\\u718a.jpg: A domestic cat")


WRITE = """
import click, sys
from rich.console import Console
from whatsit.cli.streams import open_standard_streams
open_standard_streams()
text = "\u2588\u2026\u2014\u718a \u00e9 \\udcff"
click.echo(text)
Console().print(text, markup=False)
sys.stdout.write(text)
click.echo(text, err=True)
"""


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_way_to_write_survives_every_encoding(encoding):
    done = subprocess.run(
        [sys.executable, "-c", WRITE],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        timeout=60,
    )

    assert (done.returncode, b"Error" in done.stderr) == (0, False), done.stderr
    shown = done.stdout.decode(encoding.partition(":")[0]).split("\n")
    assert len({*shown}) == 1, shown
    if encoding.startswith("ascii"):
        assert shown[0] == r"#...-\u718a \xe9 \udcff"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("whatsit settings > /dev/full", "No space left on device"),
        ("whatsit --help > /dev/full", "No space left on device"),
        ("whatsit models list > /dev/full", "No space left on device"),
        ("whatsit settings >&-", "Standard output is closed."),
        ("{ sleep 0.1; whatsit settings; } | true", "The reader of standard output"),
    ],
)
@pytest.mark.parametrize("buffering", ["", "1"], ids=["buffered", "unbuffered"])
def test_an_output_that_takes_nothing_is_a_sentence_and_a_status(run, command, words, buffering):
    done = run(command, PYTHONUNBUFFERED=buffering)

    assert done.returncode == 2
    assert done.stderr.decode().count("\n") == 1
    assert words in done.stderr.decode()


def test_rows_that_find_no_room_are_a_sentence_and_a_status(run):
    done = run("whatsit classify bee.jpg --out - > /dev/full")

    assert done.returncode == 2
    assert done.stderr == b"whatsit: Standard output can't be written: No space left on device.\n"


@pytest.mark.parametrize("end", ["2>&-", "2>/dev/full"])
def test_messages_that_nobody_can_read_stop_nothing(run, end):
    done = run(f"whatsit keys revoke x {end}")

    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")


def test_a_closed_output_that_is_not_needed_is_no_trouble(run, tmp_path):
    done = run("whatsit classify bee.jpg nothing.jpg --out rows.jsonl >&- 2>&- <&-")

    assert done.returncode == 1
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert [row["label"] for row in rows] == ["bee", None]
