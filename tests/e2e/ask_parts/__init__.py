"""A small page around single modules of the Ask view, for their tests in a real browser."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize

from tests.conftest import ROOT
from tests.support.waiting import wait_until

LOOKS = ("desktop light", "desktop dark", "phone light", "phone dark")
_DESKTOP = ViewportSize(width=1280, height=860)
_PHONE = ViewportSize(width=390, height=844)

_ASK = ROOT / "src/whatsit/web/ui/assets/ask"
_FRAME = Path(__file__).parent
_EXAMPLES = ROOT / "src/whatsit/data/examples"
_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".json": "application/json",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob: data:"
)


def _file_of(path: str) -> Path | None:
    """The modules are the real ones; the page around them stands beside this file."""
    name = path.split("?")[0].lstrip("/") or "index.html"
    if name.startswith("pictures/"):
        places = [_EXAMPLES / name.removeprefix("pictures/")]
    elif name.startswith("ask/"):
        places = [_ASK / name.removeprefix("ask/")]
    else:
        places = [_FRAME / name]
    inside = [place.resolve() for place in places if ".." not in name]
    return next((place for place in inside if place.is_file()), None)


class _Files(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found = _file_of(self.path)
        body = found.read_bytes() if found else b"not found"
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", _TYPES[found.suffix] if found else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", _POLICY)
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing; a missing file shows as an error in the browser's console."""


@contextmanager
def serve_ask_parts() -> Iterator[str]:
    """Address of the page, on loopback, for as long as the context lasts."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Files) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def open_profile(browser: Browser, address: str, look: str) -> Iterator[BrowserContext]:
    """A browser of one person; afterwards, no page of it may have failed or sent anything."""
    device, scheme = look.split()
    context = browser.new_context(
        viewport=_DESKTOP if device == "desktop" else _PHONE,
        color_scheme="dark" if scheme == "dark" else "light",
        locale="en-GB",
        reduced_motion="reduce",
    )
    trouble: list[str] = []
    context.on("weberror", lambda error: trouble.append(str(error.error)))
    context.on(
        "console",
        lambda message: trouble.append(message.text) if message.type == "error" else None,
    )
    own = (address, "data:", f"blob:{address}")
    context.on(
        "request",
        lambda sent: (
            None
            if sent.method == "GET" and sent.url.startswith(own)
            else trouble.append(f"{sent.method} {sent.url}")
        ),
    )
    yield context
    context.close()
    assert trouble == []


def open_parts(context: BrowserContext, address: str, query: str = "") -> Page:
    """A tab with the page, ready; the page's insides are in ``window.parts``."""
    page = context.new_page()
    page.set_default_timeout(10_000)
    page.goto(address + query)
    page.locator("html[data-ready]").wait_for()
    return page


def until(page: Page, condition: str) -> None:
    """Come back once a JavaScript expression is true; the page's policy forbids waiting inside."""
    assert wait_until(lambda: bool(page.evaluate(condition))), condition


def broken_rules(page: Page) -> list[tuple[str, list[str]]]:
    """Each accessibility rule that axe sees broken, with the elements that break it."""
    found = Axe().run(page).response["violations"]
    return [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]


def small_targets(page: Page, within: str) -> list[str]:
    """What can be pressed but is less than 44 pixels wide or high."""
    # A checkbox is pressed with its label; what is seen of both is as high as the label.
    found: list[str] = page.evaluate(
        """(within) => [...document.querySelectorAll(within)].flatMap((part) =>
          [...part.querySelectorAll("button, input:not([type=checkbox]), label[for$=keep], "
            + "[role=option]")])
          .filter((one) => one.checkVisibility())
          .filter((one) => {
            const { width, height } = one.getBoundingClientRect();
            return Math.min(width, height) < 43.9;
          }).map((one) => one.outerHTML)""",
        within,
    )
    return found


def sideways_scroll(page: Page) -> int:
    """By how many pixels the page, or a dialog in it, is wider than its room."""
    found: int = page.evaluate(
        """Math.max(...[document.documentElement, ...document.querySelectorAll("dialog[open]")]
          .map((one) => one.scrollWidth - one.clientWidth))"""
    )
    return found
