"""Take the pictures of the page that the documents show: docs/images/*.png.

Run it as ``python -m scripts.take_screenshots`` in an environment with the test dependencies.
"""

import tempfile
from pathlib import Path

from playwright.sync_api import ViewportSize, sync_playwright

from scripts.install_browser import find_browser
from tests.running import start_server

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"


def main() -> None:
    """Open the page, answer an example, take the picture."""
    with (
        tempfile.TemporaryDirectory() as home,
        start_server(Path(home), model="efficientnet-lite2") as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        page = browser.new_page(viewport=ViewportSize(width=1180, height=900))
        page.goto(server.url)
        page.get_by_role("button", name="Bee").click()
        page.get_by_role("img", name="bee").wait_for()
        page.mouse.move(0, 0)
        page.wait_for_timeout(1000)
        page.screenshot(path=IMAGES / "page.png")
        browser.close()


if __name__ == "__main__":
    main()
