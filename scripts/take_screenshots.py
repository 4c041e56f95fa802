"""Take the pictures of the page that the documents show: docs/images/*.png.

Run it as ``python -m scripts.take_screenshots`` in an environment with the test dependencies.
"""

import tempfile
from pathlib import Path

from playwright.sync_api import Page, ViewportSize, sync_playwright

from scripts.install_browser import find_browser
from tests.support.running import start_server

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"

DESKTOP = ViewportSize(width=1180, height=900)
PHONE = ViewportSize(width=390, height=844)


def main() -> None:
    """Open the page on a large and a small screen, answer an example, take the pictures."""
    with (
        tempfile.TemporaryDirectory() as home,
        start_server(Path(home), model="efficientnet-lite2") as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        page = browser.new_page(viewport=DESKTOP)
        page.goto(server.url)
        page.get_by_role("button", name="A bee").wait_for()
        _take(page, "page-first.png")
        page.get_by_role("button", name="A bee").click()
        page.get_by_role("list", name="Best guesses").wait_for()
        _take(page, "page.png")
        context = browser.new_context(
            viewport=PHONE, color_scheme="dark", has_touch=True, device_scale_factor=2
        )
        phone = context.new_page()
        phone.goto(server.url)
        phone.get_by_role("button", name="An espresso").click()
        phone.get_by_role("list", name="Best guesses").wait_for()
        _take(phone, "page-phone.png")
        browser.close()


def _take(page: Page, name: str) -> None:
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement.blur()")
    page.wait_for_timeout(1000)
    page.screenshot(path=IMAGES / name)


if __name__ == "__main__":
    main()
