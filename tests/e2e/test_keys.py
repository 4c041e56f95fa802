"""The page where the API asks for keys: it needs none, and tells programs that they do."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.visitor import (
    DESKTOP,
    Complaints,
    choose,
    new_picture,
    open_page,
    picture_file,
    require_answer,
)
from tests.support.running import RunningServer, start_server
from whatsit.data import example_pictures

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that asks for keys and counts requests."""
    environment = {"WHATSIT_API_KEYS": "required", "WHATSIT_RATE_LIMIT": "8/minute"}
    with start_server(
        tmp_path_factory.mktemp("locked"), model="efficientnet-lite2", environment=environment
    ) as server:
        yield server


@pytest.fixture
def page(browser: Browser, locked: RunningServer) -> Iterator[Page]:
    context = browser.new_context(viewport=DESKTOP)
    page = context.new_page()
    complaints = Complaints(page, locked.url)
    open_page(page, locked.url)
    yield page
    context.close()
    assert complaints.found == []


def test_the_page_answers_without_a_key_and_is_counted_by_its_address(page, locked):
    with locked.client() as stranger:
        answer = stranger.post("/api/v1/classify", content=example_pictures()["bee"])
    assert answer.status_code == 401
    choose(page, picture_file("bee.jpg", example_pictures()["bee"]))
    require_answer(page, "A bee")
    page.get_by_role("button", name="Why?").click()
    expect(page.get_by_role("img", name="are bright")).to_be_visible(timeout=15_000)
    page.get_by_text("Ask from a program").click()
    expect(page.get_by_role("tabpanel")).to_contain_text("Authorization: Bearer YOUR_KEY")
    expect(page.get_by_text("Put your API key in place of YOUR_KEY.")).to_be_visible()

    choose(page, *(picture_file(f"{number}.png", new_picture()) for number in range(8)))
    expect(page.get_by_text("The server is busy; going on in")).to_be_visible()
    page.get_by_role("button", name="Cancel", exact=True).click()
