"""The page, opened in a real browser."""

from scripts.install_browser import find_browser


def open_page(url: str) -> None:
    """Open the page, let it answer an example, and close it again."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(url)
        page.get_by_role("button", name="cat").click()
        page.get_by_role("list", name="Best guesses").wait_for()
        browser.close()
