"""Signing in to the page, with a real provider of identities and a real browser."""

import re
import socket
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from scripts.install_browser import find_browser
from tests.identity_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    IdentityProvider,
    start_identity_provider,
)
from tests.running import RunningServer, start_server
from whatsit.data import example_pictures

pytestmark = pytest.mark.browser

DESKTOP = ViewportSize(width=1280, height=860)
PHONE = ViewportSize(width=390, height=844)

PUT_BY_HAND = """async (address) => {
  const token = document.cookie.match(/_streamlit_xsrf=([^;]*)/)[1].replaceAll('"', "");
  const body = new FormData();
  body.append("file", new Blob([new Uint8Array(1000)]), "a.png");
  const answer = await fetch(address, {method: "PUT", body, headers: {"X-Xsrftoken": token}});
  return [answer.status, await answer.text()];
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
    environment = {"WHATSIT_PAGE_SIGN_IN": "required", "NO_PROXY": "127.0.0.1"}
    with start_server(
        home, "--port", str(port), model="efficientnet-lite2", environment=environment
    ) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=["desktop light", "phone dark"])
def page(
    request: pytest.FixtureRequest, browser: Browser, guarded: RunningServer
) -> Iterator[Page]:
    device, scheme = request.param.split()
    context = browser.new_context(
        viewport=DESKTOP if device == "desktop" else PHONE, color_scheme=scheme
    )
    page = context.new_page()
    page.goto(guarded.url)
    page.get_by_role("button", name="Sign in").wait_for()
    yield page
    context.close()


def sign_in(page: Page) -> None:
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Bee").wait_for()


def session_of(page: Page) -> str:
    """The id of the visitor's session, from the address that an upload goes to."""
    with page.expect_request(lambda sent: sent.method == "PUT") as caught:
        page.locator("input[type=file]").set_input_files(
            {"name": "a.png", "mimeType": "image/png", "buffer": b"no picture"}
        )
    page.get_by_role("alert").wait_for()
    return caught.value.url.split("/")[-2]


@pytest.mark.parametrize("path", ["/", "/ask", "/model", "/ask.py"])
def test_a_stranger_sees_nothing_but_the_way_in(page, guarded, path):
    page.goto(guarded.url + path)
    page.get_by_role("button", name="Sign in").wait_for()

    expect(page.get_by_role("heading", name="whatsit")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Bee|Cat"))).to_have_count(0)
    expect(page.locator("input[type=file]")).to_have_count(0)
    expect(page.get_by_text("Fingerprint")).to_have_count(0)
    expect(page.get_by_role("link", name="The model")).to_have_count(0)


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
    page.locator("input[type=file]").set_input_files(
        {"name": "bee.jpg", "mimeType": "image/jpeg", "buffer": example_pictures()["bee"]}
    )
    expect(page.get_by_role("status").filter(has_text="bee")).to_be_visible()
    page.reload()
    page.get_by_role("button", name="Bee").wait_for()

    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in").wait_for()
    page.go_back()
    page.reload()
    page.get_by_role("button", name="Sign in").wait_for()
    expect(page.get_by_role("button", name="Bee")).to_have_count(0)
    assert provider.signed_out == before + 1


def test_the_signed_in_page_breaks_no_accessibility_rule_and_fits(page):
    sign_in(page)
    page.wait_for_timeout(500)
    found = Axe().run(page).response["violations"]
    width, room = page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )

    assert [one["id"] for one in found if one["id"] != "presentation-role-conflict"] == []
    assert width <= room


def test_whoever_the_provider_refuses_stays_outside(page, provider):
    provider.refuses = True
    try:
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_timeout(500)
        page.get_by_role("button", name="Sign in").wait_for()
    finally:
        provider.refuses = False

    expect(page.get_by_role("button", name="Bee")).to_have_count(0)


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
    expect(page.get_by_role("button", name="Bee")).to_have_count(0)


def test_a_stranger_can_not_push_a_file_into_memory(page, guarded):
    sessions: list[str] = []

    def read_session(frame: str | bytes) -> None:
        text = frame.decode("latin-1") if isinstance(frame, bytes) else frame
        sessions.extend(re.findall(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", text))

    page.on("websocket", lambda socket: socket.on("framereceived", read_session))
    page.reload()
    page.get_by_role("button", name="Sign in").wait_for()

    # The first message tells the browser the id of its session.
    status, text = page.evaluate(PUT_BY_HAND, f"/_stcore/upload_file/{sessions[0]}/any-id")
    assert (status, text) == (403, "This page takes no pictures from you.")


def test_a_session_that_signed_out_takes_no_more_files(page):
    sign_in(page)
    session = session_of(page)
    status, _ = page.evaluate(PUT_BY_HAND, f"/_stcore/upload_file/{session}/any-id")
    assert status == 204

    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in").wait_for()
    status, _ = page.evaluate(PUT_BY_HAND, f"/_stcore/upload_file/{session}/any-id")
    assert status in (400, 403)
