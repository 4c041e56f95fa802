"""The gallery of many pictures, in a real browser, on a page with nothing else."""

import csv
import io
import re
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, ViewportSize, expect, sync_playwright

from scripts.install_browser import find_browser
from tests.conftest import ROOT
from whatsit.data import example_pictures

pytestmark = pytest.mark.browser

ASSETS = ROOT / "src" / "whatsit" / "web" / "ui" / "assets" / "ask"
STATIC = Path(__file__).parent / "static"
DESKTOP = ViewportSize(width=1280, height=900)
PHONE = ViewportSize(width=390, height=844)
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
POLICY = "default-src 'self'; img-src 'self' blob: data:"
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
DC = "{http://purl.org/dc/elements/1.1/}"
LIGHTROOM = "{http://ns.adobe.com/lightroom/1.0/}"

Item = dict[str, Any]


class _Files(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        body = self._read(path)
        self.send_response(200 if body is not None else 404)
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("Cache-Control", "max-age=600")
        suffix = Path(path).suffix or ".html"
        self.send_header("Content-Type", TYPES.get(suffix, "application/octet-stream"))
        self.end_headers()
        self.wfile.write(body or b"")

    def _read(self, path: str) -> bytes | None:
        if path == "/":
            return (STATIC / "gallery.html").read_bytes()
        if path.startswith("/examples/"):
            return example_pictures()[Path(path).stem]
        folder = ASSETS if path.startswith("/ask/") else STATIC
        file = folder / path.removeprefix("/ask/").lstrip("/")
        return file.read_bytes() if file.is_file() else None

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Files)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def contexts() -> Iterator[Callable[[str], BrowserContext]]:
    """A browser context by its description: `desktop light`, `phone dark` and so on."""
    made: dict[str, BrowserContext] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])

        def context(description: str) -> BrowserContext:
            device, scheme = description.split()
            if description not in made:
                made[description] = browser.new_context(
                    viewport=PHONE if device == "phone" else DESKTOP,
                    has_touch=device == "phone",
                    is_mobile=device == "phone",
                    color_scheme="dark" if scheme == "dark" else "light",
                )
            return made[description]

        yield context
        browser.close()


def opened(context: BrowserContext, address: str) -> Iterator[Page]:
    page = context.new_page()
    errors: list[str] = []
    page.on(
        "console", lambda message: errors.append(message.text) if message.type == "error" else None
    )
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    ready(page)
    yield page
    page.close()
    assert errors == []


@pytest.fixture
def page(contexts: Callable[[str], BrowserContext], address: str) -> Iterator[Page]:
    yield from opened(contexts("desktop light"), address)


@pytest.fixture
def phone(contexts: Callable[[str], BrowserContext], address: str) -> Iterator[Page]:
    yield from opened(contexts("phone light"), address)


@pytest.fixture(params=["desktop light", "desktop dark", "phone light", "phone dark"])
def any_page(
    request: pytest.FixtureRequest, contexts: Callable[[str], BrowserContext], address: str
) -> Iterator[Page]:
    yield from opened(contexts(request.param), address)


def ready(page: Page) -> None:
    page.locator("html[data-ready]").wait_for(state="attached")


def put(page: Page, items: list[Item]) -> None:
    page.evaluate("async (items) => { put(items); await drawn(); }", items)


def change(page: Page, *changes: Item) -> None:
    page.evaluate("async (changes) => { change(changes); await drawn(); }", list(changes))


def waiting(number: int, **more: Any) -> Item:
    return {
        "id": f"p{number}",
        "name": f"IMG_{number:04}.jpg",
        "folder": "",
        "thumbnail": None,
        "sha256": None,
        "state": "waiting",
        "reply": None,
        "problem": None,
        "at": 1_790_000_000_000 + number * 1000,
        **more,
    }


def reply(
    label: str = "beagle",
    *,
    score: float = 0.93,
    certainty: str = "sure",
    recognised: bool = True,
    level: str = "class",
    path: tuple[str, ...] = ("animal", "dog"),
    correction: dict[str, Any] | None = None,
) -> Item:
    scored = {"label": label, "wnid": f"n{len(label):08}", "score": score}
    document = {
        "answer": {
            **scored,
            "text": f"A {label} ({score:.0%}).",
            "certainty": certainty,
            "recognised": recognised,
            "level": level,
            "path": [*path, label],
            "set": [],
        },
        "top": [{**scored, "index": 7}],
        "image": {"width": 600, "height": 400, "format": "JPEG", "sha256": "ab" * 32},
        "cache": "miss",
        "timings_ms": {"total": 12.0},
    }
    return {**document, "correction": correction} if correction else document


def corrected(verdict: str, label: str | None = None, wnid: str | None = None) -> dict[str, Any]:
    return {"id": "c1", "verdict": verdict, "label": label, "wnid": wnid, "at": "2026-01-02"}


def answered(number: int, label: str = "beagle", **more: Any) -> Item:
    facts = {key: more.pop(key) for key in tuple(more) if key not in waiting(0)}
    return waiting(number, state="done", reply=reply(label, **facts), **more)


def refused(number: int, **more: Any) -> Item:
    problem = {"status": 400, "code": "image_unreadable", "detail": "This is not a picture."}
    return waiting(number, **{"state": "refused", "problem": problem, **more})


def many(count: int) -> list[Item]:
    """A collection with everything in it, the same every time."""
    kinds = (
        {"label": "beagle", "thumbnail": "cat", "folder": "holiday/dogs"},
        {"label": "espresso", "thumbnail": "coffee", "path": ("food", "drink"), "score": 0.99},
        {"label": "bee", "thumbnail": "bee", "score": 0.81, "certainty": "probably"},
        {"label": "orange", "thumbnail": "citrus", "path": ("food", "fruit"), "score": 0.97},
        {"label": "dog", "thumbnail": "cat", "level": "group", "path": ("animal",), "score": 0.96},
        {"label": "tabby cat", "thumbnail": "cat", "score": 0.41, "certainty": "unsure"},
    )
    items = [answered(number, **kinds[number % len(kinds)]) for number in range(count)]
    for number in range(9, count, 25):
        items[number] = refused(number)
    for number in range(17, count, 40):
        correction = corrected("other", "lynx", "n02127052")
        items[number] = answered(number, "tabby cat", thumbnail="cat", correction=correction)
    return items


def tiles(page: Page) -> Any:
    return page.get_by_role("option").and_(page.locator(".w-tile"))


def shown(page: Page) -> list[str]:
    names: list[str] = page.locator(".w-tile-name").all_text_contents()
    return names


def names(*numbers: int) -> list[str]:
    return [f"IMG_{number:04}.jpg" for number in numbers]


def search(page: Page, text: str) -> None:
    page.get_by_role("searchbox").fill(text)


def open_filters(page: Page) -> None:
    page.get_by_role("button", name="Filters", exact=True).click()


def chip(page: Page, group: str, name: str) -> Any:
    return page.get_by_role("group", name=group).get_by_role("button", name=re.compile(f"^{name}"))


def export(page: Page, kind: str, scope: str | None = None) -> bytes:
    page.get_by_role("button", name="Export").first.click()
    if scope:
        page.get_by_role("radio", name=scope).check()
    with page.expect_download() as caught:
        page.get_by_role("button", name=kind).click()
    saved: bytes = Path(caught.value.path()).read_bytes()
    return saved


def table(saved: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(saved.decode("utf-8-sig"), newline="")))


def keywords(sidecar: bytes) -> tuple[list[str], list[str]]:
    """The flat and the hierarchical keywords of a sidecar."""
    tree = ElementTree.fromstring(sidecar)
    found = []
    for tag in (f"{DC}subject", f"{LIGHTROOM}hierarchicalSubject"):
        (bag,) = tree.findall(f"{RDF}RDF/{RDF}Description/{tag}/{RDF}Bag")
        found.append([entry.text or "" for entry in bag.findall(f"{RDF}li")])
    return found[0], found[1]


def hash_of(page: Page) -> str:
    text: str = page.evaluate("location.hash")
    return text


# What is shown


def test_it_is_invisible_until_there_is_a_picture(page):
    expect(page.get_by_role("region", name="Pictures")).to_have_count(0)

    put(page, [waiting(1)])

    expect(page.get_by_role("region", name="Pictures")).to_be_visible()


def test_a_tile_says_what_became_of_its_picture(page):
    put(
        page,
        [
            waiting(0),
            waiting(1, state="asking"),
            answered(2, "wren", score=0.814, certainty="probably"),
            refused(3),
            answered(4, correction=corrected("other", "fox")),
            answered(5, correction=corrected("none")),
            answered(6, correction=corrected("right")),
            answered(7, "ambulance", recognised=False, certainty="unsure", score=0.3),
        ],
    )

    assert [tile.get_attribute("aria-label") for tile in tiles(page).all()] == [
        "IMG_0000.jpg, Waiting",
        "IMG_0001.jpg, Looking …",
        "IMG_0002.jpg, wren, 81\u00a0% · Probably",
        "IMG_0003.jpg, No answer, This is not a picture.",
        "IMG_0004.jpg, fox, Instead of beagle (93\u00a0%), Corrected",
        "IMG_0005.jpg, None of the known labels, Instead of beagle (93\u00a0%), Corrected",
        "IMG_0006.jpg, beagle, 93\u00a0% · Sure, Confirmed",
        "IMG_0007.jpg, Not recognised, Closest: ambulance",
    ]
    expect(tiles(page).nth(3)).to_contain_text("This is not a picture.")
    expect(page.get_by_text("5 answered · 2 waiting · 2 corrected · 1 without")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_have_js_property("value", 6)


def test_tiles_keep_the_order_in_which_their_pictures_came(page):
    put(page, [waiting(number) for number in range(10)])

    for number in reversed(range(10)):
        change(page, {"id": f"p{number}", "state": "done", "reply": reply()})

    assert shown(page) == names(*range(10))


def test_a_thousand_pictures_are_drawn_at_once_and_a_page_at_a_time(page):
    at_once, drawn = page.evaluate(
        """async (items) => {
            put(items);
            const atOnce = document.querySelectorAll(".w-tile").length;
            await drawn();
            return [atOnce, document.querySelectorAll(".w-tile").length];
        }""",
        many(1000),
    )

    assert (at_once, drawn) == (0, 60)
    expect(page.get_by_role("heading", name="1,000 pictures")).to_be_visible()


def test_a_thousand_updates_within_a_frame_are_one_drawing(page):
    put(page, [waiting(number) for number in range(1000)])

    batches = page.evaluate(
        """async (reply) => {
            let batches = 0;
            const watch = new MutationObserver(() => (batches += 1));
            watch.observe(document.querySelector(".w-tiles"), { childList: true, subtree: true });
            change([...items.keys()].map((id) => ({ id, state: "done", reply })));
            await drawn();
            return batches;
        }""",
        reply(),
    )

    assert batches == 1
    expect(page.get_by_text("1,000 answered")).to_be_visible()


def test_names_and_labels_are_text_and_never_markup(page):
    evil = "<img src=x onerror=\"document.title='broken in'\">"
    put(page, [answered(0, evil, name=f"{evil}.jpg", folder=evil), refused(1)])
    change(page, {"id": "p1", "problem": {"status": 400, "code": "x", "detail": evil}})
    open_filters(page)
    search(page, evil)

    expect(page.locator(".w-tile-label").first).to_have_text(evil)
    expect(page.get_by_role("group", name="Label").get_by_role("button")).to_contain_text(evil)
    assert page.title() == "Gallery"
    assert page.locator("#gallery img").count() == 0


def test_thumbnails_are_lazy_and_stay_the_pages_own(page):
    page.evaluate(
        """() => {
            window.made = []; window.revoked = [];
            const [make, revoke] = [URL.createObjectURL, URL.revokeObjectURL];
            URL.createObjectURL = (blob) => { made.push(1); return make.call(URL, blob); };
            URL.revokeObjectURL = (url) => { revoked.push(url); revoke.call(URL, url); };
        }"""
    )
    put(page, [answered(0, thumbnail="bee")])
    image = page.locator(".w-tile img")

    expect(image).to_have_attribute("loading", "lazy")
    assert image.get_attribute("src") == page.evaluate("items.get('p0').thumbnail")
    expect(image).to_have_js_property("complete", True)
    assert image.evaluate("image => image.naturalWidth") > 0

    page.evaluate("async () => { gallery.remove('p0'); await drawn(); gallery.destroy(); }")
    assert page.evaluate("[made.length, revoked.length]") == [1, 0]


def test_a_thumbnail_that_cannot_be_shown_leaves_a_drawing(page):
    put(page, [answered(0, thumbnail="data:image/png;base64,AAAA"), answered(1, thumbnail="bee")])

    expect(page.locator(".w-tile").first.locator("svg").nth(0)).to_be_visible()
    expect(page.locator(".w-tile img")).to_have_count(1)


# Filters and their link


def test_a_text_is_searched_without_accents_as_it_is_typed(page):
    put(
        page,
        [
            answered(0),
            answered(1, "wren", path=("animal", "bird")),
            answered(2, "emu", path=("animal", "bird")),
            refused(3, folder="2026/Südtirol"),
            answered(4, correction=corrected("other", "lynx")),
        ],
    )

    search(page, "sudtirol")

    # Going by the count: it stands there only once the text was taken up.
    expect(page.locator(".w-gallery-matches")).to_have_text("1 of 5 matches")
    assert shown(page) == names(3)


def test_chips_filter_by_label_certainty_detail_and_state(page):
    put(
        page,
        [
            answered(0, "wren"),
            answered(1, "emu", certainty="probably"),
            answered(2, "dog", level="group"),
            answered(3, "wren", certainty="unsure"),
            answered(4, "owl", recognised=False, certainty="unsure"),
            refused(5),
            answered(6, "wren", correction=corrected("other", "kiwi")),
            answered(7, "emu", correction=corrected("right")),
            waiting(8),
        ],
    )
    open_filters(page)

    def only(group: str, name: str) -> list[str]:
        chip(page, group, name).click()
        expect(chip(page, group, name)).to_have_attribute("aria-pressed", "true")
        found = shown(page)
        chip(page, group, name).click()
        expect(page.get_by_role("button", name="Clear filters")).to_have_count(0)
        return found

    assert only("Label", "wren") == names(0, 3)
    assert only("Label", "kiwi") == names(6)
    assert only("Certainty", "Sure") == names(0, 2, 6, 7)
    assert only("Certainty", "Probably") == names(1)
    assert only("Certainty", "Unsure") == names(3)
    assert only("Certainty", "Not recognised") == names(4)
    assert only("Detail", "Group only") == names(2)
    assert only("State", "Corrected") == names(6)
    assert only("State", "Confirmed") == names(7)
    assert only("State", "No answer") == names(5)
    assert only("State", "Waiting") == names(8)

    chip(page, "Label", "wren").click()
    chip(page, "Label", "emu").click()
    expect(tiles(page)).to_have_count(4)
    assert shown(page) == names(0, 1, 3, 7)
    chip(page, "Certainty", "Sure").click()
    expect(tiles(page)).to_have_count(2)
    assert shown(page) == names(0, 7)
    expect(chip(page, "Label", "kiwi")).to_have_text("kiwi1")


def test_the_most_frequent_labels_come_first_and_the_rest_on_demand(page):
    items = [answered(number, f"label {number % 12:02}") for number in range(30)]
    put(page, [*items, answered(30, "label 11"), answered(31, "label 11")])
    open_filters(page)
    chips = page.get_by_role("group", name="Label").get_by_role("button")

    expect(chips).to_have_count(9)
    expect(chips.first).to_have_text("label 114")
    page.get_by_role("button", name="4 more").click()
    expect(chips).to_have_count(13)
    page.get_by_role("button", name="Fewer").click()
    expect(chips).to_have_count(9)


def test_pictures_can_be_put_into_another_order(page):
    put(
        page,
        [
            answered(0, "owl", score=0.9, name="picture 10.jpg"),
            answered(1, "bee", score=0.3, name="picture 9.jpg"),
            answered(2, "cat", score=0.5, name="Album.jpg"),
            refused(3, name="zebra.jpg"),
        ],
    )
    everything = shown(page)

    page.get_by_role("combobox", name="Order").select_option("By label")
    expect(tiles(page).first).to_contain_text(everything[1])

    assert shown(page) == [everything[place] for place in (1, 2, 0, 3)]


def test_a_filter_is_a_link_that_leaves_the_query_alone(page, address):
    page.goto(f"{address}/?answer=abc")
    ready(page)
    put(page, many(200))
    open_filters(page)
    chip(page, "Label", "tabby cat").click()
    expect(chip(page, "Label", "tabby cat")).to_have_attribute("aria-pressed", "true")
    chip(page, "Certainty", "Unsure").click()
    expect(chip(page, "Certainty", "Unsure")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("combobox", name="Order").select_option("Least sure first")
    expect(page.locator(".w-gallery-matches")).to_have_text("30 of 200 match")
    filters = "label=tabby+cat&certainty=unsure&sort=score-low"
    page.wait_for_url(f"{address}/?answer=abc#gallery?{filters}*")
    link, found = page.url, shown(page)

    page.goto("about:blank")
    page.goto(link)
    ready(page)
    put(page, many(200))

    assert shown(page) == found
    expect(chip(page, "Label", "tabby cat")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("combobox", name="Order")).to_have_value("score-low")


def test_going_back_and_forward_moves_between_filters(page):
    put(page, many(200))
    open_filters(page)
    chip(page, "Label", "bee").click()
    chip(page, "Certainty", "Probably").click()
    assert hash_of(page) == "#gallery?label=bee&certainty=probably"

    page.go_back()
    expect(chip(page, "Certainty", "Probably")).to_have_attribute("aria-pressed", "false")
    page.go_back()
    expect(page.get_by_role("button", name="Clear filters")).to_have_count(0)
    # Where no `#` is left, Streamlit would run the page again.
    assert hash_of(page) == "#gallery"
    page.go_forward()
    expect(chip(page, "Label", "bee")).to_have_attribute("aria-pressed", "true")


def test_a_typed_text_is_one_step_back_and_not_one_per_letter(page):
    put(page, many(60))
    before = page.evaluate("history.length")
    for text in ("b", "be", "bee"):
        search(page, text)
        expect(page).to_have_url(re.compile(rf"#gallery\?q={text}$"))

    assert page.evaluate("history.length") == before + 1
    page.go_back()
    expect(page.get_by_role("searchbox")).to_have_value("")


def test_an_anchor_of_the_page_does_not_disturb_the_filter(page):
    put(page, many(60))
    search(page, "bee")
    expect(page.locator(".w-gallery-matches")).to_have_text("10 of 60 match")

    page.get_by_role("link", name="Below").click()

    assert hash_of(page) == "#below"
    expect(page.get_by_role("searchbox")).to_have_value("bee")


def test_nothing_found_offers_the_way_out(page):
    put(page, many(10))
    search(page, "no such thing")

    expect(page.get_by_text("Nothing matches.")).to_be_visible()
    expect(tiles(page)).to_have_count(0)
    page.locator(".w-empty").get_by_role("button", name="Clear filters").click()

    expect(tiles(page)).to_have_count(10)
    expect(tiles(page).first).to_be_focused()
    expect(page.get_by_role("searchbox")).to_have_value("")


def test_pictures_come_and_go_while_they_are_filtered(page):
    put(page, [waiting(number) for number in range(6)])
    open_filters(page)
    chip(page, "State", "Waiting").click()
    search(page, "img")
    expect(page.locator(".w-gallery-matches")).to_have_text("6 of 6 match")
    tiles(page).nth(2).focus()

    change(page, {"id": "p4", "state": "done", "reply": reply()})
    assert shown(page) == names(0, 1, 2, 3, 5)
    expect(tiles(page).nth(2)).to_be_focused()
    change(page, {"id": "p2", "state": "done", "reply": reply()})
    assert shown(page) == names(0, 1, 3, 5)
    expect(tiles(page).nth(2)).to_be_focused()  # the one that took its place
    put(page, [waiting(9)])
    assert shown(page) == names(0, 1, 3, 5, 9)
    page.evaluate("async () => { gallery.remove('p0'); await drawn(); }")
    assert shown(page) == names(1, 3, 5, 9)
    expect(page.locator(".w-gallery-matches")).to_have_text("4 of 6 match")


def test_answers_that_arrive_do_not_disturb_somebody_who_types(page):
    put(page, [answered(number) for number in range(5)])
    page.evaluate("window.arriving = setInterval(() => change([{ id: 'p0' }]), 5)")

    page.get_by_role("searchbox").press_sequentially("img_0003", delay=30)

    expect(page.get_by_role("searchbox")).to_have_value("img_0003")
    expect(page.locator(".w-gallery-matches")).to_have_text("1 of 5 matches")
    page.evaluate("clearInterval(arriving)")


def test_filters_that_were_folded_away_stay_so_while_a_text_is_searched(page):
    put(page, many(20))
    open_filters(page)
    chip(page, "Certainty", "Sure").click()
    page.get_by_role("button", name="Filters 1").click()
    search(page, "beagle")

    expect(page.locator(".w-gallery-matches")).to_have_text("4 of 20 match")
    expect(page.get_by_role("group", name="Certainty")).to_be_hidden()
    page.go_back()
    page.go_back()
    page.go_forward()
    expect(page.get_by_role("group", name="Certainty")).to_be_visible()


def test_typing_is_not_heard_by_the_page_around(page):
    put(page, many(3))
    page.evaluate(
        "() => { window.heard = []; document.onkeydown = (event) => heard.push(event.key); }"
    )

    page.get_by_role("searchbox").press_sequentially("rc")

    assert page.evaluate("heard") == []


# Pages


def test_pages_are_turned_and_part_of_the_link(page):
    put(page, [answered(number) for number in range(200)])
    pager = page.get_by_role("navigation", name="Pages")

    assert shown(page) == names(*range(60))
    pager.get_by_role("button", name="Next page").click()
    expect(tiles(page).first).to_contain_text("IMG_0060")
    expect(pager.get_by_role("button", name="Page 2")).to_have_attribute("aria-current", "page")
    pager.get_by_role("button", name="Page 4").click()
    expect(tiles(page)).to_have_count(20)
    assert hash_of(page) == "#gallery?page=4"
    pager.get_by_role("button", name="Next page").click(force=True)  # there is none
    assert hash_of(page) == "#gallery?page=4"
    page.go_back()
    expect(tiles(page).first).to_contain_text("IMG_0060")


def test_one_page_needs_no_pager_and_a_filter_begins_at_its_first(page):
    put(page, many(200))
    page.get_by_role("button", name="Page 3").click()
    search(page, "espresso")

    expect(page.get_by_role("navigation", name="Pages")).to_have_count(0)
    expect(page.locator(".w-gallery-matches")).to_have_text("32 of 200 match")
    assert len(shown(page)) == 32


# Keyboard


def test_the_keyboard_moves_opens_and_selects(page):
    put(page, [answered(number) for number in range(200)])
    page.get_by_role("button", name="Export").focus()
    page.keyboard.press("Tab")
    columns = page.evaluate(
        "getComputedStyle(document.querySelector('.w-tiles')).gridTemplateColumns.split(' ').length"
    )
    assert columns > 3

    def pressed(key: str) -> int:
        page.keyboard.press(key)
        page.evaluate("drawn()")
        name: str = page.evaluate("document.activeElement.querySelector('.w-tile-name').innerText")
        return int(name[4:8])

    assert pressed("ArrowRight") == 1
    assert pressed("ArrowDown") == 1 + columns
    assert pressed("ArrowLeft") == columns
    assert pressed("ArrowUp") == 0
    assert pressed("ArrowUp") == 0
    assert pressed("End") == 59
    assert pressed("ArrowRight") == 60  # on the next page
    assert pressed("PageDown") == 120
    assert pressed("Control+End") == 199
    assert pressed("ArrowRight") == 199
    assert pressed("Control+Home") == 0
    assert pressed("ArrowRight") == 1
    assert page.locator(".w-tile[tabindex='0']").count() == 1

    page.keyboard.press("Enter")
    assert page.evaluate("opened") == names(1)
    page.keyboard.press("Space")
    expect(tiles(page).nth(1)).to_have_attribute("aria-selected", "true")
    pressed("Shift+ArrowRight")
    pressed("Shift+ArrowRight")
    pressed("Shift+ArrowLeft")
    expect(page.get_by_text("2 selected")).to_be_visible()
    page.keyboard.press("Control+a")
    expect(page.get_by_text("200 selected")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".w-tile[aria-selected='true']")).to_have_count(0)


def test_tab_passes_the_tiles_in_one_step_and_comes_back_to_the_same(page):
    put(page, [answered(number) for number in range(30)])
    tiles(page).nth(4).focus()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Below")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(tiles(page).nth(4)).to_be_focused()


def test_the_focus_stays_with_its_tile_while_answers_arrive(page):
    put(page, [waiting(number) for number in range(20)])
    tiles(page).nth(3).focus()

    for number in range(20):
        change(page, {"id": f"p{number}", "state": "done", "reply": reply()})

    expect(tiles(page).nth(3)).to_be_focused()
    expect(tiles(page).nth(3)).to_contain_text("beagle")


# Selection


def test_a_click_opens_and_the_mark_selects(page):
    put(page, many(10))

    tiles(page).nth(2).click()
    tiles(page).nth(3).hover()
    tiles(page).nth(3).locator(".w-tile-mark").click()
    tiles(page).nth(5).click(modifiers=["Control"])

    assert page.evaluate("opened") == names(2)
    expect(page.get_by_text("2 selected")).to_be_visible()
    expect(tiles(page).nth(3)).to_have_attribute("aria-selected", "true")
    expect(tiles(page).nth(5)).to_have_attribute("aria-selected", "true")


def test_a_range_reaches_over_pages_and_can_be_drawn_anew(page):
    put(page, [answered(number) for number in range(130)])
    tiles(page).nth(50).click(modifiers=["Control"])
    page.get_by_role("button", name="Page 2").click()
    expect(tiles(page).first).to_contain_text("IMG_0060")

    tiles(page).nth(9).click(modifiers=["Shift"])
    expect(page.get_by_text("20 selected")).to_be_visible()
    tiles(page).nth(4).click(modifiers=["Shift"])
    expect(page.get_by_text("15 selected")).to_be_visible()
    page.get_by_role("button", name="Select all 130").click()
    expect(page.get_by_text("130 selected")).to_be_visible()


def test_all_that_match_are_selected_and_stay_so_when_the_filter_goes(page):
    put(page, many(200))
    search(page, "espresso")
    expect(page.locator(".w-gallery-matches")).to_have_text("32 of 200 match")
    tiles(page).first.click(modifiers=["Control"])
    page.get_by_role("button", name="Select all 32 that match").click()
    expect(page.get_by_text("32 selected")).to_be_visible()

    search(page, "bee")
    expect(page.get_by_text("32 selected (32 not shown)")).to_be_visible()
    page.get_by_role("button", name="Select nothing").click()
    expect(page.get_by_role("group", name="Selected pictures")).to_have_count(0)
    expect(tiles(page).first).to_be_focused()


def test_only_answered_pictures_are_corrected(page):
    put(page, [answered(0), waiting(1), refused(2), answered(3), answered(4)])
    for place in (3, 2, 1):
        tiles(page).nth(place).click(modifiers=["Control"])
    page.get_by_role("button", name="Correct").click()
    assert page.evaluate("corrected") == [names(3)]

    tiles(page).nth(3).click(modifiers=["Control"])
    expect(page.get_by_role("button", name="Correct")).to_be_disabled()


def test_fingers_select_in_a_mode_of_its_own(phone):
    put(phone, many(10))
    phone.get_by_role("button", name="Select", exact=True).tap()
    tiles(phone).nth(1).tap()
    tiles(phone).nth(2).tap()

    assert phone.evaluate("opened") == []
    expect(phone.get_by_text("2 selected")).to_be_visible()
    phone.get_by_role("button", name="Select nothing").tap()
    tiles(phone).nth(1).tap()
    assert phone.evaluate("opened") == names(1)


def test_a_removed_picture_is_no_longer_selected(page):
    put(page, many(5))
    tiles(page).nth(1).click(modifiers=["Control"])
    tiles(page).nth(2).click(modifiers=["Control"])

    page.evaluate("async () => { gallery.remove('p1'); await drawn(); }")

    expect(page.get_by_text("1 selected")).to_be_visible()
    assert page.evaluate("gallery.items().map((item) => item.id)") == ["p0", "p2", "p3", "p4"]


# Export


def test_a_table_holds_every_answer_correction_and_refusal(page):
    put(
        page,
        [answered(0, folder="a/b"), answered(1, correction=corrected("other", "fox")), refused(2)],
    )

    saved = export(page, "Table")
    first, second, third = table(saved)

    assert saved.startswith(b"\xef\xbb\xbffolder,name,state,label,")
    assert saved.count(b"\r\n") == 4
    assert (first["folder"], first["name"], first["label"]) == ("a/b", "IMG_0000.jpg", "beagle")
    assert (first["score"], first["certainty"], first["path"]) == (
        "0.93",
        "sure",
        "animal > dog > beagle",
    )
    assert (second["correction"], second["corrected_label"]) == ("other", "fox")
    assert (third["state"], third["problem"], third["label"]) == (
        "refused",
        "image_unreadable",
        "",
    )
    assert third["problem_detail"] == "This is not a picture."
    expect(page.get_by_role("status")).to_have_text("3 pictures exported.")


def test_all_the_matching_or_the_selected_ones_are_exported(page):
    put(page, many(200))
    assert len(table(export(page, "Table"))) == 200
    search(page, "espresso")
    expect(page.locator(".w-gallery-matches")).to_have_text("32 of 200 match")
    assert {row["label"] for row in table(export(page, "Table"))} == {"espresso"}
    tiles(page).nth(2).click(modifiers=["Control"])

    assert [row["name"] for row in table(export(page, "Table"))] == names(13)
    assert len(table(export(page, "Table", "Those that match (32)"))) == 32
    assert len(table(export(page, "Table", "All (200)"))) == 200


def test_sidecars_lie_beside_their_pictures_and_hold_the_keywords(page):
    put(
        page,
        [
            answered(0, folder="2026/spring"),
            answered(1, correction=corrected("other", "red fox")),
            answered(2, correction=corrected("other", "dog")),
            answered(3, correction=corrected("none")),
            answered(4, "wren", certainty="unsure", correction=corrected("right")),
            answered(5, certainty="unsure"),
            answered(6, recognised=False),
            refused(7),
            waiting(8),
            answered(9, "dog", level="group", path=("animal",)),
        ],
    )

    archive = zipfile.ZipFile(io.BytesIO(export(page, "Keywords")))

    assert archive.testzip() is None
    # In a folder of its own, or darktable's files of the same names would be replaced.
    assert {name.split("/")[0] for name in archive.namelist()} == {"whatsit-keywords"}
    assert b"cp -Rn whatsit-keywords/." in archive.read("whatsit-keywords/READ-ME.txt")
    assert {
        name.removeprefix("whatsit-keywords/"): keywords(archive.read(name))
        for name in archive.namelist()
        if name.endswith(".xmp")
    } == {
        "2026/spring/IMG_0000.jpg.xmp": (["animal", "dog", "beagle"], ["animal|dog|beagle"]),
        "IMG_0001.jpg.xmp": (["red fox"], ["red fox"]),
        "IMG_0002.jpg.xmp": (["animal", "dog"], ["animal|dog"]),
        "IMG_0004.jpg.xmp": (["animal", "dog", "wren"], ["animal|dog|wren"]),
        "IMG_0009.jpg.xmp": (["animal", "dog"], ["animal|dog"]),
    }
    expect(page.get_by_role("status")).to_have_text(
        "Keywords of 5 pictures exported. 5 were left out because their answers were not certain."
    )


def test_where_nothing_is_certain_no_archive_is_saved(page):
    put(page, [refused(0), answered(1, recognised=False)])
    downloads: list[object] = []
    page.on("download", lambda download: downloads.append(download))

    page.get_by_role("button", name="Export").first.click()
    page.get_by_role("button", name="Keywords").click()

    expect(page.get_by_role("status")).to_contain_text("2 were left out")
    assert downloads == []


def test_the_address_of_an_export_is_given_up(page):
    page.clock.install()
    put(page, many(3))
    page.evaluate(
        """() => {
            window.made = []; window.revoked = [];
            const [make, revoke] = [URL.createObjectURL, URL.revokeObjectURL];
            URL.createObjectURL = (blob) => made[made.push(make.call(URL, blob)) - 1];
            URL.revokeObjectURL = (url) => { revoked.push(url); revoke.call(URL, url); };
        }"""
    )
    export(page, "Data")
    assert page.evaluate("[made.length, revoked.length]") == [1, 0]

    page.clock.fast_forward(31_000)

    assert page.evaluate("made[0] === revoked[0]")


def test_the_export_menu_closes_by_escape_and_by_looking_elsewhere(page):
    put(page, many(3))
    opener = page.get_by_role("button", name="Export").first
    menu = page.get_by_role("group", name="Export", exact=True)

    opener.click()
    expect(menu).to_be_visible()
    page.keyboard.press("Escape")
    expect(menu).to_be_hidden()
    expect(opener).to_be_focused()
    opener.click()
    page.get_by_role("heading", name="Pictures", exact=True).click()
    expect(menu).to_be_hidden()


# Coming and going


def test_clearing_leaves_no_picture_and_no_filter(page):
    put(page, many(100))
    search(page, "bee")
    expect(page.locator(".w-gallery-matches")).to_have_text("17 of 100 match")
    page.evaluate("async () => { gallery.clear(); await drawn(); }")

    expect(page.get_by_role("region", name="Pictures")).to_have_count(0)
    assert page.evaluate("gallery.items()") == []
    put(page, many(3))
    assert shown(page) == names(0, 1, 2)


def test_nothing_listens_any_more_once_it_is_destroyed(page):
    put(page, many(100))
    page.evaluate("gallery.destroy()")

    assert page.locator("#gallery > *").count() == 0
    ends = page.evaluate("listeners.map(({ signal }) => signal?.aborted ?? null)")
    assert len(ends) >= 4
    assert set(ends) == {True}


# Looks


LONG = [
    answered(0, "pneumonoultramicroscopicsilicovolcanoconiosis-inspector of the northern isles"),
    answered(1, name=f"{'a-very-long-name-' * 8}.jpg", folder="f" * 90, certainty="probably"),
    refused(2, problem={"status": 413, "code": "x", "detail": "Too large. " * 20}),
    answered(3, correction=corrected("other", "x" * 90)),
]


def everything_open(page: Page) -> None:
    """Filters, selection and the export menu, with long texts among the pictures."""
    put(page, [*LONG, *(item for item in many(130) if int(item["id"][1:]) >= len(LONG))])
    open_filters(page)
    chip(page, "Certainty", "Sure").click()
    page.locator(".w-tile").nth(1).click(modifiers=["Control"])
    page.get_by_role("button", name="Export").first.click()
    page.wait_for_timeout(300)  # colours change gradually, and contrast is measured in between


@pytest.mark.extended
def test_nothing_has_to_be_scrolled_sideways(any_page):
    everything_open(any_page)

    width, room = any_page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert width <= room


@pytest.mark.extended
def test_no_accessibility_rule_is_broken(any_page):
    everything_open(any_page)

    def broken() -> list[object]:
        found = Axe().run(any_page).response["violations"]
        return [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]

    assert broken() == []
    search(any_page, "no such thing")
    expect(any_page.get_by_text("Nothing matches.")).to_be_visible()
    assert broken() == []


def test_everything_is_large_enough_for_a_finger(phone):
    everything_open(phone)

    small = phone.evaluate(
        """() => [...document.querySelectorAll(
            ".w-gallery :is(button, select, input[type=search], label, .w-tile, .w-tile-mark)")]
            .filter((one) => one.checkVisibility())
            .map((one) => [one.className, one.getBoundingClientRect()])
            .filter(([, box]) => box.width < 44 || box.height < 44)
            .map(([name, box]) => `${name} ${box.width} x ${box.height}`)"""
    )
    assert small == []
