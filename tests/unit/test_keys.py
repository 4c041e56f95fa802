"""API keys: recognised while they are valid, by whoever has them, and by nobody else."""

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whatsit.access.keys import KEY_FILE, KeyFile, KeyRing
from whatsit.errors import InvalidParameter, SettingsError


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "store")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ring(file: KeyFile, clock: Clock) -> KeyRing:
    return KeyRing(file.path.parent, clock)


def test_a_new_key_is_recognised_by_its_id_and_name(file, ring):
    key = file.create("shop")

    found = ring.find(key)

    assert found is not None
    assert found.name == "shop"
    assert key.split("_", 2)[:2] == ["wi", found.id]
    assert len(key.split("_", 2)[2]) == 43  # 256 bits in base64


def test_only_a_digest_of_a_key_is_stored(file):
    key = file.create("shop")

    stored = file.path.read_text()

    assert key.split("_", 2)[2] not in stored
    assert json.loads(stored)["keys"][0]["sha256"] == sha256(key.encode()).hexdigest()


def test_no_two_keys_are_alike(file):
    keys = {file.create("shop") for _ in range(20)}

    assert len(keys) == 20
    assert len({key.id for key in file.known()}) == 20


def test_the_file_is_closed_to_others_and_leaves_no_drafts(file):
    file.create("shop")
    file.revoke(file.known()[0].id)

    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert {path.name for path in file.path.parent.iterdir()} == {KEY_FILE, "keys.lock"}


@pytest.mark.skipif(os.geteuid() != 0, reason="Only root can act for another user.")
def test_a_file_made_by_root_belongs_to_the_owner_of_the_store(file):
    file.path.parent.mkdir()
    os.chown(file.path.parent, 1234, 1234)

    file.create("shop")

    assert {path.stat().st_uid for path in file.path.parent.iterdir()} == {1234}


def test_a_revoked_key_is_refused_half_a_second_later_at_most(file, ring, clock):
    key, other = file.create("shop"), file.create("camera")
    assert ring.find(key) is not None

    file.revoke(key.split("_")[1])
    clock.now += 0.5

    assert ring.find(key) is None
    assert ring.find(other) is not None


def test_a_key_made_later_is_recognised_half_a_second_later_at_most(file, ring, clock):
    assert ring.find("wi_00000000_" + "a" * 43) is None

    key = file.create("shop")
    clock.now += 0.5

    assert ring.find(key) is not None


def test_the_file_is_not_looked_at_for_every_request(file, ring, clock):
    key = file.create("shop")
    ring.find(key)
    file.path.unlink()
    clock.now += 0.2
    assert ring.find(key) is not None

    clock.now += 0.1
    assert ring.find(key) is None


def test_revoking_twice_keeps_the_first_time_and_an_unknown_id_is_told(file):
    file.create("shop")
    first = file.revoke(file.known()[0].id)
    assert first.revoked is not None
    file.path.write_text(file.path.read_text().replace(first.revoked, "2026-01-01T00:00:00+00:00"))

    assert file.revoke(first.id).revoked == "2026-01-01T00:00:00+00:00"
    with pytest.raises(InvalidParameter, match=r"'nothing' does not exist.*whatsit keys list"):
        file.revoke("nothing")


@pytest.mark.parametrize("name", ["", "  ", "x" * 65, "two\nlines", "\x1b[31m"])
def test_a_name_that_would_spoil_a_list_is_refused(file, name):
    with pytest.raises(InvalidParameter, match="1 to 64 printable"):
        file.create(name)

    assert not file.path.exists()


def test_makers_of_keys_do_not_undo_each_other(file):
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(file.create, "abcdefghijklmnop"))

    assert len(keys) == 16
    assert {key.name for key in file.known()} == set("abcdefghijklmnop")


def damaged(content: str, change: str) -> str:
    document = json.loads(content)
    (key,) = document["keys"]
    if change == "cut":
        return content[:-5]
    if change == "empty":
        return ""
    if change == "another version":
        document["version"] = 2
    elif change == "no list":
        document["keys"] = key
    elif change == "an unknown fact":
        key["admin"] = True
    elif change == "no revocation":
        del key["revoked"]
    elif change == "an id twice":
        document["keys"].append({**key, "revoked": "2026-01-01T00:00:00+00:00"})
    else:
        key["sha256"] = "short"
    return json.dumps(document)


@pytest.mark.parametrize(
    "change",
    [
        "cut",
        "empty",
        "another version",
        "no list",
        "an unknown fact",
        "no revocation",
        "an id twice",
        "a short digest",
    ],
)
def test_a_damaged_file_lets_nobody_in_and_is_told_once(file, ring, clock, caplog, change):
    key = file.create("shop")
    assert ring.find(key) is not None
    whole = file.path.read_text()

    file.path.write_text(damaged(whole, change))
    for _ in range(3):
        clock.now += 0.5
        assert ring.find(key) is None
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "every request that needs a key is refused" in caplog.text
    with pytest.raises(SettingsError, match="damaged"):
        file.create("another")

    file.path.write_text(whole)
    clock.now += 0.5
    assert ring.find(key) is not None


def test_what_is_no_file_lets_nobody_in_and_is_told_once(file, ring, clock, caplog):
    key = file.create("shop")
    assert ring.find(key) is not None
    file.path.unlink()
    file.path.mkdir()

    for _ in range(3):
        clock.now += 0.5
        assert ring.find(key) is None
    assert len(caplog.records) == 1
    with pytest.raises(SettingsError, match="can't be read"):
        file.known()


def test_a_store_that_can_not_be_written_is_told(tmp_path):
    (tmp_path / "store").write_text("a file")

    with pytest.raises(SettingsError, match="can't be written"):
        KeyFile(tmp_path / "store").create("shop")


@given(st.text(max_size=120))
def test_nothing_else_is_a_key(tmp_path_factory, text):
    folder = tmp_path_factory.getbasetemp() / "one-key"
    if not folder.exists():
        KeyFile(folder).create("shop")
    (known,) = KeyFile(folder).known()

    for offered in (text, f"wi_{known.id}_{text}", f"wi_{known.id}"):
        assert KeyRing(folder).find(offered) is None


def test_every_character_of_a_key_counts(file, ring):
    key = file.create("shop")

    for position in range(len(key)):
        other = "A" if key[position] != "A" else "B"
        assert ring.find(key[:position] + other + key[position + 1 :]) is None
    assert ring.find(key + "A") is None
    assert ring.find(key[:-1]) is None
