"""What a visitor does on the page and sees there, for the tests of it."""

import io
import os
import re
from pathlib import Path

from PIL import Image
from playwright.sync_api import FilePayload, Locator, Page, ViewportSize, expect

DESKTOP = ViewportSize(width=1280, height=860)
PHONE = ViewportSize(width=390, height=844)

# A browser says this itself of every refusal, whatever the page makes of it.
_OF_REFUSALS = re.compile(r"Failed to load resource: the server responded with a status of [45]")


class Complaints:
    """All that a page must not do: write to the console, fail, or ask another host.

    Attributes:
        found: What it did.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.found: list[str] = []
        own = (url, url.replace("http", "ws"), "data:", "blob:")
        page.on("console", lambda message: self._note(message.type, message.text))
        page.on("pageerror", lambda error: self.found.append(str(error)))
        page.on(
            "request",
            lambda sent: None if sent.url.startswith(own) else self.found.append(sent.url),
        )

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not _OF_REFUSALS.match(text):
            self.found.append(text)


def open_page(page: Page, url: str) -> None:
    """Open the page and wait until pictures are taken."""
    page.goto(url)
    page.get_by_role("button", name="Choose pictures").wait_for()


def picture_file(name: str, content: bytes, media_type: str = "") -> FilePayload:
    """A file as a visitor's disk has it."""
    return {"name": name, "mimeType": media_type or "image/jpeg", "buffer": content}


def new_picture() -> bytes:
    """A small PNG of noise that nobody has asked about before."""
    encoded = io.BytesIO()
    Image.frombytes("RGB", (120, 90), os.urandom(3 * 120 * 90)).save(encoded, "PNG")
    return encoded.getvalue()


def choose(page: Page, *files: FilePayload | Path) -> None:
    """Choose files by the button."""
    # The input is invisible; the button opens it.
    page.locator("input[name=pictures]").set_input_files(list(files))  # type: ignore[arg-type]


def sentence(page: Page) -> Locator:
    """The answer, large."""
    return page.get_by_role("article", name="Answer").get_by_role("heading", level=2)


def guesses(page: Page) -> Locator:
    """The bars."""
    return page.get_by_role("list", name="Best guesses").get_by_role("listitem")


def require_fits(page: Page) -> None:
    """Nothing has to be scrolled sideways."""
    width, room = page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert width <= room


def require_answer(page: Page, words: str) -> None:
    """The sentence holds these words."""
    expect(sentence(page)).to_contain_text(words)
