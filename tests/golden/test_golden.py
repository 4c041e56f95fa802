"""What others rely on is as it was: names, documents, keys and stored bytes.

Where a change is meant, ``python -m tests.golden.capture`` writes the files again.
"""

import difflib

import numpy as np
import pytest

from tests.golden import capture
from whatsit.cache.codec import decode_entry, encode_entries


def require_unchanged(name: str, now: str) -> None:
    """Fail with the lines in which a file differs from what the code says now."""
    stored = (capture.FILES / name).read_text(encoding="utf-8")
    lines = difflib.unified_diff(
        stored.splitlines(), now.splitlines(), f"{name} (stored)", f"{name} (now)", lineterm=""
    )
    if difference := "\n".join(lines):
        pytest.fail(
            f"{difference}\n\nIf this is meant: python -m tests.golden.capture", pytrace=False
        )


@pytest.mark.parametrize("name", capture.CAPTURES)
def test_nothing_that_others_rely_on_has_changed(name, monkeypatch):
    # What a page of help looks like must not depend on the terminal.
    monkeypatch.setenv("COLUMNS", "40")

    require_unchanged(name, capture.CAPTURES[name]())


@pytest.mark.shared
def test_no_fingerprint_of_a_shared_model_has_changed(shared):
    require_unchanged(capture.SHARED_FILE, capture.shared_identities(shared))


def test_every_file_is_compared():
    files = {path.name for path in capture.FILES.iterdir()}

    assert files == {*capture.CAPTURES, capture.SHARED_FILE}


@pytest.mark.parametrize("seal", capture.SEALS.values(), ids=capture.SEALS)
def test_a_stored_entry_is_read_as_it_was(seal):
    entries = capture.entries()
    stored = dict(encode_entries(entries.items(), seal))

    assert stored.keys() == entries.keys()
    for key, entry in entries.items():
        read = decode_entry(key, stored[key], seal)
        assert type(read) is type(entry)
        for name in entry.__slots__:
            np.testing.assert_array_equal(getattr(read, name), getattr(entry, name), name)
