"""The command line, as a process."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from PIL import Image

from whatsit.data import example_pictures
from whatsit.models.catalogue import bundled_folder
from whatsit.testing import plain_picture


@pytest.fixture
def run(tmp_path: Path):
    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "whatsit", *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "WHATSIT_STORE": str(tmp_path / "home"), **environment},
            timeout=60,
        )

    return run


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for name, picture in example_pictures().items():
        (tmp_path / f"{name}.jpg").write_bytes(picture)
    return tmp_path


BUNDLED = ("--model", "efficientnet-lite2")


def test_classify_prints_a_sentence_and_the_best_labels(run, pictures):
    done = run("classify", *BUNDLED, "bee.jpg", "coffee.jpg")

    assert done.returncode == 0, done.stderr
    assert "bee.jpg: " in done.stdout
    assert "coffee.jpg: " in done.stdout
    assert "espresso" in done.stdout
    assert done.stderr == ""


@pytest.mark.extended
def test_calibrating_a_stored_model_writes_its_card_and_a_report(run, tmp_path):
    assert run("models", "add", str(bundled_folder()), "--name", "mine").returncode == 0
    rows = ["file,class_index"]
    for number in range(100):
        name = ("bee", "cat", "citrus", "coffee")[number % 4]
        (tmp_path / f"{name}.jpg").write_bytes(example_pictures()[name])
        rows.append(f"{name}.jpg,{(309, 285, 950, 967)[number % 4]}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    options = ("--images", str(tmp_path), "--labels", str(tmp_path / "labels.csv"))
    before = run("models", "show", "mine").stdout

    done = run("models", "calibrate", "mine", *options, "--out", "report")

    assert done.returncode == 0, done.stderr
    assert "sure.accuracy" in done.stdout
    after = run("models", "show", "mine").stdout
    assert after != before
    assert "[quality.answers]" in after
    assert (tmp_path / "report" / "card.toml").read_text() == after
    assert json.loads((tmp_path / "report" / "calibration.json").read_text())["pictures"] == 100
    assert (tmp_path / "report" / "reliability.png").read_bytes().startswith(b"\x89PNG")

    refused = run("models", "calibrate", "efficientnet-lite2", *options)
    assert refused.returncode == 2
    assert "--out" in refused.stderr


@pytest.mark.extended
def test_measuring_a_reference_writes_the_card_of_a_stored_model_or_of_a_copy(run, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    for number in range(100):
        shade = f"rgb({number * 2},{255 - number},90)"
        (images / f"{number}.png").write_bytes(plain_picture(shade, (40 + number, 60)))
    options = ("--images", str(images), "--dataset", "plain colours")

    refused = run("models", "reference", "efficientnet-lite2", *options)
    assert refused.returncode == 2
    assert "--as NEW" in refused.stderr
    done = run("models", "reference", "efficientnet-lite2", *options, "--as", "mine")
    assert done.returncode == 0, done.stderr
    assert "shorter_side" in done.stdout
    card = tomllib.loads(run("models", "show", "mine").stdout)
    assert (card["reference"]["pictures"], card["reference"]["dataset"]) == (100, "plain colours")

    (images / "0.png").write_bytes(plain_picture("red", (900, 900)))
    assert run("models", "reference", "mine", *options, "--out", "report").returncode == 0
    after = (tmp_path / "home" / "models" / "mine" / "card.toml").read_text()
    assert (tmp_path / "report" / "card.toml").read_text() == after
    assert tomllib.loads(after)["reference"] != card["reference"]


def test_classify_json_is_one_document_a_line(run, pictures):
    done = run("classify", *BUNDLED, "--json", "--top-k", "2", "bee.jpg", "cat.jpg")
    documents = [json.loads(line) for line in done.stdout.splitlines()]

    assert [document["path"] for document in documents] == ["bee.jpg", "cat.jpg"]
    assert [len(document["top"]) for document in documents] == [2, 2]
    assert documents[0]["answer"]["label"] == "bee"


def test_the_second_run_answers_from_the_cache(run, pictures):
    outcomes = [
        json.loads(run("classify", *BUNDLED, "--json", "bee.jpg").stdout)["cache"] for _ in range(2)
    ]

    assert outcomes == ["miss", "hit"]


def test_one_bad_file_does_not_stop_the_rest(run, pictures):
    (pictures / "notes.txt").write_text("no picture")
    done = run("classify", *BUNDLED, "missing.jpg", "notes.txt", "bee.jpg")

    assert done.returncode == 1
    assert "bee.jpg: " in done.stdout
    assert "missing.jpg: The file can't be read" in done.stderr
    assert "notes.txt: This is not a picture" in done.stderr
    assert "Traceback" not in done.stderr


def test_why_writes_a_picture_of_what_speaks_for_the_label(run, pictures):
    done = run("classify", *BUNDLED, "--why", "why.png", "bee.jpg")

    assert done.returncode == 0, done.stderr
    assert "A bee" in done.stdout
    assert done.stderr == "why.png shows the evidence for 'bee'.\n"
    with Image.open(pictures / "why.png") as overlay, Image.open(pictures / "bee.jpg") as picture:
        assert (overlay.format, overlay.size) == ("PNG", picture.size)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--why", "why.png", "bee.jpg", "cat.jpg"), "one picture"),
        (("--why", "nowhere/why.png", "bee.jpg"), "can't be written"),
    ],
)
def test_why_for_several_pictures_or_to_nowhere_is_a_mistake(run, pictures, arguments, words):
    done = run("classify", *BUNDLED, *arguments)

    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_models_are_listed_and_shown(run):
    assert "efficientnet-lite2" in run("models", "list").stdout
    assert 'name = "resnet50"' in run("models", "show", "resnet50").stdout


def test_a_model_folder_is_added_served_from_and_removed(run, pictures):
    added = run("models", "add", str(bundled_folder()), "--name", "mine")
    assert added.returncode == 0, added.stderr
    document = json.loads(run("classify", "--model", "mine", "--json", "bee.jpg").stdout)
    assert document["model"]["name"] == "mine"

    assert run("models", "remove", "mine").returncode == 0
    assert "mine" not in run("models", "list").stdout


def test_a_bare_onnx_file_is_added_with_its_facts_as_options(run, pictures):
    weights = str(bundled_folder() / "model.onnx")
    facts = ("--mean", "0.498", "0.498", "0.498", "--std", "0.502", "0.502", "0.502")
    added = run("models", "add", weights, "--name", "bare", "--resize", "292", *facts)
    assert added.returncode == 0, added.stderr

    document = json.loads(run("classify", "--model", "bare", "--json", "bee.jpg").stdout)
    assert document["answer"]["label"] == "bee"


def test_a_bare_file_with_the_wrong_number_of_labels_is_not_added(run, tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_text("cat\ndog\n")
    added = run(
        "models",
        "add",
        str(bundled_folder() / "model.onnx"),
        *("--name", "bare", "--labels", str(labels)),
    )

    assert added.returncode == 3
    assert "1000 outputs" in added.stderr
    assert "bare" not in run("models", "list").stdout


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("models", "show", "nobody"), 2, "Known: "),
        (("models", "pull", "efficientnet-lite9"), 2, "Known: "),
        (("classify",), 2, "Missing argument"),
        (("serve", "--port", "99999"), 2, "WHATSIT_PORT"),
        (("serve", "--model", "nobody", "--port", "0"), 2, "Known: "),
        (("nothing",), 2, "No such command"),
    ],
)
def test_a_mistake_is_one_sentence_and_a_status(run, arguments, status, words):
    done = run(*arguments)

    assert done.returncode == status
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_misspelt_setting_stops_with_the_right_one(run):
    done = run("settings", WHATSIT_MODLE="resnet50")

    assert done.returncode == 2
    assert "WHATSIT_MODEL" in done.stderr


def test_settings_are_printed_with_secrets_masked(run):
    done = run("settings", WHATSIT_REDIS_URL="redis://:secret@host:6379/0")

    assert "WHATSIT_PORT=8501" in done.stdout
    assert "WHATSIT_REDIS_URL=" in done.stdout
    assert "secret" not in done.stdout


def test_a_taken_port_is_said(run, server):
    port = server.url.rsplit(":", 1)[1]
    done = run("serve", *BUNDLED, "--port", port)

    assert done.returncode == 2
    assert f"Can't listen on 127.0.0.1:{port}" in done.stderr


def test_the_cache_is_warmed_counted_and_cleared(run, tmp_path):
    folder = tmp_path / "pictures" / "deeper"
    folder.mkdir(parents=True)
    for colour in ("red", "green", "blue"):
        (folder / f"{colour}.png").write_bytes(plain_picture(colour))
    model = ("--model", "efficientnet-lite2")

    first = run("cache", "warm", "pictures", *model)
    assert (first.returncode, first.stdout) == (0, "3 answered, 0 known already, 0 refused.\n")
    (folder / "notes.txt").write_text("no picture")
    (folder / "bad.png").write_text("no picture")
    second = run("cache", "warm", "pictures", *model)
    assert (second.returncode, second.stdout) == (1, "0 answered, 3 known already, 1 refused.\n")
    assert second.stderr.startswith("pictures/deeper/bad.png: ")

    counted = run("cache", "stats").stdout.splitlines()
    assert counted[0].split() == ["fingerprint", "entries"]
    # One entry under the digest of each file, one under that of its pixels.
    assert counted[-1].split() == ["all", "6"]
    assert run("cache", "clear").stdout == "6 entries deleted.\n"
    assert run("cache", "stats").stdout.splitlines()[-1].split() == ["all", "0"]


def test_a_cache_that_is_away_or_off_is_told(run):
    away = run("cache", "stats", WHATSIT_REDIS_URL="redis://127.0.0.1:9/0")
    off = run("cache", "clear", WHATSIT_CACHE="off")

    assert (away.returncode, off.returncode) == (4, 4)
    assert away.stderr == "whatsit: Redis does not answer: nothing listens at its address.\n"
    assert "The cache is off" in off.stderr
