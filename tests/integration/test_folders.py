"""``whatsit classify`` for folders, as a process."""

import csv
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.pictures import small_bitmap
from tests.support.scripted_server import SILENCE, Prepared, ScriptedServer
from tests.support.waiting import wait_until
from whatsit.data import example_pictures

MODEL = ("--model", "efficientnet-lite2")
MODELS = b'{"requested":"m","serving":{"name":"m","fingerprint":"f"},"note":null,"models":[]}'
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Begins a command in the test's folder."""
    begun: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **environment: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "whatsit", "classify", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            # A shell that runs the tests in the background has it ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            env={**os.environ, "WHATSIT_STORE": str(tmp_path / "home"), **environment},
        )
        begun.append(process)
        return process

    yield start
    for process in begun:
        process.kill()
        process.communicate()


@pytest.fixture
def run(start: Start) -> Callable[..., tuple[int, str, str]]:
    """Runs a command to its end: status, standard output, standard error."""

    def run(*arguments: str, **environment: str) -> tuple[int, str, str]:
        process = start(*arguments, **environment)
        output, errors = process.communicate(timeout=60)
        assert "Traceback" not in errors
        return process.returncode, output, errors

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with three pictures, one of which is none, and things to pass over."""
    folder = tmp_path / "pictures"
    (folder / "deep").mkdir(parents=True)
    (folder / "bee.jpg").write_bytes(example_pictures()["bee"])
    (folder / "deep" / "cat.JPG").write_bytes(example_pictures()["cat"])
    (folder / "deep" / "bad.png").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.jpg").write_bytes(b"no picture")
    return folder


def read_csv(out: Path) -> list[dict[str, str]]:
    with out.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder_is_shown_like_several_files(run, folder):
    status, output, errors = run(*MODEL, "--json", "pictures")
    documents = [json.loads(line) for line in output.splitlines()]

    assert status == 1
    assert [each["path"] for each in documents] == ["pictures/bee.jpg", "pictures/deep/cat.JPG"]
    assert documents[0]["answer"]["label"] == "bee"
    assert errors.startswith("pictures/deep/bad.png: This is not a picture")
    assert errors.count("\n") == 1


def test_a_folder_becomes_a_table_with_a_row_for_the_bad_file_too(run, folder, tmp_path):
    status, output, errors = run(*MODEL, "pictures", "missing.jpg", "--out", "results.csv")
    rows = read_csv(tmp_path / "results.csv")

    assert (status, output) == (1, "")
    assert errors == "4 pictures: 2 answered, 2 refused.\n"
    assert [(row["path"], row["label"], row["code"]) for row in rows] == [
        ("pictures/bee.jpg", "bee", ""),
        ("pictures/deep/bad.png", "", "image_unreadable"),
        ("pictures/deep/cat.JPG", "domestic cat", ""),
        ("missing.jpg", "", "invalid_input"),
    ]
    assert "No such file" in rows[3]["error"]
    assert (rows[0]["width"], rows[0]["format"], rows[0]["cache"]) == ("640", "JPEG", "miss")
    assert rows[0]["top"].startswith("bee (0.9")
    assert rows[0]["size_bytes"] == str(len(example_pictures()["bee"]))


def test_rows_may_go_to_standard_output_in_both_forms(run, folder):
    table = run(*MODEL, "pictures/bee.jpg", "--out", "-")
    lines = run(*MODEL, "pictures/bee.jpg", "--out", "-", "--json")

    assert (table[0], lines[0]) == (0, 0)
    (row,) = csv.DictReader(table[1].splitlines())
    assert (row["label"], json.loads(lines[1])["label"]) == ("bee", "bee")
    assert lines[2] == "1 picture: 1 answered, 0 refused.\n"


@pytest.mark.extended
def test_odd_names_break_neither_table_nor_terminal(run, tmp_path):
    for name in (
        b"=1+1.jpg",
        b"two\nlines.jpg",
        b"no \xff utf-8.jpg",
        b'a,";b.jpg',
        b"\x1b[2J.jpg",
    ):
        (tmp_path / os.fsdecode(name)).write_bytes(example_pictures()["bee"])

    status, _, errors = run(*MODEL, ".", "--out", "results.csv", LC_ALL="C.UTF-8")
    lines = (tmp_path / "results.csv").read_text(encoding="utf-8").splitlines()
    shown = run(*MODEL, ".", LC_ALL="C.UTF-8")

    assert (status, errors) == (0, "5 pictures: 5 answered, 0 refused.\n")
    assert len(lines) == 6
    assert sorted(row["path"] for row in read_csv(tmp_path / "results.csv")) == sorted(
        ["'=1+1.jpg", r"two\nlines.jpg", r"no \xff utf-8.jpg", 'a,";b.jpg', r"\x1b[2J.jpg"]
    )
    assert shown[0] == 0
    assert "\x1b" not in shown[1]
    assert r"two\nlines.jpg: A bee" in shown[1]
    assert run(*MODEL, ".", "--out", "results.csv", "--resume")[2].endswith(
        "5 were answered earlier.\n"
    )


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_an_interrupted_run_goes_on_where_it_stopped(start, run, tmp_path, suffix):
    folder, out = tmp_path / "pictures", tmp_path / f"results.{suffix}"
    folder.mkdir()
    for number in range(200):
        (folder / f"{number:03}.bmp").write_bytes(small_bitmap(number))
    (folder / "050 bad.bmp").write_bytes(b"no picture")

    def lines() -> list[bytes]:
        return out.read_bytes().splitlines(keepends=True) if out.exists() else []

    process = start(*MODEL, "pictures", "--out", out.name, "--threads", "2")
    assert wait_until(lambda: len(lines()) > 70)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    stopped = lines()

    assert process.returncode == 130
    assert f"Stopped after {len(stopped) - (suffix == 'csv')} of 201. To continue" in errors
    assert "Traceback" not in errors
    assert 70 < len(stopped) < 200
    assert all(line.endswith(b"\n") for line in stopped)

    # What a power cut leaves, a file that changed, and one that is new.
    out.write_bytes(out.read_bytes() + stopped[-1][:40])
    (folder / "000.bmp").write_bytes(small_bitmap(1000))
    (folder / "new.bmp").write_bytes(small_bitmap(2000))
    status, _, errors = run(*MODEL, "pictures", "--out", out.name, "--resume")

    kept = len(stopped) - (suffix == "csv") - 1
    assert status == 1
    assert errors.splitlines()[-1] == (
        f"202 pictures: 201 answered, 1 refused. {kept} were answered earlier."
    )
    rows = read_csv(out) if suffix == "csv" else [json.loads(line) for line in lines()]
    assert Counter(row["path"] for row in rows).most_common(1)[0][1] == 1
    assert len(rows) == 202
    assert [row["path"] for row in rows if row["error"]] == ["pictures/050 bad.bmp"]
    assert len({row["sha256"] for row in rows}) == 202

    before = out.read_bytes()
    status, _, errors = run(*MODEL, "pictures", "--out", out.name, "--resume")
    assert status == 1
    assert errors.endswith("202 pictures: 201 answered, 1 refused. 202 were answered earlier.\n")
    assert out.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--resume",), "--out"),
        (("--resume", "--out", "-"), "--out"),
        (("--out", "results.txt"), ".csv or .jsonl"),
        (("--out", "nowhere/results.csv"), "can't be written"),
        (("--out", "there.csv"), "--resume"),
        (("--out", "there.csv", "--resume"), "not from whatsit"),
        (("--out", "results.csv", "--json"), ".jsonl"),
        (("--out", "results.csv", "--why", "why.png"), "one picture"),
        (("--threads", "0"), "--threads"),
        (("--server", "localhost:8501"), "not the address"),
        (("--server", "http://localhost:1", "--model", "resnet50"), "--model"),
    ],
)
def test_a_mistake_is_one_sentence(run, folder, tmp_path, arguments, words):
    (tmp_path / "there.csv").write_text("my notes\n")
    status, output, errors = run("pictures/bee.jpg", *arguments, WHATSIT_MODEL="efficientnet-lite2")

    assert status == (1 if "localhost:8501" in arguments else 2)
    assert output == ""
    assert words in errors
    assert (tmp_path / "there.csv").read_text() == "my notes\n"


def test_a_terminal_shows_a_bar_and_the_table_stays_clean(folder, tmp_path):
    terminal, other_end = pty.openpty()
    seen = bytearray()

    def read() -> None:
        try:
            while chunk := os.read(terminal, 4096):
                seen.extend(chunk)
        except OSError:  # the other end is closed
            pass

    reading = threading.Thread(target=read)
    reading.start()
    done = subprocess.run(
        [sys.executable, "-m", "whatsit", "classify", *MODEL, "pictures", "--out", "-"],
        cwd=tmp_path,
        env={**os.environ, "WHATSIT_STORE": str(tmp_path / "home"), "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=other_end,
        timeout=60,
    )
    os.close(other_end)
    reading.join(10)
    os.close(terminal)

    assert b"3/3" in seen
    assert b"3 pictures: 2 answered, 1 refused." in seen
    assert len(done.stdout.splitlines()) == 4


def test_a_reader_that_leaves_ends_it_with_a_sentence(folder, tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    for options in (("--out", "-"), ()):
        done = subprocess.run(
            [sys.executable, "-m", "whatsit", "classify", *MODEL, "pictures/bee.jpg", *options],
            cwd=tmp_path,
            env={**os.environ, "WHATSIT_STORE": str(tmp_path / "home")},
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
        assert done.returncode == 2
        assert "standard output" in done.stderr.lower()
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr
    os.close(writing)


# A running server


def test_a_server_answers_like_this_machine(run, folder, tmp_path, server):
    here = run(*MODEL, "pictures", "--out", "here.csv")
    there = run("--server", server.url, "pictures", "--out", "there.csv")
    both = [read_csv(tmp_path / name) for name in ("here.csv", "there.csv")]

    assert here == there
    for rows in both:
        for row in rows:
            del row["cache"], row["score"], row["top"]
    assert both[0] == both[1]


def test_a_server_shows_why(run, folder, tmp_path, server):
    done = run("--server", server.url, "pictures/bee.jpg", "--why", "why.png")

    assert done[0] == 0
    assert done[2] == "why.png shows the evidence for 'bee'.\n"
    assert (tmp_path / "why.png").read_bytes().startswith(b"\x89PNG")


def test_a_server_that_is_away_or_shut_is_told_soon(run, folder):
    started = time.monotonic()
    away = run("--server", "http://localhost:9", "pictures")
    document = b'{"code": "unauthorized", "detail": "This API key is unknown or was revoked."}'
    with ScriptedServer(Prepared(401, document)) as shut:
        refused = run("--server", shut.url, "pictures", WHATSIT_KEY="a-key")

    assert (away[0], refused[0]) == (4, 1)
    assert "Nothing answers at http://localhost:9." in away[2]
    assert "unknown or was revoked" in refused[2]
    assert "x-api-key: a-key" in shut.heads[0].lower()
    assert time.monotonic() - started < 20


def test_a_server_that_ends_under_way_stops_it_and_what_is_written_stays(run, folder, tmp_path):
    document = b'{"code": "unauthorized", "detail": "This API key is unknown or was revoked."}'
    refusal = Prepared(400, b'{"code": "image_unreadable", "detail": "It is cut short."}')
    with ScriptedServer(Prepared(200, MODELS), refusal, Prepared(401, document)) as shut:
        status, _, errors = run(
            "--server", shut.url, "pictures", "--out", "out.csv", "--threads", "1"
        )

    assert status == 1
    assert "Stopped after 1 of 3. To continue: --resume" in errors
    assert "unknown or was revoked" in errors
    assert [row["error"] for row in read_csv(tmp_path / "out.csv")] == ["It is cut short."]


def test_a_picture_that_breaks_a_server_does_not_stop_the_rest(run, folder, tmp_path):
    refusal = Prepared(400, b'{"code": "image_unreadable", "detail": "It is cut short."}')
    broken = Prepared(500, b'{"code": "internal", "detail": "Something went wrong here."}')
    with ScriptedServer(Prepared(200, MODELS), broken, Prepared(200, b"{}"), refusal) as odd:
        status, _, _ = run("--server", odd.url, "pictures", "--out", "out.csv", "--threads", "1")

    assert status == 4
    codes = [row["code"] for row in read_csv(tmp_path / "out.csv")]
    assert codes == ["server", "image_unreadable", "image_unreadable"]


def test_an_interrupt_does_not_wait_for_a_server_that_is_to_be_waited_for(start, folder, tmp_path):
    busy = Prepared(503, headers={"Retry-After": "60"})
    with ScriptedServer(Prepared(200, MODELS), busy) as server:
        process = start("--server", server.url, "pictures", "--out", "out.csv")
        assert wait_until(lambda: len(server.heads) >= 4)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)

    assert process.returncode == 130
    assert "Stopped after 0 of 3." in errors


def test_a_server_that_is_silent_can_be_left(start, folder):
    with ScriptedServer(Prepared(200, MODELS), SILENCE) as server:
        process = start("--server", server.url, "pictures", "--out", "out.csv")
        assert wait_until(lambda: len(server.heads) >= 4)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)

    assert process.returncode == 130
    assert "Stopped after 0 of 3." in errors
