"""What people upload on the page: refused with a sentence, answered, and forgotten."""

import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, expect, sync_playwright

from scripts.install_browser import find_browser
from tests.running import RunningServer, start_server
from tests.waiting import wait_until
from whatsit.data import example_pictures

pytestmark = pytest.mark.browser

PICTURE_BYTES = 15_000_000
PICTURES = 5
"""In one session, and again in sessions that are closed."""

PUT_BY_HAND = """async ([address, bytes]) => {
  const token = document.cookie.match(/_streamlit_xsrf=([^;]*)/)[1].replaceAll('"', "");
  const body = new FormData();
  body.append("file", new Blob([new Uint8Array(bytes)]), "a.png");
  return (await fetch(address, {method: "PUT", body, headers: {"X-Xsrftoken": token}})).status;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def lonely(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server whose memory nobody else uses."""
    home = tmp_path_factory.mktemp("home")
    with start_server(home, model="efficientnet-lite2") as running:
        yield running


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context()
    yield context
    context.close()


def open_page(context: BrowserContext, server: RunningServer) -> Page:
    page = context.new_page()
    page.goto(server.url)
    page.get_by_role("link", name="API for programs").wait_for()
    return page


def upload(page: Page, picture: bytes | Path) -> str:
    """Upload a picture; its address on the server."""
    expect(page.locator("input[type=file]")).to_have_count(1)  # the one before has left
    with page.expect_response(lambda answer: answer.request.method == "PUT") as caught:
        page.locator("input[type=file]").set_input_files(
            picture
            if isinstance(picture, Path)
            else {"name": "bee.jpg", "mimeType": "image/jpeg", "buffer": picture}
        )
    return caught.value.url


def noise(seed: int) -> bytes:
    side = int((PICTURE_BYTES / 3) ** 0.5)
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "PNG", compress_level=0)
    return encoded.getvalue()


def held_bytes(server: RunningServer) -> int:
    """What Streamlit's store of uploads holds, as it says itself; at most five seconds old."""
    with server.client() as client:
        text = client.get("/_stcore/metrics", params={"families": "cache_memory_bytes"}).text
    return sum(map(int, re.findall(r'"UploadedFileManager".*\} (\d+)', text)))


def test_memory_forgets_each_picture_once_it_is_answered(browser, lonely, tmp_path):
    files = [tmp_path / f"{number}.png" for number in range(1 + 2 * PICTURES)]
    for number, file in enumerate(files):
        file.write_bytes(noise(number))
    staying = browser.new_context()
    page = open_page(staying, lonely)
    upload(page, files[0])  # what is loaded once and stays is loaded now
    expect(page.get_by_text("Computed in")).to_be_visible()
    before = lonely.resident_bytes()
    for file in files[1 : 1 + PICTURES]:
        page.get_by_role("button", name="Bee").click()
        expect(page.get_by_role("status").filter(has_text="bee")).to_be_visible()
        upload(page, file)
        expect(page.get_by_role("status").filter(has_text="bee")).to_have_count(0)
        expect(page.get_by_role("status")).to_be_visible()
    for file in files[1 + PICTURES :]:
        context = browser.new_context()
        closing = open_page(context, lonely)
        upload(closing, file)
        expect(closing.get_by_text("Computed in")).to_be_visible()
        context.close()

    assert wait_until(lambda: held_bytes(lonely) == 0, seconds=7)
    grown = lonely.resident_bytes() - before
    assert grown < 45_000_000, "measured: 17 MB; the pictures together have 150 MB"
    staying.close()


REFUSED = {
    "a text": ("notes.jpg", b"These are notes, not a picture.", "not a picture"),
    "another type": ("paper.png", b"%PDF-1.7\n" + b"x" * 5000, "a PDF document"),
    "a cut picture": ("cut.jpg", example_pictures()["bee"][:9000], "damaged or cut short"),
    "nothing": ("empty.png", b"", "no bytes"),
    "too large": ("large.jpg", b"", "20.0MB or smaller"),
    "too many pixels": ("huge.png", b"", "megapixels"),
    "an evil name": ("../../x.png<script>alert(1)</script>", b"x", "not a picture"),
    "an evil picture": ("x.svg", b"<svg onload='alert(1)'></svg>", "an SVG drawing"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_file_gets_a_sentence_and_the_next_picture_an_answer(
    context, server, case, tmp_path
):
    name, image_bytes, sentence = REFUSED[case]
    if case == "too many pixels":
        encoded = io.BytesIO()
        Image.new("1", (8000, 7000)).save(encoded, "PNG")
        image_bytes = encoded.getvalue()
    page = open_page(context, server)
    dialogs: list[str] = []

    def note(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", note)
    files = page.locator("input[type=file]")
    if case == "too large":
        with (tmp_path / name).open("wb") as large:
            large.truncate(21_000_000)
        files.set_input_files(tmp_path / name)
    else:
        files.set_input_files({"name": name, "mimeType": "image/png", "buffer": image_bytes})

    alert = page.get_by_role("alert").filter(has_text=sentence)
    expect(alert).to_be_visible()
    box = alert.bounding_box()
    assert box is not None
    assert box["width"] > 100
    assert dialogs == []
    page.get_by_role("button", name="Bee").click()
    expect(page.get_by_role("status").filter(has_text="bee")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.get_by_text(name)).to_have_count(0)


def test_the_drop_zone_is_clean_after_an_answer_and_takes_the_same_file_again(context, server):
    page = open_page(context, server)
    for _ in range(2):
        upload(page, example_pictures()["bee"])
        expect(page.get_by_role("status").filter(has_text="bee")).to_be_visible()
        expect(page.get_by_text("bee.jpg")).to_have_count(0)
        expect(page.get_by_text("Upload", exact=True)).to_be_visible()
    expect(page.get_by_text("From the cache in")).to_be_visible()


def test_no_picture_has_an_address(context, server, browser):
    page = open_page(context, server)
    asked: list[str] = []
    page.on("request", lambda sent: asked.append(sent.url))
    address = upload(page, example_pictures()["bee"])
    page.get_by_text("Why?").click()
    page.get_by_role("img", name=re.compile("what speaks for bee")).wait_for()
    page.get_by_role("link", name="The model").first.click()
    expect(page.get_by_text("It must not decide anything about people.")).to_be_visible()

    assert [url for url in asked if "/media/" in url and "/static/" not in url] == []
    with server.client() as stranger:
        answer = stranger.get(address)
    assert answer.status_code in (404, 405) or b"<!doctype html>" in answer.content.lower()


def test_a_session_holds_one_picture_at_a_time_and_a_stranger_none(context, server):
    page = open_page(context, server)
    session = upload(page, b"no picture").rsplit("/", 1)[0]
    page.get_by_role("alert").wait_for()
    for number in range(20):
        assert page.evaluate(PUT_BY_HAND, [f"{session}/{number}", 1_000_000]) == 204

    assert wait_until(lambda: held_bytes(server) == 1_000_000, seconds=7)
    elsewhere = session.rsplit("/", 1)[0] + "/00000000-0000-4000-8000-000000000000"
    assert page.evaluate(PUT_BY_HAND, [f"{elsewhere}/1", 1000]) == 403


def test_the_keyboard_finds_the_drop_zone_again_after_an_answer(context, server, tmp_path):
    page = open_page(context, server)
    picture = tmp_path / "bee.jpg"
    picture.write_bytes(example_pictures()["bee"])
    for _ in range(2):
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.matches('.stFileUploader button')"):
                break
        page.wait_for_timeout(300)  # no person presses the next key sooner
        with page.expect_file_chooser(timeout=5000) as chooser:
            page.keyboard.press("Enter")
        chooser.value.set_files(picture)
        expect(page.get_by_role("status").filter(has_text="bee")).to_be_visible()
        expect(page.get_by_text("bee.jpg")).to_have_count(0)
