"""The page's words: every language has them all, with the same gaps to fill."""

import json
import re
from pathlib import Path

import pytest

from scripts.build_names import NAMES, english_names
from tests.conftest import ROOT

ASK = ROOT / "src/whatsit/web/ui/assets/ask"
STRINGS = ASK / "strings"
MODULES = sorted(path.stem for path in (STRINGS / "en").glob("*.json"))
TRANSLATIONS = sorted(path.name for path in STRINGS.iterdir() if path.name != "en")
SAME_IN_BOTH = json.loads((Path(__file__).parent / "same_words.json").read_text(encoding="utf-8"))
"""Strings that are rightly the same as in English, by language."""


def strings(language: str, module: str) -> dict[str, str | dict[str, str]]:
    found: dict[str, str | dict[str, str]] = json.loads(
        (STRINGS / language / f"{module}.json").read_text(encoding="utf-8")
    )
    return found


def gaps(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


def texts(value: str | dict[str, str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value.values())


def test_there_are_four_languages_and_all_modules_are_loaded():
    loader = (ASK / "i18n.js").read_text(encoding="utf-8")
    listed = re.search(r"const MODULES = (\[.*?\]);", loader, re.DOTALL)
    languages = re.search(r"LANGUAGES = (\[.*?\]);", loader)

    assert listed is not None
    assert languages is not None
    assert sorted(json.loads(re.sub(r",\s*\]", "]", listed[1]))) == MODULES
    assert sorted(json.loads(languages[1])) == sorted(["en", *TRANSLATIONS])
    assert len(TRANSLATIONS) == 3


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("language", TRANSLATIONS)
def test_a_translation_has_the_same_keys_and_gaps(language, module):
    english, translated = strings("en", module), strings(language, module)

    assert list(translated) == list(english), "the same keys, in the same order"
    for key, value in english.items():
        assert type(translated[key]) is type(value), key
        if isinstance(value, dict):
            assert set(translated[key]) == {"one", "other"}, key
        wanted = set().union(*(gaps(text) for text in texts(value)))
        for text in texts(translated[key]):
            # A singular may say "one" in words.
            assert gaps(text) <= wanted <= gaps(text) | {"count"}, key
            assert text.strip() == text != "", key


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_nothing_was_left_in_english(language):
    left = {
        f"{module}.{key}"
        for module in MODULES
        for key, value in strings("en", module).items()
        if strings(language, module)[key] == value and re.search("[a-z]{3}", "".join(texts(value)))
        if not re.fullmatch(r"[^a-z]*(\{\w+\}[^a-z]*)*", "".join(texts(value)))
    }

    assert left == set(SAME_IN_BOTH.get(language, []))


def test_every_string_that_the_page_asks_for_exists_and_none_is_for_nothing():
    code = "\n".join(path.read_text(encoding="utf-8") for path in sorted(ASK.rglob("*.js")))
    known = {f"{module}.{key}" for module in MODULES for key in strings("en", module)}
    modules = "|".join(MODULES)
    asked = set(re.findall(rf'["`]((?:{modules})\.[a-z_.-]+)["`]', code))
    # Keys that are put together begin with what stands before the first gap.
    built = set(re.findall(rf"`((?:{modules})\.[a-z_.-]*)\$\{{", code))

    assert asked <= known, asked - known
    unused = {key for key in known - asked if not key.startswith(tuple(built))}
    assert not unused


def test_the_english_names_are_those_of_the_labels():
    written = json.loads((NAMES / "en.json").read_text(encoding="utf-8"))

    assert written == english_names(), "Run: python -m scripts.build_names"
