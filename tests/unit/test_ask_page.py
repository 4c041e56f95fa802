"""What the page's script hands to its part in the browser, run as Streamlit runs it."""

import gc
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from whatsit.access.page_tokens import PageTokens
from whatsit.answer import Logits
from whatsit.drift.watch import Watch
from whatsit.errors import Overloaded
from whatsit.images.preprocess import ImageHWC
from whatsit.models.resolve import resolve_model
from whatsit.models.store import ModelStore
from whatsit.running import Running
from whatsit.service.line_up import LineUp, Serving
from whatsit.service.service import Service
from whatsit.service.workers import Workers
from whatsit.settings import Settings
from whatsit.telemetry.metrics import Telemetry
from whatsit.testing import FakeEngine, fake_card, fake_classifier
from whatsit.web.api.feedback.request import FEEDBACK_BODY
from whatsit.web.ui import bridge

OpenPage = Callable[..., AppTest]


class BusyEngine(FakeEngine):
    """Has no time until it is told that it has."""

    is_busy = True

    def infer(self, pixels: ImageHWC) -> Logits:
        if self.is_busy:
            raise Overloaded(1)
        return super().infer(pixels)


def script() -> None:
    """The page, and beside it a button that makes the script run again."""
    import streamlit as st

    from whatsit.web.ui.bridge import running_service
    from whatsit.web.ui.pages import ask

    st.button("Again")
    ask.render(running_service())


@pytest.fixture
def tokens() -> PageTokens:
    return PageTokens()


@pytest.fixture
def open_page(tmp_path: Path, workers: Workers, tokens: PageTokens) -> OpenPage:
    def open_page(engine: FakeEngine, **settings: Any) -> AppTest:
        store = ModelStore(tmp_path)
        running = Running(
            Service(fake_classifier(engine), None, workers=workers),
            resolve_model(store, "efficientnet-lite2"),
            store,
            Telemetry(),
            Watch(),
            None,
            None,
            Settings(store=tmp_path, model="efficientnet-lite2", **settings),
        )
        bridge.install(running, tokens)
        return AppTest.from_function(script, default_timeout=20).run()

    return open_page


def handed_over(page: AppTest) -> dict[str, Any]:
    (component,) = page.get("bidi_component")
    facts: dict[str, Any]
    (facts,) = json.loads(component.proto.json)
    return facts


def admits(tokens: PageTokens, token: str) -> bool:
    headers = [(b"x-whatsit-page", token.encode())]
    return tokens.admit({"method": "POST", "path": "/api/v1/classify", "headers": headers})


def test_running_again_changes_nothing_for_the_part_in_the_browser(open_page):
    page = open_page(FakeEngine())
    first = handed_over(page)
    page.button[0].click().run()

    assert not page.exception
    assert handed_over(page) == first


def test_each_visitor_has_a_pass_that_ends_with_the_session(open_page, tokens):
    one, other = open_page(FakeEngine()), open_page(FakeEngine())
    token = handed_over(one)["pass"]

    assert admits(tokens, token)
    assert handed_over(other)["pass"] != token
    # What becomes of a session whose visitor has left or signed out.
    one.session_state._state._state.clear()
    del one
    gc.collect()
    assert not admits(tokens, token)
    assert admits(tokens, handed_over(other)["pass"])


def test_the_examples_are_answered_already(open_page):
    engine = FakeEngine()
    examples = handed_over(open_page(engine))["examples"]

    assert [example["name"] for example in examples] == ["bee", "cat", "citrus", "coffee"]
    assert all(example["answer"]["text"] for example in examples)
    assert len({example["sha256"] for example in examples}) == 4
    assert engine.calls == 4


def test_examples_that_can_not_be_answered_now_are_answered_for_the_next_visitor(open_page):
    engine = BusyEngine()
    page = open_page(engine)
    assert not page.exception
    assert all("answer" not in example for example in handed_over(page)["examples"])

    engine.is_busy = False
    page.button[0].click().run()
    assert all("answer" in example for example in handed_over(page)["examples"])


def test_after_a_swap_the_examples_are_answered_by_the_new_model(open_page):
    page = open_page(FakeEngine())
    fresh = FakeEngine()
    bridge.running_service().service.switch(
        LineUp(Serving(fake_classifier(fresh, fake_card(name="fresh"))))
    )
    page.button[0].click().run()

    assert not page.exception
    assert fresh.calls == 4
    assert all("answer" in example for example in handed_over(page)["examples"])


def test_what_the_operator_decided_is_told(open_page):
    settings = {"api_keys": "required", "max_upload_bytes": 5_000_000}
    facts = handed_over(open_page(FakeEngine(), **settings))

    assert facts["keysRequired"] is True
    assert facts["limits"]["uploadBytes"] == 5_000_000
    assert facts["urls"] is False


def test_a_label_may_be_as_long_in_the_page_as_in_the_api(open_page):
    limits = handed_over(open_page(FakeEngine()))["limits"]
    form = FEEDBACK_BODY["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]

    assert limits["labelCharacters"] == form["label"]["maxLength"]
