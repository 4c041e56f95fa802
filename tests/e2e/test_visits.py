"""A page too many: it says so, and opens by itself when another one is closed."""

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.visitor import open_page
from tests.support.running import start_server

pytestmark = pytest.mark.browser


def test_a_page_too_many_says_so_and_opens_by_itself(browser: Browser, tmp_path):
    environment = {"WHATSIT_MAX_PAGES_PER_ADDRESS": "1"}
    with start_server(tmp_path, model="efficientnet-lite2", environment=environment) as server:
        context = browser.new_context()
        first, second = context.new_page(), context.new_page()
        open_page(first, server.url)
        second.goto(server.url)
        expect(second.get_by_text("1 pages are open from your address")).to_be_visible(
            timeout=30_000
        )
        first.close()
        expect(second.get_by_role("button", name="Choose pictures")).to_be_visible(timeout=60_000)
        context.close()
