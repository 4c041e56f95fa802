"""The documentation site, built by `make docs`, served as files and opened in a browser."""

import functools
import subprocess
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import expect

from scripts.build_site import SITE, find_foreign
from tests.conftest import ROOT

PYTHON = ROOT / ".venv-docs" / "bin" / "python"
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}

pytestmark = [pytest.mark.browser, pytest.mark.site]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    if not (ROOT / ".venv-docs" / ".ready").exists():
        pytest.skip("What builds the site is not installed; `make docs` installs it.")
    subprocess.run([PYTHON, "scripts/build_site.py"], cwd=ROOT, check=True, capture_output=True)
    handler = functools.partial(Quiet, directory=SITE)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{served.server_port}/"
        served.shutdown()
        thread.join()


@pytest.fixture
def visit(browser):
    pages = []

    def visit(size):
        page = browser.new_page(viewport=size)
        pages.append(page)
        return page

    yield visit
    for page in pages:
        page.close()


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_a_reader_searches_and_opens_what_is_found(address, visit, size):
    page = visit(size)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    page.keyboard.press("/")
    page.locator("input:visible").last.fill("redis")
    found = page.get_by_role("option", name="The password of Redis")
    expect(found).to_be_visible()
    found.click()

    expect(page.get_by_role("heading", name="The password of Redis")).to_be_visible()
    assert page.url.startswith(f"{address}run/containers/")
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
    # Nothing is wider than the window.
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_site_fetches_nothing_from_elsewhere(address):
    assert find_foreign(SITE) == []
    assert len(list(SITE.rglob("*.html"))) > 30


def test_what_would_be_fetched_from_elsewhere_is_found(tmp_path):
    (tmp_path / "a.html").write_text(
        '<link rel="stylesheet" href="https://fonts.example/a.css"><a href="https://fine.example">'
        '<script src="//cdn.example/b.js"></script><link rel="canonical" href="https://o.example/">'
    )
    (tmp_path / "b.css").write_text("body { background: url(https://pictures.example/c.png) }")

    found = "\n".join(find_foreign(tmp_path))
    assert [part for part in ("fonts.", "cdn.", "pictures.") if part in found] == [
        *("fonts.", "cdn.", "pictures.")
    ]
    assert "fine." not in found
    assert "o.example" not in found
