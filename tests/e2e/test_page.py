"""The page, as a person sees it in a real browser."""

import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect, sync_playwright

from scripts.install_browser import find_browser
from tests.running import RunningServer
from whatsit.data import example_pictures
from whatsit.testing import plain_picture

pytestmark = pytest.mark.browser

DESKTOP = ViewportSize(width=1280, height=860)
PHONE = ViewportSize(width=390, height=844)
# Streamlit labels the drop zone of its uploader although it marks it as decoration.
NOT_OURS = {"presentation-role-conflict"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=["desktop light", "desktop dark", "phone light", "phone dark"])
def page(request: pytest.FixtureRequest, browser: Browser, server: RunningServer) -> Iterator[Page]:
    device, scheme = request.param.split()
    context = browser.new_context(
        viewport=DESKTOP if device == "desktop" else PHONE, color_scheme=scheme
    )
    page = context.new_page()
    errors: list[str] = []
    page.on(
        "console", lambda message: errors.append(message.text) if message.type == "error" else None
    )
    page.on("pageerror", lambda error: errors.append(str(error)))
    elsewhere: list[str] = []
    own = (server.url, server.url.replace("http", "ws"), "data:", "blob:")
    page.on(
        "request", lambda sent: None if sent.url.startswith(own) else elsewhere.append(sent.url)
    )
    page.goto(server.url)
    page.get_by_role("button", name="Cat").wait_for()
    yield page
    context.close()
    assert errors == []
    assert elsewhere == []


def upload(page: Page, name: str, picture: bytes) -> None:
    expect(page.locator("input[type=file]")).to_have_count(1)  # the one before has left
    page.locator("input[type=file]").set_input_files(
        {"name": name, "mimeType": "application/octet-stream", "buffer": picture}
    )


def guesses(page: Page) -> Locator:
    return page.get_by_role("list", name="Best guesses").get_by_role("listitem")


def test_an_uploaded_picture_is_answered(page):
    upload(page, "coffee.jpg", example_pictures()["coffee"])

    expect(page.get_by_role("status").filter(has_text="espresso")).to_be_visible()
    expect(guesses(page)).to_have_count(5)
    expect(guesses(page).first).to_contain_text(re.compile(r"espresso.*%"))
    expect(page.get_by_text("600 × 400 JPEG")).to_be_visible()
    expect(
        page.get_by_text(re.compile(r"(Computed|From the cache) in (\d+|under 1) ms"))
    ).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("espresso"))).to_be_visible()


def test_an_example_is_answered_and_the_second_time_from_the_cache(page):
    for _ in range(2):
        page.get_by_role("button", name="Bee").click()
        expect(page.get_by_role("status").filter(has_text="bee")).to_be_visible()
        page.reload()
    page.get_by_role("button", name="Bee").click()

    expect(page.get_by_text(re.compile("From the cache in"))).to_be_visible()


def test_a_bad_picture_gets_a_sentence_and_the_next_one_an_answer(page):
    upload(page, "notes.jpg", b"These are notes, not a picture.")
    expect(page.get_by_role("alert")).to_contain_text("This is not a picture")

    upload(page, "bee.jpg", example_pictures()["bee"])
    expect(page.get_by_role("status").filter(has_text="bee")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_why_shows_where_the_model_looked(page):
    upload(page, "bee.jpg", example_pictures()["bee"])
    guesses(page).first.wait_for()
    page.get_by_text("Why?").click()

    overlay = page.get_by_role("img", name=re.compile("what speaks for bee is bright"))
    expect(overlay).to_be_visible()
    box = overlay.bounding_box()
    assert box is not None
    assert box["width"] > 200


def test_what_the_model_does_not_know_is_not_named(page):
    upload(page, "blank.png", plain_picture("white", (400, 300)))

    expect(page.get_by_role("status")).to_contain_text("I do not recognise this")


def test_the_model_page_tells_what_was_measured(page):
    if page.get_by_test_id("stExpandSidebarButton").is_visible():
        page.get_by_test_id("stExpandSidebarButton").click()  # a phone folds the pages away
    page.get_by_role("link", name="The model").first.click()

    expect(page.get_by_text("Right at the first guess")).to_be_visible()
    expect(page.get_by_role("cell", name=re.compile(r"9\d\.\d %")).first).to_be_visible()
    expect(page.get_by_text("It must not decide anything about people.")).to_be_visible()


def test_nothing_has_to_be_scrolled_sideways(page):
    upload(page, "cat.jpg", example_pictures()["cat"])
    guesses(page).first.wait_for()

    width, room = page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert width <= room


def test_no_accessibility_rule_is_broken(page):
    upload(page, "cat.jpg", example_pictures()["cat"])
    guesses(page).first.wait_for()
    page.wait_for_timeout(500)  # the page fades new parts in, and contrast is measured in between

    found = Axe().run(page).response["violations"]
    ours = [violation for violation in found if violation["id"] not in NOT_OURS]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in ours] == []


def test_the_keyboard_alone_is_enough(page):
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText") == "Coffee":
            break
    page.keyboard.press("Enter")

    expect(page.get_by_role("status").filter(has_text="espresso")).to_be_visible()
