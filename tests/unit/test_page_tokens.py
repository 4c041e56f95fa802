"""The page's token: for whom, for what, and for how long it opens the door."""

import asyncio
import gc
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Scope

from whatsit.access.keys import KeyFile, KeyRing
from whatsit.access.page_tokens import PageTokens
from whatsit.errors import Unauthorized
from whatsit.web.caller import caller_of
from whatsit.web.guard.keys import KeyRule
from whatsit.web.paths import does_work, is_open
from whatsit.web.request_facts import facts_of


def request(method: str, path: str, token: str | None, **headers: str) -> Scope:
    pairs = {**headers, **({"x-whatsit-page": token} if token is not None else {})}
    encoded = [(name.replace("_", "-").encode(), value.encode()) for name, value in pairs.items()]
    facts: dict[str, Any] = {"type": "http", "method": method, "path": path, "headers": encoded}
    return {**facts, "client": ("203.0.113.7", 5)}


@pytest.fixture
def tokens() -> PageTokens:
    return PageTokens()


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/api/v1/classify", True),
        ("POST", "/api/v1/explain", True),
        ("POST", "/api/v1/feedback", True),
        ("DELETE", "/api/v1/feedback/7", True),
        ("GET", "/api/v1/answers/e3b0", True),
        ("GET", "/api/v1/labels", True),
        ("GET", "/api/v1/labels/n02206856", True),
        ("GET", "/api/v1/models", False),
        ("GET", "/metrics", False),
        ("DELETE", "/api/v1/feedback", False),
        ("GET", "/api/v1/feedback/7", False),
        ("GET", "/api/v1/classify", False),
        ("POST", "/api/v1/classify/", False),
        ("POST", "/api/hf/models/x", False),
        ("POST", "/v2/models/x/infer", False),
    ],
)
def test_a_token_opens_what_the_page_uses_and_nothing_else(tokens, method, path, expected):
    page_token = tokens.issue()

    assert tokens.admit(request(method, path, page_token.text)) is expected


def test_only_a_token_that_a_session_holds_is_good(tokens):
    page_token, other = tokens.issue(), tokens.issue()
    token = page_token.text

    assert len(token) > 40
    assert token != other.text
    assert tokens.admit(request("POST", "/api/v1/classify", token))
    for wrong in (None, "", token[:-1], f"{token} ", "x" * 43):
        assert not tokens.admit(request("POST", "/api/v1/classify", wrong))
    assert not PageTokens().admit(request("POST", "/api/v1/classify", token))
    del page_token
    gc.collect()
    assert not tokens.admit(request("POST", "/api/v1/classify", token))
    assert tokens.admit(request("POST", "/api/v1/classify", other.text))


def test_a_token_stands_in_for_a_key_but_does_not_mend_a_wrong_one(tokens, tmp_path: Path):
    page_token = tokens.issue()
    key = KeyFile(tmp_path).create("shop")
    rule = KeyRule(KeyRing(tmp_path), is_open, tokens)

    def refusal(scope: Scope) -> Unauthorized | None:
        return asyncio.run(rule.refusal(scope))

    scope = request("POST", "/api/v1/classify", page_token.text)
    assert refusal(scope) is None
    assert facts_of(scope).key_id is None
    assert caller_of(scope) == "203.0.113.7", "the rate counts it by address"
    assert does_work(scope["path"])
    assert refusal(request("POST", "/api/v1/classify", page_token.text, x_api_key=key)) is None
    wrong = request("POST", "/api/v1/classify", page_token.text, x_api_key="wi_wrong")
    assert isinstance(refusal(wrong), Unauthorized)
    assert isinstance(refusal(request("GET", "/api/v1/models", page_token.text)), Unauthorized)
    without_page = KeyRule(KeyRing(tmp_path), is_open)
    assert isinstance(asyncio.run(without_page.refusal(scope)), Unauthorized)
