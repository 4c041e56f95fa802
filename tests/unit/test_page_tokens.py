"""The page's pass: for whom, for what, and for how long it opens the door."""

import asyncio
import gc
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Scope

from whatsit.access.keys import KeyFile, KeyRing
from whatsit.access.page_tokens import PagePasses
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
def passes() -> PagePasses:
    return PagePasses()


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
def test_a_pass_opens_what_the_page_uses_and_nothing_else(passes, method, path, expected):
    page_pass = passes.issue()

    assert passes.admit(request(method, path, page_pass.token)) is expected


def test_only_a_pass_that_somebody_holds_is_good(passes):
    page_pass, other = passes.issue(), passes.issue()
    token = page_pass.token

    assert len(token) > 40
    assert token != other.token
    assert passes.admit(request("POST", "/api/v1/classify", token))
    for wrong in (None, "", token[:-1], f"{token} ", "x" * 43):
        assert not passes.admit(request("POST", "/api/v1/classify", wrong))
    assert not PagePasses().admit(request("POST", "/api/v1/classify", token))
    del page_pass
    gc.collect()
    assert not passes.admit(request("POST", "/api/v1/classify", token))
    assert passes.admit(request("POST", "/api/v1/classify", other.token))


def test_a_pass_stands_in_for_a_key_but_does_not_mend_a_wrong_one(passes, tmp_path: Path):
    page_pass = passes.issue()
    key = KeyFile(tmp_path).create("shop")
    rule = KeyRule(KeyRing(tmp_path), is_open, passes)

    def refusal(scope: Scope) -> Unauthorized | None:
        return asyncio.run(rule.refusal(scope))

    scope = request("POST", "/api/v1/classify", page_pass.token)
    assert refusal(scope) is None
    assert facts_of(scope).key_id is None
    assert caller_of(scope) == "203.0.113.7", "the rate counts it by address"
    assert does_work(scope["path"])
    assert refusal(request("POST", "/api/v1/classify", page_pass.token, x_api_key=key)) is None
    wrong = request("POST", "/api/v1/classify", page_pass.token, x_api_key="wi_wrong")
    assert isinstance(refusal(wrong), Unauthorized)
    assert isinstance(refusal(request("GET", "/api/v1/models", page_pass.token)), Unauthorized)
    without_page = KeyRule(KeyRing(tmp_path), is_open)
    assert isinstance(asyncio.run(without_page.refusal(scope)), Unauthorized)
