"""A browser for all tests of the page."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from scripts.install_browser import find_browser
from tests.support.running import RunningServer, start_server

# A busy machine is not a fault of the page.
expect.set_options(timeout=30_000)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One that nobody has asked or corrected before the tests of the page."""
    home = tmp_path_factory.mktemp("page-home")
    with start_server(home, model="efficientnet-lite2") as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium, with a camera that shows a test pattern."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_browser(),
            args=["--no-sandbox", "--use-fake-device-for-media-stream"],
        )
        yield browser
        browser.close()
