"""Every way for pictures to come in, one and many, in a real browser."""

import base64
import io
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Dialog, FilePayload, Page, Request, Route, expect

from tests.e2e.visitor import (
    DESKTOP,
    Complaints,
    choose,
    guesses,
    new_picture,
    open_page,
    picture_file,
    require_answer,
    sentence,
)
from tests.support.running import RunningServer
from tests.support.waiting import wait_until
from whatsit.data import example_pictures

pytestmark = pytest.mark.browser

CLASSIFY = "**/api/v1/classify"

BRING = """([kind, name, type, base64]) => {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], name, {type}));
  if (kind === "paste") {
    document.body.dispatchEvent(
      new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true}));
  } else {
    document.body.dispatchEvent(
      new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true}));
  }
}"""


@pytest.fixture
def page(browser: Browser, server: RunningServer) -> Iterator[Page]:
    context = browser.new_context(
        viewport=DESKTOP, permissions=["camera", "clipboard-read", "clipboard-write"]
    )
    page = context.new_page()
    complaints = Complaints(page, server.url)
    open_page(page, server.url)
    yield page
    context.close()
    assert complaints.found == []


def bring(page: Page, kind: str, name: str, content: bytes, media_type: str = "image/jpeg") -> None:
    page.evaluate(BRING, [kind, name, media_type, base64.b64encode(content).decode()])


def new_files(count: int) -> list[FilePayload]:
    return [
        picture_file(f"picture-{number}.png", new_picture(), "image/png") for number in range(count)
    ]


def test_a_picture_can_be_dropped_anywhere_and_the_page_says_so_meanwhile(page):
    bee = example_pictures()["bee"]
    bring(page, "dragenter", "bee.jpg", bee)
    expect(page.get_by_text("Let go, and see what it is")).to_be_visible()
    bring(page, "dragleave", "bee.jpg", bee)
    expect(page.get_by_text("Let go, and see what it is")).to_be_hidden()
    bring(page, "dragenter", "bee.jpg", bee)
    bring(page, "drop", "bee.jpg", bee)

    expect(page.get_by_text("Let go, and see what it is")).to_be_hidden()
    require_answer(page, "A bee")


def test_a_picture_can_be_pasted_anywhere_and_text_is_left_alone(page):
    bring(page, "paste", "notes.txt", b"These are notes.", "text/plain")
    page.wait_for_timeout(100)
    expect(sentence(page)).to_have_count(0)

    bring(page, "paste", "image.png", example_pictures()["cat"])
    require_answer(page, "cat")


def test_the_camera_takes_a_picture_and_goes_off(page):
    switch = page.get_by_role("button", name="Camera", exact=True)
    switch.click()
    video = page.locator("video")
    expect(video).to_be_visible()
    assert wait_until(lambda: page.evaluate("document.querySelector('video').videoWidth > 0"))
    page.evaluate("window.tracks = document.querySelector('video').srcObject.getTracks()")
    page.get_by_role("button", name="Take picture").click()

    guesses(page).first.wait_for()
    expect(video).to_be_hidden()
    expect(page.get_by_text(re.compile(r"\d+ × \d+ JPEG"))).to_be_visible()
    assert page.evaluate("window.tracks.map((track) => track.readyState)") == ["ended"]
    assert switch.get_attribute("aria-expanded") == "false"


@pytest.mark.extended
@pytest.mark.parametrize("way", ["Close", "Escape", "hidden", "left"])
def test_the_camera_goes_off_when_nobody_looks_through_it(page, way):
    page.get_by_role("button", name="Camera", exact=True).click()
    assert wait_until(lambda: page.evaluate("document.querySelector('video').videoWidth > 0"))
    page.evaluate("window.tracks = document.querySelector('video').srcObject.getTracks()")
    if way == "Close":
        page.get_by_role("button", name="Close").click()
    elif way == "Escape":
        page.keyboard.press("Escape")
    elif way == "hidden":
        page.evaluate(
            """Object.defineProperty(document, "hidden", {value: true});
               document.dispatchEvent(new Event("visibilitychange"))"""
        )
    else:
        page.get_by_role("link", name="The model").first.click()

    assert wait_until(lambda: page.evaluate("window.tracks[0].readyState === 'ended'"))


def test_a_camera_that_may_not_be_used_gets_a_sentence(browser, server):
    context = browser.new_context(viewport=DESKTOP)
    context.add_init_script(
        """navigator.mediaDevices.getUserMedia = () =>
             Promise.reject(new DOMException("no", "NotAllowedError"));"""
    )
    page = context.new_page()
    open_page(page, server.url)
    page.get_by_role("button", name="Camera", exact=True).click()

    expect(page.get_by_role("alert").filter(has_text="may not be used")).to_be_visible()
    context.close()


@pytest.mark.extended
def test_twenty_pictures_are_answered_a_few_at_a_time_as_they_come(page):
    flying: set[Request] = set()
    most = 0

    def leave(request: Request) -> None:
        nonlocal most
        if request.url.endswith("/classify"):
            flying.add(request)
            most = max(most, len(flying))

    page.on("request", leave)
    page.on("requestfinished", lambda request: flying.discard(request))
    page.on("requestfailed", lambda request: flying.discard(request))
    choose(page, *new_files(20))

    expect(page.get_by_role("status").filter(has_text="20 pictures answered")).to_be_attached()
    expect(page.locator(".w-gallery-root img")).to_have_count(20)
    assert 2 <= most <= 4
    expect(page.get_by_role("progressbar")).to_have_count(0)


def test_a_picture_of_many_can_be_opened_and_left_again(page):
    examples = example_pictures()
    choose(page, *(picture_file(f"{name}.jpg", examples[name]) for name in examples))
    expect(page.get_by_role("status").filter(has_text="4 pictures answered")).to_be_attached()
    page.locator(".w-gallery-root img").first.click()

    expect(guesses(page)).to_have_count(5)
    page.get_by_role("button", name="All pictures").click()
    expect(sentence(page)).to_have_count(0)
    expect(page.locator(".w-gallery-root img")).to_have_count(4)


def test_one_bad_picture_stops_none_of_the_others(page):
    pictures = new_files(3)
    pictures.insert(1, picture_file("notes.png", b"These are notes, not a picture."))
    choose(page, *pictures)

    expect(page.get_by_role("status").filter(has_text="4 pictures answered")).to_be_attached()
    expect(page.locator(".w-gallery-root img")).to_have_count(3)
    expect(page.locator(".w-gallery-root").get_by_text("not a picture")).to_be_visible()


@pytest.mark.extended
def test_a_busy_server_is_asked_again_when_it_said_and_not_before(page):
    asked: list[float] = []

    def refuse_once(route: Route) -> None:
        asked.append(time.monotonic())
        if len(asked) > 1:
            route.fallback()
            return
        route.fulfill(
            status=503,
            headers={"Retry-After": "2", "Content-Type": "application/problem+json"},
            body='{"status": 503, "code": "overloaded", "detail": "Too many at once."}',
        )

    page.route(CLASSIFY, refuse_once)
    choose(page, picture_file("bee.jpg", example_pictures()["bee"]))

    expect(page.get_by_text(re.compile("The server is busy; going on in"))).to_be_visible()
    require_answer(page, "A bee")
    assert len(asked) == 2
    assert asked[1] - asked[0] > 1.9


def test_many_pictures_can_be_cancelled(page):
    def stall(route: Route) -> None:
        pass  # never answered

    page.route(CLASSIFY, stall)
    choose(page, *new_files(12))
    expect(page.get_by_text("0 of 12 answered")).to_be_visible()
    page.get_by_role("button", name="Cancel", exact=True).click()

    expect(page.get_by_role("button", name="Cancel", exact=True)).to_have_count(0)
    page.unroute(CLASSIFY)
    choose(page, picture_file("bee.jpg", example_pictures()["bee"]))
    require_answer(page, "A bee")


def test_what_is_too_large_is_refused_before_it_is_sent(page, tmp_path):
    sent: list[Request] = []
    page.on("request", lambda request: sent.append(request) if "/classify" in request.url else None)
    large = tmp_path / "large.jpg"
    with large.open("wb") as file:
        file.truncate(21_000_000)
    choose(page, large)

    expect(page.get_by_role("alert").filter(has_text="larger than 20 MB")).to_be_visible()
    assert sent == []


def test_a_folder_is_walked_through_and_only_its_pictures_are_asked_about(page, tmp_path):
    inner = tmp_path / "holiday" / "day one"
    inner.mkdir(parents=True)
    for name in ("bee", "cat"):
        (inner / f"{name}.jpg").write_bytes(example_pictures()[name])
    (inner / "notes.txt").write_text("These are notes.")
    for strewn in ("@eaDir/bee.jpg", "__MACOSX/bee.jpg", ".Trash-1000/bee.jpg", "#recycle/bee.jpg"):
        (inner / strewn).parent.mkdir()
        (inner / strewn).write_bytes(b"no picture")
    for strewn in ("._bee.jpg", ".DS_Store", "Thumbs.db"):
        (inner / strewn).write_bytes(b"no picture")
    page.locator("input[name=folder]").set_input_files(tmp_path / "holiday")

    expect(page.get_by_role("status").filter(has_text="2 pictures answered")).to_be_attached()


def test_of_chosen_files_those_that_systems_strew_are_passed_over_unless_alone(page):
    choose(
        page,
        picture_file("bee.jpg", example_pictures()["bee"], "image/jpeg"),
        picture_file("._bee.jpg", b"no picture", "image/jpeg"),
        picture_file("Thumbs.db", b"no picture", "application/octet-stream"),
    )
    require_answer(page, "A bee")

    choose(page, picture_file("._bee.jpg", b"no picture", "image/jpeg"))
    expect(page.get_by_role("alert").filter(has_text="not a picture")).to_be_visible()


def test_a_picture_that_the_browser_can_not_draw_is_answered_beside_a_neutral_tile(page):
    encoded = io.BytesIO()
    Image.open(io.BytesIO(example_pictures()["bee"])).save(encoded, "TIFF")
    choose(page, picture_file("bee.tif", encoded.getvalue(), "image/tiff"))

    require_answer(page, "A bee")
    expect(page.get_by_role("figure")).to_contain_text("bee.tif")
    expect(page.get_by_role("img", name="A bee")).to_have_count(0)


@pytest.mark.parametrize(
    "name", ["../../x.png<script>alert(1)</script>.jpg", "<img src=x onerror=alert(1)>.jpg"]
)
def test_a_file_name_is_only_text(page, name):
    dialogs: list[str] = []

    def note(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", note)
    choose(page, picture_file(name, example_pictures()["bee"]), picture_file(name, b"x"))
    expect(page.get_by_role("status").filter(has_text="2 pictures answered")).to_be_attached()
    page.locator(".w-gallery-root img").first.click()
    page.get_by_text("Ask from a program").click()

    expect(page.get_by_role("tabpanel")).to_contain_text(name.replace("'", "")[:20])
    assert dialogs == []


@pytest.mark.extended
def test_the_commands_work_as_they_are_copied(page, server, tmp_path):
    (tmp_path / "my bee.jpg").write_bytes(example_pictures()["bee"])
    choose(page, tmp_path / "my bee.jpg")
    page.get_by_text("Ask from a program").click()
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    curl = page.evaluate("navigator.clipboard.readText()")
    page.get_by_role("tab", name="Python").click()
    page.get_by_role("button", name=re.compile("Cop(y|ied)$")).click()
    page.wait_for_timeout(100)
    python = page.evaluate("navigator.clipboard.readText()")

    assert f"{server.url}/api/v1/classify" in curl
    assert "A bee" in run(["sh", "-c", curl], tmp_path)
    (tmp_path / "ask.py").write_text(python)
    assert "A bee" in run(["python3", "ask.py"], tmp_path)


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=True, timeout=30
    )
    return done.stdout


def test_a_link_to_an_answer_that_is_gone_says_so_kindly(page, server):
    page.goto(f"{server.url}/?answer={'0' * 64}")

    expect(page.get_by_role("alert").filter(has_text="no longer stored here")).to_be_visible()
    choose(page, picture_file("bee.jpg", example_pictures()["bee"]))
    require_answer(page, "A bee")
    expect(page).to_have_url(re.compile(r"^[^?]*$"))


def test_a_run_of_the_pages_script_leaves_everything_as_it_is(page):
    frames = 0

    def count(frame: str | bytes) -> None:
        nonlocal frames
        frames += 1

    page.on("websocket", lambda socket: socket.on("framereceived", count))
    page.reload()
    choose(page, picture_file("bee.jpg", example_pictures()["bee"]))
    require_answer(page, "A bee")
    page.wait_for_timeout(500)
    page.evaluate("window.before = document.querySelector('.w-sentence')")
    before = frames
    page.locator("h1").click()
    page.keyboard.press("r")  # Streamlit's own key for that
    for _ in range(50):
        page.wait_for_timeout(100)
        if frames > before + 2:
            break

    assert frames > before + 2
    assert page.evaluate("window.before.isConnected")
    assert page.locator(".w-page").count() == 1
