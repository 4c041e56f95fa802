"""The names in other languages: one for every class and level, and each one told from the rest."""

import json
from collections import Counter
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

NAMES = ROOT / "src/whatsit/web/ui/assets/ask/names"
LANGUAGES = sorted(path.stem for path in NAMES.glob("*.json") if path.stem != "en")
SAME_NAMES = json.loads((Path(__file__).parent / "same_names.json").read_text(encoding="utf-8"))
"""English labels whose name is rightly the same, by language."""

# Begin with a proper name, an abbreviation or a trade name.
OTHER_CASE = {
    "de": {"iPod"},
    "es": {"Ford T"},
    "pt-BR": {"CD player", "Ford modelo T"},
}


def once_each(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Refuse a file that says the same key twice, which JSON allows."""
    twice = [wnid for wnid, count in Counter(wnid for wnid, _ in pairs).items() if count > 1]
    assert not twice
    return dict(pairs)


def names(language: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(
        (NAMES / f"{language}.json").read_text(encoding="utf-8"), object_pairs_hook=once_each
    )
    return found


@pytest.fixture(scope="module")
def english() -> dict[str, str]:
    """The English label of every class and level, by WordNet id."""
    path = resources.files("whatsit") / "data" / "labels" / "imagenet-1k.json"
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {entry["wnid"]: entry["name"] for entry in document["classes"] + document["nodes"]}


def test_every_language_was_reviewed():
    assert sorted(SAME_NAMES) == sorted(OTHER_CASE) == LANGUAGES
    assert len(LANGUAGES) >= 3


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_class_and_level_has_a_name(language, english):
    assert sorted(names(language)) == sorted(english)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_two_share_a_name(language, english):
    counts = Counter(name.casefold() for name in names(language).values())
    shared = {
        english[wnid]: name for wnid, name in names(language).items() if counts[name.casefold()] > 1
    }

    assert not shared


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_name_is_one_tidy_line(language):
    untidy = [
        name for name in names(language).values() if not name or name != " ".join(name.split())
    ]

    assert not untidy


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_name_begins_as_the_language_writes_nouns(language):
    capital = language == "de"
    odd = {name for name in names(language).values() if name[:1].isupper() != capital}

    assert odd == OTHER_CASE[language]


@pytest.mark.parametrize("language", LANGUAGES)
def test_only_names_that_are_the_same_were_left_as_in_english(language, english):
    left = {
        english[wnid]
        for wnid, name in names(language).items()
        if name.casefold() == english[wnid].casefold()
    }

    assert left == set(SAME_NAMES[language])
