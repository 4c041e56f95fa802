"""The page speaks the person's language, or the best it has."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.support.running import RunningServer

BEE = {"label": "bee", "wnid": "n02206856", "score": 0.994}
CATS = [
    {"label": "Egyptian cat", "wnid": "n02124075", "score": 0.77},
    {"label": "tiger cat", "wnid": "n02123159", "score": 0.137},
]


def answer(**changes: Any) -> dict[str, Any]:
    return {
        **{"text": "A bee (99 %).", "certainty": "sure", "recognised": True, "level": "class"},
        **{"path": ["animal", "insect", "bee"], "set": [BEE]},
        **BEE,
        **changes,
    }


CAT = answer(
    text="A domestic cat, almost certainly (99 %); probably an Egyptian cat (77 %).",
    **{"label": "domestic cat", "wnid": "n02121808", "score": 0.99, "level": "group", "set": CATS},
)
UNSURE = answer(certainty="unsure", set=CATS, text="I am not sure.")
UNKNOWN = answer(certainty="unsure", recognised=False, set=[], text="I do not recognise this.")


@pytest.fixture
def speaking(browser: Browser, server: RunningServer) -> Iterator[Any]:
    """Opens a page whose browser asks for a language, with the words loaded."""
    contexts = []

    def open_page(locale: str, tag: str | None = None) -> Page:
        context = browser.new_context(locale=locale)
        contexts.append(context)
        page = context.new_page()
        page.goto(f"{server.url}/api/docs")
        load(page, tag)
        return page

    yield open_page
    for context in contexts:
        context.close()


def load(page: Page, tag: str | None = None) -> None:
    page.evaluate(
        """async (tag) => {
          window.words = await import("/whatsit-assets/ask/i18n.js");
          await window.words.loadLanguage(tag ?? undefined);
        }""",
        tag,
    )


def sentence(page: Page, answer: dict[str, Any]) -> str:
    said: str = page.evaluate("(answer) => words.sentenceOf(answer)", answer)
    return said.replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("locale", "tag", "expected"),
    [
        ("en-GB", None, "en"),
        ("de-AT", None, "de"),
        ("pt-PT", None, "pt-BR"),
        ("es-419", None, "es"),
        ("fr-FR", None, "en"),
        ("fr-FR", "de", "de"),
    ],
)
def test_the_best_language_is_taken(speaking, locale, tag, expected):
    assert speaking(locale, tag).evaluate("() => words.language()") == expected


def test_a_choice_is_remembered(speaking):
    page = speaking("de-DE")
    page.evaluate("() => words.chooseLanguage('es')")
    page.reload()
    load(page)

    assert page.evaluate("() => words.language()") == "es"
    page.evaluate("() => words.chooseLanguage(null)")
    load(page)
    assert page.evaluate("() => words.language()") == "de"


@pytest.mark.parametrize(
    ("locale", "bee", "cat"),
    [
        ("en", "A bee (99 %).", CAT["text"]),
        ("de", "Biene (99 %).", "fast sicher (99 %); wahrscheinlich"),
        ("es", "Abeja (99 %).", "casi con seguridad (99 %); probablemente"),
        ("pt-BR", "Abelha (99 %).", "quase com certeza (99 %); provavelmente"),
    ],
)
def test_sentences(speaking, locale, bee, cat):
    page = speaking(locale)

    assert sentence(page, answer()) == bee
    assert cat in sentence(page, CAT)
    probably = answer(certainty="probably", text="Probably a bee (80 %).")
    assert sentence(page, probably) != bee
    assert len({sentence(page, one) for one in (answer(), CAT, UNSURE, UNKNOWN)}) == 4


def test_a_group_is_named_by_its_english_label_alone(speaking):
    names = speaking("de").evaluate(
        "() => ['insect', 'no such thing'].map((label) => words.nameOf({label}))"
    )

    assert names == ["Insekt", "no such thing"]


def test_numbers_are_written_as_the_language_writes_them(speaking):
    german = speaking("de")

    assert german.evaluate("() => words.formatMilliseconds(1234)") == "1,2\u00a0s"
    assert german.evaluate("() => words.formatPercent(0.9999)") == "99\u00a0%"
    assert german.evaluate("() => words.formatPercent(0.0004)") == "<\u00a01\u00a0%"
    assert speaking("en").evaluate("() => words.formatMilliseconds(1234)") == "1.2\u00a0s"


def test_a_missing_string_shows_its_key_and_says_so(speaking):
    page = speaking("de")
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))

    assert page.evaluate("() => words.t('page.no_such_thing')") == "page.no_such_thing"
    assert said == ["No string: page.no_such_thing"]
