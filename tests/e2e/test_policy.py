"""The content security policy, in a real browser: it breaks nothing, and it holds."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from scripts.install_browser import find_browser
from tests.e2e.visitor import DESKTOP, choose, guesses, picture_file
from whatsit.data import example_pictures

pytestmark = pytest.mark.browser

_REPORT = """
addEventListener("securitypolicyviolation",
    event => console.error(`refused: ${event.violatedDirective} ${event.blockedURI}`));
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """Everything that the browser complained about."""
    return []


@pytest.fixture
def tab(chromium: Browser, complaints: list[str]) -> Iterator[Page]:
    context = chromium.new_context(viewport=DESKTOP)
    context.add_init_script(_REPORT)
    page = context.new_page()
    page.on(
        "console",
        lambda message: complaints.append(message.text) if message.type == "error" else None,
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()


def test_the_page_works_within_its_policy(tab, server, complaints):
    answer = tab.goto(server.url)
    assert "script-src" in answer.headers["content-security-policy"]

    choose(tab, picture_file("bee.jpg", example_pictures()["bee"]))
    expect(guesses(tab)).to_have_count(5)
    tab.get_by_role("button", name="Why?").click()
    overlay = tab.get_by_role("img", name=re.compile("parts that support bee are bright"))
    expect(overlay).to_be_visible(timeout=15_000)
    assert overlay.evaluate("image => image.naturalWidth") > 100
    tab.get_by_role("link", name="The model").first.click()
    expect(tab.get_by_text("Right at the first guess")).to_be_visible()

    assert complaints == []


def test_the_documentation_works_within_its_policy(tab, server, complaints):
    tab.goto(f"{server.url}/api/docs")
    tab.get_by_text("List the models").click()
    tab.get_by_role("button", name="Try it out").click()
    tab.get_by_role("button", name="Execute").click()

    expect(tab.locator(".responses-table.live-responses-table .response")).to_contain_text("200")
    assert complaints == []


def test_the_policy_lets_no_foreign_code_and_no_evaluation_in(tab, server, complaints):
    tab.goto(server.url)
    tab.get_by_role("button", name="A bee").wait_for()
    assert complaints == []

    tab.evaluate(
        """() => {
            const script = document.createElement("script");
            script.src = "http://127.0.0.1:9/foreign.js";
            document.head.append(script);
            setTimeout("window.evaluated = true", 0);
        }"""
    )
    tab.wait_for_timeout(200)

    refused = [complaint for complaint in complaints if complaint.startswith("refused: script-src")]
    assert {line.split()[-1] for line in refused} == {"http://127.0.0.1:9/foreign.js", "eval"}
    assert tab.evaluate("window.evaluated") is None


def test_no_other_page_can_frame_this_one(tab, server, complaints):
    tab.set_content(f"<iframe src='{server.url}'></iframe>")
    tab.wait_for_timeout(500)

    assert any("frame-ancestors" in complaint for complaint in complaints)
