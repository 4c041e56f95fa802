"""The page, as a person sees it in a real browser."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, FileChooser, Page, expect

from tests.e2e.visitor import (
    DESKTOP,
    PHONE,
    Complaints,
    choose,
    guesses,
    new_picture,
    open_page,
    picture_file,
    require_answer,
    require_fits,
)
from tests.support.running import RunningServer, start_server
from tests.support.waiting import wait_until
from whatsit.data import example_pictures
from whatsit.testing import plain_picture

pytestmark = pytest.mark.browser


LOOKS = ("desktop light", "desktop dark", "phone light", "phone dark")
in_every_look = pytest.mark.parametrize("page", LOOKS, indirect=True)


@pytest.fixture
def page(request: pytest.FixtureRequest, browser: Browser, server: RunningServer) -> Iterator[Page]:
    look: str = getattr(request, "param", LOOKS[0])
    context = browser.new_context(
        viewport=DESKTOP if "desktop" in look else PHONE,
        color_scheme="dark" if "dark" in look else "light",
        has_touch="phone" in look,
    )
    page = context.new_page()
    complaints = Complaints(page, server.url)
    open_page(page, server.url)
    yield page
    context.close()
    assert complaints.found == []


def require_accessible(page: Page) -> None:
    page.wait_for_timeout(300)  # contrast is measured once nothing fades any more
    found = Axe().run(page).response["violations"]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []


def test_the_first_visit_shows_examples_that_are_answered_already(page):
    examples = page.get_by_role("region", name="Examples").get_by_role("button")

    expect(examples).to_have_count(4)
    expect(examples.first).to_contain_text(re.compile(r"A bee \(\d+.%\)"))
    examples.first.click()
    require_answer(page, "A bee")
    expect(page.get_by_text("Answered from the cache in")).to_be_visible()
    expect(examples).to_have_count(4)


@pytest.mark.parametrize("page", ["desktop light", "phone dark"], indirect=True)
def test_a_chosen_picture_is_answered(page):
    choose(page, picture_file("coffee.jpg", example_pictures()["coffee"]))

    require_answer(page, "espresso")
    expect(page.get_by_role("status").filter(has_text="espresso")).to_be_attached()
    expect(guesses(page)).to_have_count(5)
    expect(guesses(page).first).to_contain_text(re.compile(r"espresso.*%"))
    expect(page.get_by_text("600 × 400 JPEG")).to_be_visible()
    expect(page.get_by_role("list", name="What kind of thing it is")).to_contain_text("espresso")
    picture = page.get_by_role("img", name=re.compile("espresso"))
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.naturalWidth") == 600


def test_the_second_time_the_answer_comes_from_the_cache_and_says_what_that_saved(page):
    new = new_picture()
    choose(page, picture_file("new.png", new))
    expect(page.get_by_text(re.compile(r"Computed in (\d+|under 1)\sms"))).to_be_visible()
    choose(page, picture_file("new.png", new))

    expect(
        page.get_by_text(re.compile(r"Answered from the cache in .*\sms; computing took \d+\sms"))
    ).to_be_visible()


def test_a_bad_picture_gets_a_sentence_and_the_next_one_an_answer(page):
    choose(page, picture_file("notes.jpg", b"These are notes, not a picture."))
    expect(page.get_by_role("alert").filter(has_text="not a picture")).to_be_visible()
    require_fits(page)
    require_accessible(page)

    choose(page, picture_file("bee.jpg", example_pictures()["bee"]))
    require_answer(page, "A bee")
    expect(page.get_by_role("alert").filter(has_text="picture")).to_have_count(0)


def test_why_shows_where_the_model_looked_for_each_label(page):
    choose(page, picture_file("bee.jpg", example_pictures()["bee"]))
    why = page.get_by_role("button", name="Why?")
    why.click()

    overlay = page.get_by_role("img", name=re.compile("parts that support bee are bright"))
    expect(overlay).to_be_visible(timeout=15_000)  # the first time, the model is opened once more
    box, picture = overlay.bounding_box(), page.get_by_role("img", name="A bee").bounding_box()
    assert box is not None
    assert picture is not None
    assert box == pytest.approx(picture, abs=0.5)
    assert box["width"] > 200
    page.get_by_label("Evidence for").select_option("cardoon")
    expect(page.get_by_role("img", name=re.compile("support cardoon are bright"))).to_be_visible()
    expect(overlay).to_have_count(0)
    require_fits(page)
    why.click()
    expect(page.get_by_role("img", name=re.compile("are bright"))).to_have_count(0)


def test_what_the_model_does_not_know_is_not_named(page):
    choose(page, picture_file("blank.png", plain_picture("white", (400, 300))))

    require_answer(page, "I do not recognise this")
    expect(page.get_by_text("Not recognised")).to_be_visible()


def test_leaving_for_the_model_and_coming_back_keeps_the_answer(page):
    choose(page, picture_file("bee.jpg", example_pictures()["bee"]))
    require_answer(page, "A bee")
    go_to(page, "The model")
    expect(page.get_by_text("Right at the first guess")).to_be_visible()
    expect(page.get_by_role("cell", name=re.compile(r"9\d\.\d %")).first).to_be_visible()
    expect(page.get_by_text("It must not decide anything about people.")).to_be_visible()
    go_to(page, "Ask")

    require_answer(page, "A bee")
    choose(page, picture_file("cat.jpg", example_pictures()["cat"]))
    require_answer(page, "cat")


def go_to(page: Page, name: str) -> None:
    if page.get_by_test_id("stExpandSidebarButton").is_visible():
        page.get_by_test_id("stExpandSidebarButton").click()  # a phone folds the pages away
    page.get_by_role("link", name=name, exact=True).first.click()
    if page.get_by_test_id("stSidebarCollapseButton").get_by_role("button").is_visible():
        page.get_by_test_id("stSidebarCollapseButton").get_by_role("button").click()


@pytest.mark.extended
@in_every_look
def test_nothing_has_to_be_scrolled_sideways(page):
    require_fits(page)
    choose(page, picture_file("a" * 90 + ".jpg", example_pictures()["cat"]))
    guesses(page).first.wait_for()
    page.get_by_text("Ask from a program").click()

    require_fits(page)


@in_every_look
def test_no_accessibility_rule_is_broken(page):
    require_accessible(page)
    choose(page, picture_file("cat.jpg", example_pictures()["cat"]))
    guesses(page).first.wait_for()
    page.get_by_text("Ask from a program").click()
    page.get_by_role("button", name="Why?").click()
    page.get_by_role("img", name=re.compile("are bright")).wait_for()
    page.get_by_role("button", name="Camera").click()

    require_accessible(page)


@pytest.mark.extended
@pytest.mark.parametrize("page", ["desktop light", "phone dark"], indirect=True)
def test_everything_that_is_pressed_is_large_enough_for_a_thumb(page):
    choose(page, picture_file("cat.jpg", example_pictures()["cat"]))
    guesses(page).first.wait_for()
    page.get_by_text("Ask from a program").click()
    page.get_by_role("button", name="Why?").click()
    sizes = page.evaluate(
        """[...document.querySelectorAll(".w-page :is(button, select, summary, .w-input)")]
            .filter((one) => one.offsetParent !== null)
            .map((one) => [one.textContent, one.offsetHeight, one.offsetWidth])"""
    )

    assert len(sizes) > 8
    assert [size for size in sizes if size[1] < 44 or size[2] < 44] == []


def test_the_keyboard_alone_is_enough(page):
    def tab_to(text: str) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.textContent").strip().startswith(text):
                return
        raise AssertionError(f"The keyboard does not reach {text}.")

    # From now on choosers are told of; asked for only at the press, the first may be missed.
    choosers: list[FileChooser] = []
    page.on("filechooser", lambda chooser: choosers.append(chooser))
    tab_to("Choose pictures")
    page.keyboard.press("Enter")
    assert wait_until(lambda: page.wait_for_timeout(50) or bool(choosers))
    choosers[0].set_files(picture_file("coffee.jpg", example_pictures()["coffee"]))
    require_answer(page, "espresso")
    tab_to("Why?")
    page.keyboard.press("Space")
    # The first map of a server has the model compiled once more.
    expect(page.get_by_role("img", name=re.compile("are bright"))).to_be_visible(timeout=20_000)
    tab_to("Ask from a program")
    page.keyboard.press("Enter")
    tab_to("curl")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tabpanel")).to_contain_text("import json")


@pytest.mark.extended
@pytest.mark.skipif(sys.platform != "linux", reason="There is no /proc to look at.")
def test_a_visitor_does_not_make_the_server_load_tables(browser, tmp_path):
    with start_server(tmp_path, model="efficientnet-lite2") as server:
        page = browser.new_page()
        open_page(page, server.url)
        page.close()
        loaded = Path(f"/proc/{server.process.pid}/maps").read_text()

    assert "openvino" in loaded
    assert "pyarrow" not in loaded
