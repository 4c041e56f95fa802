"""Signing in to the page, with a real provider of identities and a real browser."""

import re
import socket
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.e2e.visitor import DESKTOP, PHONE, choose, picture_file, require_answer, require_fits
from tests.support.identity_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    IdentityProvider,
    start_identity_provider,
)
from tests.support.running import RunningServer, start_server
from whatsit.data import example_pictures

pytestmark = pytest.mark.browser

ASK_BY_HAND = """async (pass) => {
  const headers = {"X-Whatsit-Page": pass};
  const answer = await fetch("/api/v1/classify", {method: "POST", body: "no picture", headers});
  return [answer.status, (await answer.json()).code];
}"""


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    with start_identity_provider() as provider:
        yield provider


@pytest.fixture(scope="module")
def guarded(
    provider: IdentityProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    home = tmp_path_factory.mktemp("guarded")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    (home / "secrets.toml").write_text(
        f"""[auth]
redirect_uri = "http://127.0.0.1:{port}/oauth2callback"
cookie_secret = "a-secret-of-this-test-and-of-nothing-else"
client_id = "{CLIENT_ID}"
client_secret = "{CLIENT_SECRET}"
server_metadata_url = "{provider.url}/.well-known/openid-configuration"
"""
    )
    environment = {
        "WHATSIT_PAGE_SIGN_IN": "required",
        "WHATSIT_API_KEYS": "required",
        "NO_PROXY": "127.0.0.1",
    }
    with start_server(
        home, "--port", str(port), model="efficientnet-lite2", environment=environment
    ) as server:
        yield server


in_both_looks = pytest.mark.parametrize("page", ["desktop light", "phone dark"], indirect=True)


@pytest.fixture
def page(
    request: pytest.FixtureRequest, browser: Browser, guarded: RunningServer
) -> Iterator[Page]:
    look: str = getattr(request, "param", "desktop light")
    context = browser.new_context(
        viewport=DESKTOP if "desktop" in look else PHONE,
        color_scheme="dark" if "dark" in look else "light",
    )
    page = context.new_page()
    page.goto(guarded.url)
    page.get_by_role("button", name="Sign in").wait_for()
    yield page
    context.close()


def sign_in(page: Page) -> None:
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Choose pictures").wait_for()


def pass_of(page: Page) -> str:
    """The pass of the visitor's page, from what it asks."""
    with page.expect_request("**/api/v1/classify") as caught:
        choose(page, picture_file("bee.jpg", example_pictures()["bee"]))
    require_answer(page, "A bee")
    return caught.value.headers["x-whatsit-page"]


@pytest.mark.parametrize("path", ["/", "/ask", "/model", "/ask.py"])
def test_a_stranger_sees_nothing_but_the_way_in(page, guarded, path):
    page.goto(guarded.url + path)
    page.get_by_role("button", name="Sign in").wait_for()

    expect(page.get_by_role("heading", name="whatsit")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("bee|Choose"))).to_have_count(0)
    expect(page.locator("input[type=file]")).to_have_count(0)
    expect(page.get_by_text("Fingerprint")).to_have_count(0)
    expect(page.get_by_role("link", name="The model")).to_have_count(0)


@in_both_looks
def test_the_way_in_breaks_no_accessibility_rule_and_fits(page):
    page.wait_for_timeout(500)
    found = Axe().run(page).response["violations"]
    width, room = page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )

    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []
    assert width <= room


def test_after_signing_in_pictures_are_answered_and_after_signing_out_no_more(page, provider):
    before = provider.signed_out
    sign_in(page)
    expect(page.get_by_text("Signed in as Ada <b>Lovelace</b>")).to_be_visible()
    choose(page, picture_file("bee.jpg", example_pictures()["bee"]))
    require_answer(page, "A bee")
    page.reload()
    page.get_by_role("button", name="Choose pictures").wait_for()

    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in").wait_for()
    page.go_back()
    page.reload()
    page.get_by_role("button", name="Sign in").wait_for()
    expect(page.get_by_role("button", name="Choose pictures")).to_have_count(0)
    assert provider.signed_out == before + 1


@in_both_looks
def test_the_signed_in_page_breaks_no_accessibility_rule_and_fits(page):
    sign_in(page)
    page.wait_for_timeout(500)
    found = Axe().run(page).response["violations"]

    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []
    require_fits(page)


def test_whoever_the_provider_refuses_stays_outside(page, provider):
    provider.refuses = True
    try:
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_timeout(500)
        page.get_by_role("button", name="Sign in").wait_for()
    finally:
        provider.refuses = False

    expect(page.get_by_role("button", name="Choose pictures")).to_have_count(0)


def test_a_forged_cookie_opens_nothing(page, guarded):
    page.context.add_cookies(
        [
            {
                "name": "_streamlit_user",
                "value": "eyJpc19sb2dnZWRfaW4iOnRydWV9.x.y",
                "url": guarded.url,
            }
        ]
    )
    page.reload()

    page.get_by_role("button", name="Sign in").wait_for()
    expect(page.get_by_role("button", name="Choose pictures")).to_have_count(0)


def test_a_stranger_gets_no_pass_and_a_session_that_signed_out_loses_its_own(page):
    assert page.evaluate(ASK_BY_HAND, "made-up") == [401, "unauthorized"]
    sign_in(page)
    page_token = pass_of(page)
    assert page.evaluate(ASK_BY_HAND, page_token) == [400, "image_unreadable"]

    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in").wait_for()
    assert page.evaluate(ASK_BY_HAND, page_token) == [401, "unauthorized"]


def test_nothing_that_a_stranger_is_sent_holds_a_pass(page, guarded):
    frames: list[bytes] = []

    def note(frame: str | bytes) -> None:
        frames.append(frame.encode() if isinstance(frame, str) else frame)

    page.on("websocket", lambda socket: socket.on("framereceived", note))
    page.reload()
    page.get_by_role("button", name="Sign in").wait_for()
    assert not any(b"uploadBytes" in frame for frame in frames)

    sign_in(page)
    assert any(b"uploadBytes" in frame for frame in frames)
