"""Corrections are kept alike in SQLite and in PostgreSQL."""

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.private_postgresql import PrivatePostgresql, find_programs, open_postgresql
from tests.support.waiting import wait_until
from whatsit.data import example_pictures
from whatsit.errors import FeedbackFull, FeedbackUnavailable, FeedbackUnknown, SettingsError
from whatsit.feedback.connect import parse_url, url_in_store
from whatsit.feedback.correction import CorrectedAnswer
from whatsit.feedback.corrections import Corrections
from whatsit.feedback.database import FeedbackDatabase
from whatsit.feedback.pictures import KeptPictures
from whatsit.feedback.store import FeedbackStore, NewCorrection, Picture

BEE = Picture(example_pictures()["bee"], "JPEG")
CAT = Picture(example_pictures()["cat"], "JPEG")
BEE_SHA = hashlib.sha256(BEE.image_bytes).hexdigest()
CAT_SHA = hashlib.sha256(CAT.image_bytes).hexdigest()
ANSWERED = CorrectedAnswer("bee", "n02206856", 0.9123456, "sure", "resnet50", "ab" * 32)

Open = Callable[[], FeedbackStore]


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PrivatePostgresql]:
    programs = find_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: the package postgresql).")
    with open_postgresql(programs) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield url_in_store(tmp_path).render_as_string()
        return
    url: str = request.getfixturevalue("postgresql").url
    yield url
    drop_tables(url)


def drop_tables(url: str) -> None:
    import psycopg

    with psycopg.connect(url) as connection:
        connection.execute("DROP TABLE IF EXISTS whatsit_feedback, whatsit_feedback_state")


@pytest.fixture
def open_store(url: str, tmp_path: Path) -> Iterator[Open]:
    opened: list[FeedbackStore] = []

    def open_store() -> FeedbackStore:
        store = open_at(url, tmp_path)
        opened.append(store)
        return store

    yield open_store
    for store in opened:
        store.database.close()


def open_at(url: str, folder: Path) -> FeedbackStore:
    return FeedbackStore(FeedbackDatabase(parse_url(url)), KeptPictures(folder, 10**7))


@pytest.fixture
def store(open_store: Open) -> FeedbackStore:
    return open_store()


def said(label: str | None, sha256: str = BEE_SHA) -> NewCorrection:
    return NewCorrection(sha256, "other" if label else "none", label)


def told(store: FeedbackStore, sha256: str = BEE_SHA) -> str | None:
    newest = store.database.newest(sha256)
    return newest.correction.label if newest else None


# One process


def test_weeks_tell_what_was_said_last_of_each_picture(store):
    for verdict in ("other", "right"):
        store.add(NewCorrection(BEE_SHA, verdict, "bee", answered=ANSWERED))
    store.add(NewCorrection(CAT_SHA, "none", answered=ANSWERED))
    store.add(NewCorrection("c" * 64, "right", "cat"))
    (today, *_) = {record.correction.at[:10] for record in store.database.records()}
    day = date.fromisoformat(today)
    corrections = Corrections(store)

    weeks = corrections.weeks(today=day)
    assert [(week.model, week.right, week.wrong) for week in weeks] == [
        (None, 1, 0),
        ("resnet50", 1, 1),
    ]
    assert {week.monday for week in weeks} == {day - timedelta(days=day.weekday())}
    assert weeks[1].accuracy == 0.5
    assert corrections.weeks(count=2, today=day + timedelta(weeks=1)) == weeks
    assert corrections.weeks(count=1, today=day + timedelta(weeks=1)) == ()


def test_looking_for_weeks_makes_no_database(tmp_path):
    store = open_at(url_in_store(tmp_path).render_as_string(), tmp_path)

    assert Corrections(store).weeks() == ()
    assert list(tmp_path.iterdir()) == []


def test_a_correction_comes_back_as_it_was_given(store):
    new = NewCorrection(BEE_SHA, "other", "Größe 😀", "n1", ANSWERED, "the shop")
    record = store.add(new)

    assert store.database.find(record.correction.id) == record
    assert list(store.database.records()) == [record]
    assert (record.answered, record.who, record.picture_format) == (ANSWERED, "the shop", None)
    assert record.correction.label == "Größe 😀"
    assert record.correction.at.endswith("Z")


def test_the_newest_correction_wins_and_undoing_it_brings_the_older_back(store):
    store.add(said("wasp"))
    newer = store.add(said("hornet"))
    assert told(store) == "hornet"

    store.undo(newer.correction.id)
    assert told(store) == "wasp"


def labels_of(store: FeedbackStore) -> list[str | None]:
    return [record.correction.label for record in store.database.records()]


def by_key(label: str, who: str = "the shop") -> NewCorrection:
    return NewCorrection(BEE_SHA, "other", label, who=who)


def test_one_key_keeps_what_it_said_last_and_what_an_undo_brings_back(store):
    store.add(by_key("ant", "another"))
    store.add(said("moth"))
    for number in range(50):
        newest = store.add(by_key(f"wasp {number}"))
    store.add(NewCorrection(CAT_SHA, "other", "tiger", who="the shop"))

    assert labels_of(store) == ["ant", "moth", "wasp 48", "wasp 49", "tiger"]
    store.undo(newest.correction.id)
    assert told(store) == "wasp 48"


def test_one_address_keeps_as_much_and_is_not_stored(open_store, tmp_path):
    store = open_store()
    with Corrections(store) as corrections:
        for number in range(50):
            for caller in ("203.0.113.7", "203.0.113.8"):
                corrections.add(said(f"{caller[-1]}: {number}"), caller=caller)
        newest = corrections.get(BEE_SHA)
        assert newest is not None
        assert labels_of(store) == ["7: 48", "8: 48", "7: 49", "8: 49"]
        corrections.undo(newest.id)
        assert told(store) == "7: 49"
    assert b"203.0.113" not in b"".join(it.read_bytes() for it in tmp_path.glob("feedback.db*"))


def test_a_picture_stays_with_what_its_caller_says_later(store):
    store.add(by_key("wasp"), BEE)
    for number in range(5):
        store.add(by_key(f"ant {number}"))
        assert store.pictures.names() == {BEE_SHA}
        assert "JPEG" in [record.picture_format for record in store.database.records()]

    for record in list(store.database.records()):
        store.undo(record.correction.id)
    assert store.pictures.names() == frozenset()


def test_other_processes_learn_of_what_took_the_place_of_another(open_store):
    here, there = (Corrections(open_store()) for _ in range(2))
    for number in range(5):
        here.add(by_key(f"wasp {number}"))
        there.refresh()
        assert there.get(BEE_SHA) == here.get(BEE_SHA)
    for number in range(5):
        here.add(by_key(f"moth {number}"))
    there.refresh()
    assert there.get(BEE_SHA) == here.get(BEE_SHA)


def test_a_full_table_refuses_and_loses_nothing(url, tmp_path, monkeypatch):
    monkeypatch.setattr("whatsit.feedback.database._FULL_SECONDS", 0.0)
    database = FeedbackDatabase(parse_url(url), max_corrections=5)
    store = FeedbackStore(database, KeptPictures(tmp_path, 10**7))
    for number in range(4):
        store.add(said("wasp", f"{number:064x}"))
    store.add(by_key("ant"))
    with pytest.raises(FeedbackFull, match="limit of 5 corrections"):
        store.add(said("moth", CAT_SHA), CAT)
    assert store.pictures.names() == frozenset()
    assert len(labels_of(store)) == 5

    first, *_ = store.database.records()
    store.undo(first.correction.id)
    store.add(by_key("bee"))
    store.add(by_key("moth"))  # in place of the ant
    assert labels_of(store) == ["wasp", "wasp", "wasp", "bee", "moth"]
    with pytest.raises(FeedbackFull):
        store.add(said("tiger", CAT_SHA))
    database.close()


def test_what_was_undone_is_unknown(store):
    correction_id = store.add(said("wasp")).correction.id
    store.undo(correction_id)

    assert told(store) is None
    with pytest.raises(FeedbackUnknown):
        store.undo(correction_id)


def test_a_picture_is_kept_only_where_it_was_given(store):
    store.add(said("wasp"))
    assert store.pictures.names() == frozenset()

    record = store.add(said("wasp"), BEE)
    assert record.picture_format == "JPEG"
    assert store.pictures.read(BEE_SHA) == BEE.image_bytes


def test_a_picture_goes_with_the_last_correction_that_it_was_given_for(store):
    first, second = store.add(said("wasp"), BEE), store.add(said("hornet"), BEE)
    store.add(said("fly"))

    store.undo(first.correction.id)
    assert store.pictures.names() == {BEE_SHA}
    store.undo(second.correction.id)
    assert store.pictures.names() == frozenset()
    assert told(store) == "fly"


def test_forgetting_a_picture_leaves_the_others(store):
    store.add(said("wasp"), BEE)
    store.add(said("hornet"))
    store.add(said("tiger", CAT_SHA), CAT)

    assert store.forget(BEE_SHA) == 2
    assert (told(store), told(store, CAT_SHA)) == (None, "tiger")
    assert store.pictures.names() == {CAT_SHA}


def test_forgetting_all_leaves_nothing(store):
    store.add(said("wasp"), BEE)
    store.add(said("tiger", CAT_SHA), CAT)

    assert store.forget(None) == 2
    assert list(store.database.records()) == []
    assert store.pictures.names() == frozenset()
    assert store.forget(None) == 0


def test_records_can_be_those_that_count(store):
    store.add(said("wasp"))
    store.add(said("tiger", CAT_SHA))
    store.add(said("hornet"))

    newest = store.database.records(newest_only=True)
    assert [record.correction.label for record in newest] == ["tiger", "hornet"]


# Several processes


def test_another_process_learns_what_is_new_and_what_is_gone(open_store):
    ours, theirs = Corrections(open_store(), 0.05), open_store()
    with ours:
        assert ours.get(BEE_SHA) is None
        first, second = theirs.add(said("wasp")), theirs.add(said("hornet"))
        assert wait_until(lambda: label_of(ours) == "hornet")

        theirs.undo(second.correction.id)
        assert wait_until(lambda: label_of(ours) == "wasp")
        theirs.undo(first.correction.id)
        assert wait_until(lambda: ours.get(BEE_SHA) is None)


def label_of(corrections: Corrections, sha256: str = BEE_SHA) -> str | None:
    correction = corrections.get(sha256)
    return correction.label if correction else None


def test_what_is_new_and_gone_between_two_looks_is_not_mistaken(open_store):
    ours, theirs = Corrections(open_store(), 3600), open_store()
    with ours:
        kept = theirs.add(said("tiger", CAT_SHA))
        ours.refresh()
        passing = theirs.add(said("wasp"))
        theirs.add(said("hornet"))
        theirs.undo(passing.correction.id)
        theirs.undo(kept.correction.id)
        ours.refresh()

        assert (label_of(ours), ours.get(CAT_SHA)) == ("hornet", None)


def test_ones_own_corrections_are_told_at_once(open_store):
    with Corrections(open_store(), 3600) as corrections:
        first = corrections.add(said("wasp")).correction
        second = corrections.add(said("hornet")).correction
        assert corrections.get(BEE_SHA) == second

        corrections.undo(second.id)
        assert corrections.get(BEE_SHA) == first
        corrections.undo(first.id)
        assert corrections.get(BEE_SHA) is None


def test_a_later_correction_of_another_process_is_not_replaced_by_an_earlier_own_one(open_store):
    with Corrections(open_store(), 3600) as ours:
        ours.add(said("wasp"))
        open_store().add(said("hornet"))
        ours.refresh()

        assert label_of(ours) == "hornet"


def test_a_restart_keeps_corrections(open_store):
    with Corrections(open_store()) as before:
        before.add(said("wasp"), BEE)
    with Corrections(open_store()) as after:
        assert label_of(after) == "wasp"


def test_a_picture_goes_from_a_machine_when_its_correction_is_undone_on_another(
    postgresql, tmp_path
):
    elsewhere = open_at(postgresql.url, tmp_path / "elsewhere")
    with Corrections(open_at(postgresql.url, tmp_path), 3600) as here:
        kept = here.add(said("wasp"), BEE).correction
        here.add(said("tiger", CAT_SHA), CAT)
        here.refresh()
        elsewhere.undo(kept.id)
        assert KeptPictures(tmp_path, 1).names() == {BEE_SHA, CAT_SHA}
        here.refresh()

        assert KeptPictures(tmp_path, 1).names() == {CAT_SHA}
    elsewhere.database.close()
    drop_tables(postgresql.url)


def write_many(url: str, folder: str, name: str) -> None:
    """What each of several processes does at once, from an empty folder on."""
    store = open_at(url, Path(folder))
    for count in range(10):
        record = store.add(said(f"{name} {count}"), BEE)
        if count % 2:
            store.undo(record.correction.id)


def test_processes_that_write_at_once_lose_nothing(url, tmp_path, open_store):
    program = (
        "import sys; from tests.contract.test_feedback import write_many; write_many(*sys.argv[1:])"
    )
    # Not by multiprocessing, which starts whatever a test before has left as the main module.
    processes = [
        subprocess.Popen([sys.executable, "-c", program, url, str(tmp_path), name], cwd=ROOT)
        for name in ("one", "two")
    ]

    assert [process.wait(60) for process in processes] == [0, 0]
    store = open_store()
    records = list(store.database.records())
    assert len(records) == 10
    assert store.pictures.read(BEE_SHA) == BEE.image_bytes
    changes = store.database.changes_since(None, 10)
    assert changes is not None
    assert changes.number == 30


# Failures


def test_tables_of_a_newer_whatsit_are_left_alone(url, open_store):
    import sqlalchemy as sa

    open_store().add(said("wasp"))
    engine = sa.create_engine(parse_url(url))
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE whatsit_feedback_state SET version = 99"))
    engine.dispose()

    with pytest.raises(FeedbackUnavailable) as refused:
        open_store().add(said("hornet"))
    assert "99" in refused.value.reason


def test_a_postgresql_that_is_gone_is_told_and_used_again_when_it_is_back(
    postgresql, tmp_path, caplog
):
    try:
        store = open_at(postgresql.url, tmp_path)
        with Corrections(store, 0.05) as corrections:
            corrections.add(said("wasp"))
            postgresql.stop()
            with pytest.raises(FeedbackUnavailable) as failed:
                corrections.add(said("hornet"))
            assert wait_until(lambda: "no correction is kept" in caplog.text)
            assert label_of(corrections) == "wasp"
            postgresql.start()
            assert wait_until(lambda: corrections.add(said("fly")) is not None)
            assert label_of(corrections) == "fly"
        assert "secret" not in failed.value.reason + str(failed.value) + caplog.text
    finally:
        drop_tables(postgresql.url)


def test_a_wrong_password_is_a_sentence_that_does_not_repeat_it(postgresql, tmp_path):
    store = open_at(postgresql.url.replace("secret", "hunter2"), tmp_path)

    with pytest.raises(FeedbackUnavailable) as failed:
        store.add(said("wasp"))
    assert "password authentication failed" in failed.value.reason
    assert "hunter2" not in failed.value.reason


@pytest.mark.parametrize(
    "text", ["", "postgresql", "mysql://u:hunter2@h/d", "postgresql://h", "sqlite://", "a:b:c"]
)
def test_what_is_no_address_of_a_database_is_refused(text):
    with pytest.raises(SettingsError, match="WHATSIT_FEEDBACK_URL") as refused:
        parse_url(text)
    assert "hunter2" not in str(refused.value)
