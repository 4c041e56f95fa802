"""The page speaks the person's language, or the best it has."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from tests.support.running import RunningServer
from whatsit.answer import top_k, word_answer
from whatsit.documents import describe_prediction
from whatsit.labels.load import load_labels
from whatsit.model_card import Thresholds
from whatsit.prediction import ImageFacts, ModelId, Prediction

LABELS = load_labels("imagenet-1k", Path("no-such-folder"))
INDEXES = {entry.label: index for index, entry in enumerate(LABELS.entries)}
THRESHOLDS = Thresholds(sure=0.9, probably=0.8)


def answer(scores: dict[str, float], *, recognised: bool = True) -> dict[str, Any]:
    """The document's answer when these labels have these scores, and all others share the rest."""
    spread = np.full(len(LABELS), (1 - sum(scores.values())) / len(LABELS), dtype=np.float32)
    for label, score in scores.items():
        spread[INDEXES[label]] += score
    top = top_k(spread, LABELS, 20)
    said = word_answer(spread, top, LABELS, THRESHOLDS, recognised=recognised)
    facts = ImageFacts(1, 1, "PNG", "0" * 64)
    document: Any = describe_prediction(Prediction(ModelId("a", "b"), said, top, facts), top)
    return dict(document["answer"])


DOGS = ["beagle", "basset hound", "pug", "Samoyed", "Pomeranian", "keeshond", "Leonberger"]
BEE = answer({"bee": 0.994})
CAT = answer({"Egyptian cat": 0.5, "tiger cat": 0.3, "tabby cat": 0.19})
ANSWERS = {
    "a class": BEE,
    "probably a class": answer({"bee": 0.85}),
    "a group, probably one of its classes": CAT,
    "a group, probably one class": answer({"Egyptian cat": 0.85, "tiger cat": 0.1}),
    "a group, perhaps one of its classes": answer(dict.fromkeys(DOGS, 0.14)),
    "a group, probably a narrower one, perhaps its classes": answer(
        {"Bernese mountain dog": 0.5, "Appenzeller mountain dog": 0.35, "pug": 0.07, "bee": 0.05}
    ),
    "probably a group": answer({"Egyptian cat": 0.5, "tiger cat": 0.35}),
    "not sure of three": answer({"bee": 0.4, "pug": 0.3, "teapot": 0.2}),
    "not sure of one": answer({"bee": 0.4}),
    "not recognised": answer({"bee": 0.994}, recognised=False),
}
HEDGES = {
    "de": {"almost_certain": "fast sicher", "probable": "wahrscheinlich"}
    | {"possible": "vielleicht|könnte", "closest": "am nächsten"},
    "es": {"almost_certain": "casi con seguridad", "probable": "probablemente"}
    | {"possible": "quizá|podría", "closest": "más parecido"},
    "pt-BR": {"almost_certain": "quase com certeza", "probable": "provavelmente"}
    | {"possible": "talvez|pode ser", "closest": "mais se aproxima"},
}


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


def heard_in(clause: str, language: str) -> set[str]:
    return {hedge for hedge, word in HEDGES[language].items() if re.search(f"(?i){word}", clause)}


@pytest.mark.parametrize("language", HEDGES)
def test_a_sentence_promises_as_much_in_every_language(speaking, language):
    page = speaking(language)

    for kind, said in ANSWERS.items():
        parts = said["parts"]
        clauses = re.findall(r"(.*?) ?\((\d+) %\)", sentence(page, said))
        names = page.evaluate("(parts) => parts.map((part) => words.nameOf(part))", parts)
        assert [percent for _, percent in clauses] == re.findall(r"(\d+) %", said["text"])
        before = None
        for (clause, _), part, name in zip(clauses, parts, names, strict=True):
            hedge = (part["role"], part["hedge"])
            is_new = part["hedge"] != "certain" and hedge != before
            assert heard_in(clause, language) == ({part["hedge"]} if is_new else set()), kind
            assert name.casefold() in clause.casefold(), kind
            before = hedge


@pytest.mark.parametrize(
    ("language", "bee", "cats", "unsure"),
    [
        (
            "de",
            "Eine Biene (99 %).",
            "Eine Hauskatze, fast sicher (99 %); wahrscheinlich eine Ägyptische Katze (50 %), "
            "eine Tigerkatze (30 %) oder eine getigerte Katze (19 %).",
            "Ich bin nicht sicher. Es könnte eine Biene (40 %), ein Mops (30 %) oder "
            "eine Teekanne (20 %) sein.",
        ),
        (
            "es",
            "Una abeja (99 %).",
            "Un gato doméstico, casi con seguridad (99 %); probablemente un gato egipcio (50 %), "
            "un gato tigre (30 %) o un gato atigrado (19 %).",
            "No lo sé con certeza. Podría ser una abeja (40 %), un carlino (30 %) o "
            "una tetera (20 %).",
        ),
        (
            "pt-BR",
            "Uma abelha (99 %).",
            "Um gato doméstico, quase com certeza (99 %); provavelmente um gato egípcio (50 %), "
            "um gato tigrado (30 %) ou um gato malhado (19 %).",
            "Não tenho certeza. Pode ser uma abelha (40 %), um pug (30 %) ou "
            "um bule de chá (20 %).",
        ),
    ],
)
def test_a_sentence_has_its_articles(speaking, language, bee, cats, unsure):
    page = speaking(language)

    assert sentence(page, BEE) == bee
    assert sentence(page, CAT) == cats
    assert sentence(page, ANSWERS["not sure of three"]) == unsure


def test_an_english_sentence_is_that_of_the_server(speaking):
    page = speaking("en")

    assert [sentence(page, said) for said in ANSWERS.values()] == [
        said["text"] for said in ANSWERS.values()
    ]


def test_an_answer_kept_without_its_parts_stays_english(speaking):
    kept = {key: value for key, value in BEE.items() if key != "parts"}

    assert sentence(speaking("de"), kept) == "A bee (99 %)."


@pytest.mark.parametrize("score", [0.0, 0.005, 0.125, 0.135, 0.485, 0.5049999, 0.995, 1.0])
def test_a_percentage_is_rounded_as_the_server_rounds_it(speaking, score):
    percent = min(99, max(1, round(score * 100)))

    assert (
        speaking("de").evaluate("(score) => words.formatPercent(score)", max(score, 0.005))
        == f"{percent}\u00a0%"
    )


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
