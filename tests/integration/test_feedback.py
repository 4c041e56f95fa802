"""Correcting answers, against real server processes."""

import hashlib
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.test_api import CLASSIFY, require_problem
from tests.support.private_postgresql import find_programs, open_postgresql
from tests.support.running import RunningServer, start_server
from tests.support.waiting import wait_until
from whatsit.data import example_pictures
from whatsit.testing import plain_picture
from whatsit.web.api.schemas import ClassifyDocument, FeedbackDocument, LabelDocument

MODEL = "efficientnet-lite2"
FEEDBACK = "/api/v1/feedback"
LABELS = "/api/v1/labels"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with start_server(tmp_path_factory.mktemp("home"), "--no-ui", model=MODEL) as server:
        yield server


@pytest.fixture
def client(server: RunningServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


_numbers = iter(range(1000))


@pytest.fixture
def picture() -> bytes:
    """A picture that no other test corrects."""
    return plain_picture("#%06x" % (0x80FF00 + next(_numbers)))


def digest(picture: bytes) -> str:
    return hashlib.sha256(picture).hexdigest()


def correction_of(client: httpx.Client, picture: bytes) -> Any:
    response = client.post(CLASSIFY, content=picture)
    ClassifyDocument.model_validate(response.json())
    return response.json().get("correction")


def correct(client: httpx.Client, **document: object) -> dict[str, Any]:
    response = client.post(FEEDBACK, json=document)
    assert response.status_code == 201, response.text
    FeedbackDocument.model_validate(response.json())
    found: dict[str, Any] = response.json()
    return found


def kept_pictures(home: Path) -> set[str]:
    return {path.name for path in (home / "feedback-pictures").glob("[0-9a-f]*")}


def rows(home: Path) -> list[dict[str, Any]]:
    connection = sqlite3.connect(home / "feedback.db")
    connection.row_factory = sqlite3.Row
    try:
        found = connection.execute("SELECT * FROM whatsit_feedback ORDER BY change")
        return [dict(row) for row in found]
    finally:
        connection.close()


def cli(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "whatsit", *arguments, "--store", str(home)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# Correcting


def test_a_known_picture_shows_its_correction(client, picture):
    assert correction_of(client, picture) is None
    made = correct(client, sha256=digest(picture), verdict="other", label="Beagle")
    assert (made["label"], made["wnid"]) == ("beagle", "n02088364")
    assert made["picture_kept"] is False

    shown = {name: made[name] for name in ("id", "verdict", "label", "wnid", "at")}
    assert correction_of(client, picture) == shown
    reply = client.post(CLASSIFY, content=picture, params={"top_k": 1, "cache": "bypass"})
    assert reply.json()["correction"] == shown


def test_undoing_brings_back_what_was_before(client, picture):
    first = correct(client, sha256=digest(picture), verdict="other", label="wasp")
    second = correct(client, sha256=digest(picture), verdict="none")
    assert correction_of(client, picture)["verdict"] == "none"

    undone = client.delete(f"{FEEDBACK}/{second['id']}")
    assert (undone.status_code, undone.content) == (204, b"")
    assert correction_of(client, picture)["id"] == first["id"]
    client.delete(f"{FEEDBACK}/{first['id']}")
    assert correction_of(client, picture) is None
    require_problem(client.delete(f"{FEEDBACK}/{first['id']}"), 404, "feedback_unknown")


def test_the_answer_that_is_corrected_is_kept_beside_it(server, client, picture):
    answer = client.post(CLASSIFY, content=picture).json()
    correct(client, sha256=digest(picture), verdict="other", label="my own lawn")

    row = rows(server.home)[-1]
    assert (row["label"], row["wnid"]) == ("my own lawn", None)
    assert row["answered_label"] == answer["answer"]["label"]
    assert row["answered_wnid"] == answer["answer"]["wnid"]
    assert row["answered_score"] == pytest.approx(answer["answer"]["score"], abs=1e-6)
    assert row["answered_certainty"] == answer["answer"]["certainty"]
    assert row["model"] == MODEL
    assert row["fingerprint"] == answer["model"]["fingerprint"]
    assert row["who"] is None


def test_a_right_answer_is_the_label_of_the_correction(client, picture):
    answer = client.post(CLASSIFY, content=picture).json()["answer"]
    made = correct(client, sha256=digest(picture), verdict="right")

    assert (made["label"], made["wnid"]) == (answer["label"], answer["wnid"])


def test_a_picture_that_was_never_answered_can_be_corrected(client):
    made = correct(client, sha256="ab" * 32, verdict="right")

    assert (made["label"], made["wnid"]) == (None, None)


def test_an_id_counts_more_than_a_label_and_may_be_that_of_a_group(client, picture):
    made = correct(client, sha256=digest(picture), verdict="other", label="Hund", wnid="n02084071")

    assert (made["label"], made["wnid"]) == ("dog", "n02084071")


# Pictures


def test_a_picture_is_kept_only_when_it_is_sent(server, client, picture):
    correct(client, sha256=digest(picture), verdict="none")
    assert digest(picture) not in kept_pictures(server.home)

    sent = client.post(FEEDBACK, data={"verdict": "none"}, files={"file": ("a.png", picture)})
    assert sent.status_code == 201, sent.text
    assert sent.json()["picture_kept"] is True
    assert sent.json()["sha256"] == digest(picture)
    kept = server.home / "feedback-pictures" / digest(picture)
    assert kept.read_bytes() == picture
    assert kept.stat().st_mode & 0o077 == 0
    assert (server.home / "feedback.db").stat().st_mode & 0o077 == 0

    client.delete(f"{FEEDBACK}/{sent.json()['id']}")
    assert digest(picture) not in kept_pictures(server.home)


def test_what_is_no_picture_is_not_kept(server, client):
    before = len(rows(server.home))
    form = {"verdict": "other", "label": "bee"}
    refused = client.post(FEEDBACK, data=form, files={"file": ("a.jpg", b"MZ" * 100)})
    require_problem(refused, 400, "image_unreadable")
    cut = example_pictures()["bee"][:5000]
    refused = client.post(FEEDBACK, data=form, files={"file": ("a.jpg", cut)})
    require_problem(refused, 400, "image_unreadable")

    assert len(rows(server.home)) == before
    assert digest(cut) not in kept_pictures(server.home)


def test_a_digest_of_another_picture_is_refused(server, client, picture):
    form = {"verdict": "none", "sha256": "cd" * 32}
    refused = client.post(FEEDBACK, data=form, files={"file": ("a.png", picture)})

    require_problem(refused, 422, "invalid_parameter")
    assert not kept_pictures(server.home) & {digest(picture), "cd" * 32}


def test_pictures_are_kept_up_to_a_limit_and_corrections_beyond_it(tmp_path):
    environment = {"WHATSIT_FEEDBACK_MAX_KEPT_BYTES": "100000"}
    pictures = [example_pictures()[name] for name in ("bee", "cat")]
    assert 50_000 < len(pictures[0]) < 100_000 < sum(map(len, pictures)), "else pick others"
    with (
        start_server(tmp_path, "--no-ui", model=MODEL, environment=environment) as server,
        server.client() as client,
    ):
        kept = [
            client.post(
                FEEDBACK, data={"verdict": "none"}, files={"file": ("a.jpg", picture)}
            ).json()["picture_kept"]
            for picture in pictures
        ]

        assert kept == [True, False]
        assert kept_pictures(tmp_path) == {digest(pictures[0])}
        assert correction_of(client, pictures[1])["verdict"] == "none"


# Refusals


@pytest.mark.parametrize(
    ("document", "word"),
    [
        ({"verdict": "none"}, "sha256"),
        ({"sha256": "ab" * 32}, "verdict"),
        ({"sha256": "AB" * 32, "verdict": "none"}, "sha256"),
        ({"sha256": "ab" * 32, "verdict": "maybe"}, "verdict"),
        ({"sha256": "ab" * 32, "verdict": "other"}, "label"),
        ({"sha256": "ab" * 32, "verdict": "other", "label": " "}, "label"),
        ({"sha256": "ab" * 32, "verdict": "other", "label": "x" * 101}, "label"),
        ({"sha256": "ab" * 32, "verdict": "other", "label": "a\x00b"}, "label"),
        ({"sha256": "ab" * 32, "verdict": "other", "label": "=SUM(A1)"}, "label"),
        ({"sha256": "ab" * 32, "verdict": "other", "label": "a", "wnid": "n99999999"}, "wnid"),
        ({"sha256": "ab" * 32, "verdict": "none", "score": 1}, "score"),
        ([], "document"),
    ],
)
def test_a_wrong_document_is_refused_with_the_name_of_what_is_wrong(client, document, word):
    problem = require_problem(client.post(FEEDBACK, json=document), 422, "invalid_parameter")

    assert word in problem.detail


def test_other_kinds_of_bodies_are_refused(client):
    document = '{"sha256": "%s", "verdict": "none"}' % ("ab" * 32)
    for kind in ("text/plain", "application/x-www-form-urlencoded", "image/png"):
        refused = client.post(FEEDBACK, content=document, headers={"Content-Type": kind})
        require_problem(refused, 422, "invalid_parameter")
    large = client.post(FEEDBACK, json={"sha256": "ab" * 32, "verdict": "x" * 20_000})
    assert "10,000 bytes" in require_problem(large, 422, "invalid_parameter").detail


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://example.org"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
    ],
)
def test_a_page_of_another_site_can_neither_correct_nor_undo(server, client, headers, picture):
    before = correct(client, sha256=digest(picture), verdict="none")
    number = len(rows(server.home))
    form = {"data": {"verdict": "right"}, "files": {"file": ("a.png", picture)}}
    require_problem(client.post(FEEDBACK, headers=headers, **form), 403, "origin_not_allowed")
    undo = client.delete(f"{FEEDBACK}/{before['id']}", headers=headers)
    require_problem(undo, 403, "origin_not_allowed")

    assert len(rows(server.home)) == number


def test_our_own_page_can_correct(server, client, picture):
    document = {"sha256": digest(picture), "verdict": "none"}
    for headers in ({"Sec-Fetch-Site": "same-origin"}, {"Origin": server.url}):
        assert client.post(FEEDBACK, json=document, headers=headers).status_code == 201


# Labels


def test_labels_are_found_by_synonyms_and_typos(client):
    found = client.get(LABELS, params={"q": "honeyb", "limit": 3}).json()["labels"]
    assert found[0]["label"] == "bee"
    assert "honeybee" in found[0]["synonyms"]
    assert found[0]["definition"]
    assert len(client.get(LABELS, params={"q": "a", "limit": 7}).json()["labels"]) == 7
    assert client.get(LABELS, params={"q": "dalmation"}).json()["labels"][0]["index"] == 251
    require_problem(client.get(LABELS, params={"limit": 0}), 422, "invalid_parameter")


def test_a_group_is_known_by_its_id_only(client):
    group = LabelDocument.model_validate(client.get(f"{LABELS}/n02084071").json())
    assert (group.label, group.index) == ("dog", None)
    assert "domestic dog" in group.synonyms
    assert "Canis" in str(group.definition)
    found = client.get(LABELS, params={"q": "dog"}).json()["labels"]
    assert "dog" not in [entry["label"] for entry in found]

    require_problem(client.get(f"{LABELS}/n00000001"), 404, "label_unknown")
    require_problem(client.get(f"{LABELS}/beagle"), 422, "invalid_parameter")


# Processes, keys, metrics


@pytest.mark.extended
def test_two_processes_share_one_store_and_a_restart_keeps_it(tmp_path, picture):
    with (
        start_server(tmp_path, "--no-ui", "--workers", "2", model=MODEL) as pair,
        pair.client() as client,
    ):

        def told() -> set[str | None]:
            """What either process tells; each connection reaches one of them by chance."""
            found = set()
            for _ in range(8):
                with pair.client() as fresh:
                    correction = correction_of(fresh, picture)
                found.add(correction["label"] if correction else None)
            return found

        assert told() == {None}
        correct(client, sha256=digest(picture), verdict="other", label="wasp")
        made = correct(client, sha256=digest(picture), verdict="other", label="hornet")
        assert wait_until(lambda: told() == {"hornet"})
        with pair.client() as fresh:
            fresh.delete(f"{FEEDBACK}/{made['id']}")
        assert wait_until(lambda: told() == {"wasp"})
    with (
        start_server(tmp_path, "--no-ui", model=MODEL) as again,
        again.client() as client,
    ):
        assert correction_of(client, picture)["label"] == "wasp"


def test_the_key_that_a_correction_came_with_is_kept_by_its_name(tmp_path, picture):
    key = cli(tmp_path, "keys", "create", "the shop").stdout.strip()
    environment = {"WHATSIT_API_KEYS": "required"}
    with (
        start_server(tmp_path, "--no-ui", model=MODEL, environment=environment) as server,
        server.client() as client,
    ):
        document = {"sha256": digest(picture), "verdict": "none"}
        require_problem(client.post(FEEDBACK, json=document), 401, "unauthorized")
        require_problem(client.get(LABELS), 401, "unauthorized")
        made = client.post(FEEDBACK, json=document, headers={"X-API-Key": key})

    assert made.status_code == 201
    assert [row["who"] for row in rows(tmp_path)] == ["the shop"]


def test_corrections_are_counted_by_verdict(server, client, picture):
    name = 'whatsit_feedback_total{verdict="none"}'
    before = server.metric(name)
    correct(client, sha256=digest(picture), verdict="none")

    assert server.metric(name) == before + 1
    assert server.metric('whatsit_refusals_total{code="feedback_unavailable"}') == 0


# Failures


def test_a_database_that_is_damaged_disturbs_no_answer(tmp_path, picture):
    (tmp_path / "feedback.db").write_bytes(b"no database at all" * 500)
    with start_server(tmp_path, "--no-ui", model=MODEL) as server, server.client() as client:
        assert correction_of(client, picture) is None
        document = {"sha256": digest(picture), "verdict": "none"}
        refused = client.post(FEEDBACK, json=document)
        problem = require_problem(refused, 503, "feedback_unavailable")
        assert refused.headers["Retry-After"] == "5"
        assert str(tmp_path) not in problem.detail
        assert "not a database" in server.log
        assert "Traceback" not in server.log

        (tmp_path / "feedback.db").unlink()
        assert wait_until(lambda: client.post(FEEDBACK, json=document).status_code == 201)
        assert correction_of(client, picture)["verdict"] == "none"


@pytest.mark.extended
def test_corrections_in_postgresql(tmp_path, picture):
    programs = find_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: the package postgresql).")
    with open_postgresql(programs) as database:
        environment = {"WHATSIT_FEEDBACK_URL": database.url}
        with (
            start_server(tmp_path, "--no-ui", model=MODEL, environment=environment) as server,
            server.client() as client,
        ):
            document = {"sha256": digest(picture), "verdict": "other", "label": "wasp"}
            correct(client, **document)
            assert correction_of(client, picture)["label"] == "wasp"
            database.stop()
            assert correction_of(client, picture)["label"] == "wasp"
            require_problem(client.post(FEEDBACK, json=document), 503, "feedback_unavailable")
            database.start()
            assert wait_until(lambda: client.post(FEEDBACK, json=document).status_code == 201)
        assert not (tmp_path / "feedback.db").exists()


def test_a_wrong_address_of_a_database_is_a_sentence_at_start(tmp_path, monkeypatch):
    monkeypatch.setenv("WHATSIT_FEEDBACK_URL", "mysql://me:hunter2@example.org/db")
    monkeypatch.setenv("WHATSIT_CACHE", "off")
    done = cli(tmp_path, "serve", "--port", "0", "--no-ui", "--model", MODEL)

    assert done.returncode == 2
    assert re.fullmatch(r"whatsit: WHATSIT_FEEDBACK_URL .*\n", done.stderr), done.stderr
    assert "hunter2" not in done.stderr


# The command line


@pytest.fixture
def home(filled_home: Path, tmp_path: Path) -> Path:
    """A store with corrections of four pictures, three of which are kept."""
    return Path(shutil.copytree(filled_home, tmp_path / "home"))


@pytest.fixture(scope="module")
def filled_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("filled")
    said = {
        "bee": {"verdict": "right"},
        "cat": {"verdict": "other", "label": "Tom & Jerry"},
        "citrus": {"verdict": "none"},
    }
    with start_server(home, "--no-ui", model=MODEL) as server, server.client() as client:
        for name, form in said.items():
            picture = example_pictures()[name]
            client.post(CLASSIFY, content=picture)
            for label in ("wasp", None):  # the second is the one that counts
                sent = {**form, "verdict": "other", "label": label} if label else form
                files = {"file": ("a.jpg", picture)}
                assert client.post(FEEDBACK, data=sent, files=files).status_code == 201
        correct(client, sha256="ab" * 32, verdict="other", label="espresso")
    return home


def test_corrections_become_a_dataset(home, tmp_path):
    done = cli(home, "feedback", "export", str(tmp_path / "out"), "--format", "folders")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("4 corrections, 3 pictures")
    lines = (tmp_path / "out" / "feedback.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == ("sha256,file,label,wnid,verdict,at,answered_label,answered_score,model")
    table = {line.split(",")[0]: line.split(",") for line in lines[1:]}
    examples = example_pictures()
    bee = table[digest(examples["bee"])]
    assert bee[1] == f"n02206856/{bee[0]}.jpeg"
    assert (bee[2], bee[4], bee[6], bee[8]) == ("bee", "right", "bee", MODEL)
    assert 0.5 < float(bee[7]) <= 1
    assert (tmp_path / "out" / bee[1]).read_bytes() == examples["bee"]
    cat = table[digest(examples["cat"])]
    assert re.fullmatch(r"own-tom-jerry-[0-9a-f]{8}/\w+\.jpeg", cat[1])
    assert (cat[2], cat[3]) == ("Tom & Jerry", "")
    assert table[digest(examples["citrus"])][1].startswith("none-of-these/")
    assert table["ab" * 32][1:5] == ["", "espresso", "n07920052", "other"]
    assert table["ab" * 32][6:] == ["", "", ""]
    assert len(list((tmp_path / "out").rglob("*.jpeg"))) == 3


def test_a_dataset_without_pictures_is_one_table(home, tmp_path):
    done = cli(home, "feedback", "export", str(tmp_path / "out"))

    assert done.stdout.startswith("4 corrections, 0 pictures")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["feedback.csv"]
    again = cli(home, "feedback", "export", str(tmp_path / "out"))
    assert again.returncode == 2
    assert "is not empty" in again.stderr


def test_a_damaged_picture_is_left_out_of_the_dataset(home, tmp_path):
    sha256 = digest(example_pictures()["bee"])
    (home / "feedback-pictures" / sha256).write_bytes(b"other bytes")
    done = cli(home, "feedback", "export", str(tmp_path / "out"), "--format", "folders")

    assert done.stdout.startswith("4 corrections, 2 pictures")
    assert "1 kept pictures are not here" in done.stderr


def test_corrections_are_listed_and_forgotten(home):
    listed = cli(home, "feedback", "list").stdout.splitlines()
    assert len(listed) == 8
    assert listed[0].split() == [
        *("at", "verdict", "label", "answered", "by", "picture", "sha256"),
    ]
    bee = digest(example_pictures()["bee"])
    assert sum(bee in line for line in listed) == 2

    assert cli(home, "feedback", "forget").returncode == 2
    assert cli(home, "feedback", "forget", "--sha256", "bee").returncode == 2
    assert cli(home, "feedback", "forget", "--sha256", bee).stdout == "2 corrections deleted.\n"
    assert bee not in kept_pictures(home)
    assert len(kept_pictures(home)) == 2
    assert cli(home, "feedback", "forget", "--all").stdout == "5 corrections deleted.\n"
    assert kept_pictures(home) == set()
    assert rows(home) == []
    assert bee.encode() not in (home / "feedback.db").read_bytes()


def test_looking_makes_no_database(tmp_path):
    done = cli(tmp_path, "feedback", "list")

    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "feedback.db").exists()


def test_forgetting_reaches_a_running_server(server, client, picture):
    correct(client, sha256=digest(picture), verdict="none")
    assert correction_of(client, picture) is not None
    forgotten = cli(server.home, "feedback", "forget", "--sha256", digest(picture))
    assert forgotten.stdout == "1 corrections deleted.\n"

    assert wait_until(lambda: correction_of(client, picture) is None)
