"""Labels and names of strangers speak to people, not to terminals and spreadsheets."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.unit.test_models import make_folder
from whatsit.cli import cli
from whatsit.feedback.connect import url_in_store
from whatsit.feedback.correction import CorrectedAnswer
from whatsit.feedback.database import FeedbackDatabase
from whatsit.feedback.export import export_corrections
from whatsit.feedback.pictures import KeptPictures
from whatsit.feedback.store import FeedbackStore, NewCorrection
from whatsit.folders.classify import show_answers
from whatsit.folders.find import show_path
from whatsit.models.store import ModelStore
from whatsit.prediction import Answer, ImageFacts, ModelId, Prediction, Reply, ScoredLabel

EVIL = "\x1b]0;pwned\x07owl\x9b31m\u202egnp\u2028\x7f"
SHOWN = r"\x1b]0;pwned\x07owl\u009b31m\u202egnp\u2028\x7f"
CONTROLS = set(EVIL) - set(SHOWN)


class EvilAnswers:
    """What a server may answer that is not the one it seems to be."""

    threads = 1
    max_bytes = 1000

    def classify(self, image_bytes: bytes, top_k: int) -> Reply:
        del image_bytes, top_k
        entry = ScoredLabel(EVIL, None, 0, 0.9)
        answer = Answer(f"{EVIL} (90 %).", EVIL, None, 0.9, "sure")
        facts = ImageFacts(1, 1, "PNG", "0" * 64)
        return Reply(Prediction(ModelId("m", "f"), answer, (entry,), facts), (entry,), "miss", {})

    def explain(self, image_bytes: bytes, class_index: int) -> bytes:
        del image_bytes, class_index
        return b"png"

    def concerns_all(self, error: object) -> bool:
        del error
        return False

    def hurry(self) -> None:
        pass


@pytest.mark.parametrize("as_json", [False, True])
def test_an_answer_shows_no_control_characters(tmp_path, capsys, as_json):
    (tmp_path / "a.png").write_bytes(b"")

    show_answers(
        (tmp_path / "a.png",), EvilAnswers(), top_k=1, as_json=as_json, why=tmp_path / "why.png"
    )

    out, err = capsys.readouterr()
    assert not CONTROLS & set(out + err)
    if as_json:
        assert json.loads(out)["top"][0]["label"] == EVIL
    else:
        assert SHOWN in out


def test_a_table_shows_no_control_characters(tmp_path):
    store = FeedbackStore(FeedbackDatabase(url_in_store(tmp_path)), KeptPictures(tmp_path, 0))
    answered = CorrectedAnswer(EVIL, None, 0.5, "sure", "birds", "f" * 64)
    store.add(NewCorrection("0" * 64, "other", EVIL, answered=answered))
    store.database.close()

    shown = CliRunner().invoke(cli, ["feedback", "list", "--store", str(tmp_path)]).output

    assert not CONTROLS & set(shown)
    assert shown.count(SHOWN) == 2


def test_a_card_shows_no_control_characters_and_says_the_same(tmp_path):
    facts: dict[str, Any] = {
        "description": EVIL,
        "licence": EVIL,
        "quality": {EVIL: {"note": EVIL}},
    }
    folder = make_folder(tmp_path / "birds", **facts)
    ModelStore(tmp_path / "home").add(folder)

    for command in ("list", "show"):
        name = ["birds"] if command == "show" else []
        store = ["--store", str(tmp_path / "home")]
        done = CliRunner().invoke(cli, ["models", command, *name, *store])
        assert done.exit_code == 0
        assert not CONTROLS & set(done.output)
    assert tomllib.loads(done.output)["quality"] == {EVIL: {"note": EVIL}}


@pytest.mark.parametrize("label", ["=1+1", "+cmd", "-2", "@SUM(A1)", "＝1", "'tis"])  # noqa: RUF001
def test_no_label_is_a_formula_in_an_export(tmp_path, label):
    store = FeedbackStore(FeedbackDatabase(url_in_store(tmp_path)), KeptPictures(tmp_path, 0))
    answered = CorrectedAnswer(label, None, 0.5, "sure", "birds", "f" * 64)
    store.add(NewCorrection("0" * 64, "right", label, answered=answered))

    export_corrections(store, tmp_path / "out", with_pictures=False)
    store.database.close()

    row = (tmp_path / "out" / "feedback.csv").read_text(encoding="utf-8").splitlines()[1]
    cells = row.split(",")
    assert cells[2] == cells[6] == f"'{label}"


def test_a_path_still_tells_apart_what_is_told_apart():
    assert show_path(Path("a\\x1b")) == "a\\\\x1b"
    assert show_path(Path("a\x1b")) == "a\\x1b"
