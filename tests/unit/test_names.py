"""The names in other languages: one for every class and level, and each one told from the rest."""

import json
import re
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

FORMS = re.compile(r"\[([^|\]]*)\|?([^\]]*)\]")
ARTICLES = {
    "de": {"ein", "eine"},
    "es": {"un", "una", "unos", "unas"},
    "pt-BR": {"um", "uma"},
}
# With an article though English has none, and without one though English has it.
OTHER_USE = {
    "de": {
        *("binoculars", "chain mail", "jeans", "pajamas", "parallel bars", "swim trunks"),
        *("dark glasses", "sunglasses", "sports or play equipment", "printed or written matter"),
        *("fruit", "vegetable", "paper towel", "piece of camera equipment"),
        "swimsuit or bodysuit",
    },
    "es": {
        *("binoculars", "chain mail", "jeans", "pajamas", "parallel bars", "swim trunks"),
        *("dark glasses", "sunglasses", "sports or play equipment"),
        *("paper towel", "furnishing or household item"),
    },
    "pt-BR": {
        *("binoculars", "chain mail", "jeans", "pajamas", "swim trunks"),
        *("sports or play equipment", "paper towel", "crossword puzzle", "pair of glasses"),
    },
}
# The noun looks like that of other names and is another, or an adjective stands before it.
OTHER_HEADS = {
    "de": {"affe"},
    "es": {"gran"},
    "pt-BR": {"grande", "porta", "caixa"},
}

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


def forms(language: str) -> dict[str, str]:
    """Names as the file has them: ``[in a sentence|alone] and always``."""
    found: dict[str, str] = json.loads(
        (NAMES / f"{language}.json").read_text(encoding="utf-8"), object_pairs_hook=once_each
    )
    return found


def names(language: str) -> dict[str, str]:
    return {wnid: FORMS.sub(r"\2", form) for wnid, form in forms(language).items()}


def article(form: str) -> str:
    """The one that a name begins with in a sentence, or nothing."""
    found = re.match(r"\[([^ |\]]+)", form)
    return found[1] if found else ""


def head(form: str, language: str) -> str:
    """The noun that decides the article: the last word in German, else the first."""
    words = re.split(r"[ -]", FORMS.sub(r"\2", form).split(" (")[0])
    return words[-1 if language == "de" else 0].casefold()


@pytest.fixture(scope="module")
def english() -> dict[str, str]:
    """The English label of every class and level, by WordNet id."""
    path = resources.files("whatsit") / "data" / "labels" / "imagenet-1k.json"
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {entry["wnid"]: entry["name"] for entry in document["classes"] + document["nodes"]}


@pytest.fixture(scope="module")
def countable() -> set[str]:
    """The English labels that have an article."""
    path = resources.files("whatsit") / "data" / "labels" / "imagenet-1k.json"
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {entry["name"] for entry in document["classes"] + document["nodes"] if entry["article"]}


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


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_name_has_an_article_where_the_english_label_has_one(language, english, countable):
    written = forms(language)
    assert {article(form) for form in written.values()} == ARTICLES[language] | {""}

    with_article = {english[wnid] for wnid, form in written.items() if article(form)}

    assert with_article ^ countable == OTHER_USE[language]


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_with_one_noun_have_one_article(language):
    # Names with "or" have several nouns.
    plain = [form for form in forms(language).values() if not re.search(r" (oder|ou|[ou]) ", form)]
    articles: dict[str, set[str]] = {}
    for form in plain:
        if article(form):
            articles.setdefault(head(form, language), set()).add(article(form))
    if language == "de":
        # The end of a compound is a noun too: Hauskatze, Katze.
        for form in plain:
            whole = head(form, language)
            for noun in [noun for noun in articles if len(noun) > 3 and whole.endswith(noun)]:
                articles[noun] |= {article(form)} - {""}

    assert {noun for noun, found in articles.items() if len(found) > 1} == OTHER_HEADS[language]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_name_differs_in_a_sentence_by_its_articles_alone(language):
    articles = "|".join(ARTICLES[language])

    for form in forms(language).values():
        said, alone = FORMS.sub(r"\1", form), FORMS.sub(r"\2", form)
        bare = (re.sub(rf"\b(?:{articles}) ", "", each).casefold() for each in (said, alone))
        assert next(bare) == next(bare), form
