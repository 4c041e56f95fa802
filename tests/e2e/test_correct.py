"""Correcting an answer, as a person does it in a real browser."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.e2e.ask_parts import (
    LOOKS,
    broken_rules,
    open_parts,
    open_profile,
    serve_ask_parts,
    sideways_scroll,
    small_targets,
    until,
)
from tests.support.waiting import wait_until

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serve_ask_parts() as address:
        yield address


@pytest.fixture
def profile(browser: Browser, address: str) -> Iterator[BrowserContext]:
    with open_profile(browser, address, "desktop light") as context:
        yield context


@pytest.fixture
def page(profile: BrowserContext, address: str) -> Page:
    return open_parts(profile, address, "?bare")


def open_dialog(page: Page, *pictures: str) -> Locator:
    page.evaluate("(names) => parts.setItems(names)", list(pictures))
    page.locator("#open").click()
    dialog = page.locator("dialog.w-correct")
    expect(dialog).to_be_visible()
    return dialog


def press(dialog: Locator, name: str) -> None:
    dialog.get_by_role("button", name=name, exact=True).click()


def notice(page: Page) -> Locator:
    return page.locator(".w-correct-notice")


def sent(page: Page, name: str = "sendFeedback") -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = page.evaluate("parts.api.calls")
    return [call for call in calls if call["name"] == name]


def corrections(page: Page) -> list[Any]:
    found: list[Any] = page.evaluate("parts.items.map((item) => item.reply.correction ?? null)")
    return found


def result(page: Page) -> Any:
    until(page, "parts.result !== undefined")
    return page.evaluate("parts.result")


def plan(page: Page, kind: str, name: str, steps: list[Any]) -> None:
    """Decide how long the next calls take (`delays`) or how they fail (`failures`)."""
    page.evaluate("([kind, name, all]) => { parts.api[kind][name] = all; }", [kind, name, steps])


def search(dialog: Locator) -> Locator:
    return dialog.get_by_role("combobox", name="Something else")


def options(dialog: Locator) -> Locator:
    return dialog.get_by_role("listbox", name="Matching labels").get_by_role("option")


def test_a_right_answer_is_confirmed_with_one_click(page):
    dialog = open_dialog(page, "citrus")
    expect(dialog).to_contain_text("An orange (71 %), or a lemon.")
    press(dialog, "Yes, right")

    expect(dialog).to_have_count(0)
    (call,) = sent(page)
    assert len(call["sha256"]) == 64
    assert (call["verdict"], call["label"], call["wnid"]) == ("right", "orange", "n07747607")
    assert call["picture"] is None
    (correction,) = corrections(page)
    assert result(page) == [correction]
    assert {"id": "feedback-1", "verdict": "right", "label": "orange"}.items() <= correction.items()
    expect(page.locator("#open")).to_be_focused()


def test_the_other_guesses_come_first_and_take_one_click(page):
    dialog = open_dialog(page, "citrus")
    chips = dialog.get_by_role("group", name="Or is it one of these?").get_by_role("button")
    expect(chips).to_have_text(["lemon", "banana", "bee", "None of these"])
    press(dialog, "lemon")

    assert result(page)[0]["label"] == "lemon"
    assert sent(page)[0]["wnid"] == "n07749582"
    assert sent(page)[0]["verdict"] == "other"


def test_none_of_these_is_an_answer(page):
    press(open_dialog(page, "bee"), "None of these")

    assert result(page)[0]["verdict"] == "none"
    assert sent(page)[0]["label"] is None


def test_an_answer_that_names_nothing_cannot_be_right(page):
    dialog = open_dialog(page, "unknown")

    expect(dialog.get_by_role("heading", name="What is this?")).to_be_focused()
    expect(dialog.get_by_role("button", name="Yes, right")).to_have_count(0)
    expect(dialog.get_by_role("button", name="serving pitcher")).to_be_visible()


def test_a_picture_without_a_digest_is_not_asked_about(page):
    page.evaluate("parts.setItems(['bee'], { sha256: undefined })")
    page.evaluate("for (const item of parts.items) item.sha256 = item.reply = null")
    page.locator("#open").click()

    assert result(page) is None
    expect(page.locator("dialog")).to_have_count(0)


def test_a_synonym_finds_the_label_with_the_keyboard_alone(page):
    page.evaluate("parts.setItems(['cat'])")
    page.locator("#open").focus()
    page.keyboard.press("Enter")
    dialog = page.locator("dialog.w-correct")
    for _ in range(20):
        if page.evaluate("document.activeElement.role") == "combobox":
            break
        page.keyboard.press("Tab")
    page.keyboard.type("jug")
    expect(options(dialog).first).to_contain_text("serving pitcher")
    expect(options(dialog).first).to_contain_text("also pitcher, ewer, jug")
    expect(options(dialog).first).to_contain_text("an open vessel with a handle")
    expect(dialog.get_by_role("status").filter(has_text="1 label found.")).to_be_visible()
    expect(search(dialog)).to_have_attribute("aria-expanded", "true")

    page.keyboard.press("ArrowDown")
    chosen = search(dialog).get_attribute("aria-activedescendant")
    expect(dialog.locator("[aria-selected=true]")).to_have_id(chosen or "nothing is chosen")
    page.keyboard.press("Enter")

    assert result(page)[0]["label"] == "serving pitcher"
    expect(page.locator("#open")).to_be_focused()
    page.keyboard.press("Control+z")
    expect(notice(page)).to_have_text("Undone.")
    assert corrections(page) == [None]


def test_the_arrows_go_round_and_the_whole_name_needs_no_arrow(page):
    dialog = open_dialog(page, "bee")
    search(dialog).fill("cat")
    expect(options(dialog)).to_have_count(4)
    page.keyboard.press("ArrowUp")
    expect(dialog.locator("[aria-selected=true]")).to_have_text("Use my own words: “cat”")
    page.keyboard.press("ArrowDown")
    expect(dialog.locator("[aria-selected=true]")).to_contain_text("tabby cat")
    search(dialog).fill("Tabby Cat")
    expect(options(dialog)).to_have_count(1)  # an own label of that name would be the same
    page.keyboard.press("Enter")

    assert result(page)[0]["wnid"] == "n02123045"


def test_enter_without_a_choice_points_at_the_first_and_sends_nothing(page):
    dialog = open_dialog(page, "bee")
    search(dialog).fill("cof")
    expect(options(dialog)).to_have_count(2)
    page.keyboard.press("Enter")

    expect(dialog.locator("[aria-selected=true]")).to_contain_text("coffee mug")
    assert sent(page) == []


def test_escape_closes_the_list_first_and_then_the_dialog(page):
    dialog = open_dialog(page, "bee")
    search(dialog).fill("cat")
    options(dialog).first.wait_for()
    page.keyboard.press("Escape")
    expect(options(dialog)).to_have_count(0)
    expect(dialog).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(options(dialog)).to_have_count(4)
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")

    expect(dialog).to_have_count(0)
    assert result(page) is None
    assert sent(page) == []
    expect(notice(page)).to_have_count(0)


def test_a_word_typed_letter_by_letter_is_searched_once(page):
    dialog = open_dialog(page, "bee")
    search(dialog).press_sequentially("coffee", delay=15)
    expect(options(dialog).first).to_contain_text("coffee mug")

    assert [call["query"] for call in sent(page, "labels")] == ["coffee"]


def test_a_slow_search_does_not_overwrite_a_later_one(page):
    plan(page, "delays", "labels", [900, 0])
    dialog = open_dialog(page, "bee")
    search(dialog).fill("cat")
    expect(dialog.get_by_text("Searching …")).to_be_visible()
    search(dialog).fill("lemon")
    expect(options(dialog)).to_have_count(1)
    until(page, "parts.api.running === 0")
    page.wait_for_timeout(50)

    assert len(sent(page, "labels")) == 2
    expect(options(dialog)).to_have_count(1)
    expect(options(dialog)).to_contain_text("yellow oval fruit")


def test_where_the_search_fails_own_words_are_still_taken(page):
    plan(page, "failures", "labels", [{"status": 503, "detail": "The service is busy."}])
    dialog = open_dialog(page, "bee")
    search(dialog).fill("  my dog Rex ")
    expect(dialog.get_by_text("The search is not available: The service is busy.")).to_be_visible()
    options(dialog).filter(has_text="Use my own words: “my dog Rex”").click()

    assert result(page)[0]["label"] == "my dog Rex"
    assert sent(page)[0]["wnid"] is None


def test_a_label_in_own_words_is_as_long_as_the_server_takes(page):
    dialog = open_dialog(page, "bee")
    search(dialog).fill("🦊" * 31)
    expect(
        dialog.get_by_text("Your own label can have at most 30 characters; this one has 31.")
    ).to_be_visible()
    expect(options(dialog)).to_have_count(0)
    search(dialog).fill("🦊" * 30)
    expect(dialog.get_by_text("No label of the model matches.")).to_be_visible()
    options(dialog).click()

    assert sent(page)[0]["label"] == "🦊" * 30


def test_a_picture_is_sent_only_if_the_person_agrees(page):
    dialog = open_dialog(page, "bee", "cat")
    keep = dialog.get_by_role("checkbox", name="Keep the 2 pictures too")
    expect(keep).not_to_be_checked()
    expect(keep).to_have_accessible_description("They stay on the server that runs this page.")
    keep.check()
    press(dialog, "None of these")
    expect(notice(page)).to_contain_text("2 pictures saved.")
    assert all(call["picture"] > 10_000 for call in sent(page))

    expect(open_dialog(page, "bee").get_by_role("checkbox")).not_to_be_checked()


def test_a_server_that_keeps_no_pictures_is_not_passed_over(page):
    page.evaluate("parts.api.keepsNoPictures = true")
    dialog = open_dialog(page, "bee")
    dialog.get_by_text("Keep the picture too").click()
    press(dialog, "Yes, right")

    expect(notice(page)).to_contain_text("Saved, but without the picture.")


def test_what_has_no_picture_here_is_not_asked_to_give_one(page):
    page.evaluate("parts.setItems(['bee']).then(() => { parts.items[0].blob = null; })")
    until(page, "parts.items[0]?.blob === null")
    page.locator("#open").click()

    expect(page.get_by_role("button", name="Yes, right")).to_be_visible()
    expect(page.get_by_role("checkbox")).to_have_count(0)


def test_a_slow_server_gets_one_answer_and_the_person_sees_it_work(page):
    plan(page, "delays", "sendFeedback", [700])
    dialog = open_dialog(page, "citrus")
    press(dialog, "lemon")
    expect(dialog.get_by_role("status").filter(has_text="Saving …")).to_be_visible()
    expect(dialog.get_by_role("button", name="banana")).to_be_disabled()

    assert result(page)[0]["label"] == "lemon"
    assert len(sent(page)) == 1


def test_closing_while_it_saves_keeps_what_is_on_its_way_and_sends_no_more(page):
    page.evaluate("parts.api.delays.every = 500")
    dialog = open_dialog(page, *["bee", "cat", "coffee"] * 4)
    press(dialog, "None of these")
    expect(dialog.get_by_text("Saving 0 of 12 …")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)

    assert len(result(page)) == 4
    assert len(sent(page)) == 4
    expect(notice(page)).to_contain_text("4 pictures saved.")


def test_a_failure_after_closing_is_told(page):
    plan(page, "delays", "sendFeedback", [300])
    plan(page, "failures", "sendFeedback", [{"status": 503, "detail": "The store is full."}])
    press(open_dialog(page, "bee"), "Yes, right")
    page.keyboard.press("Escape")

    expect(notice(page)).to_have_text("Not saved: The store is full.")
    assert result(page) is None


def test_a_batch_tells_which_failed_and_tries_only_those_again(page):
    busy = {"status": 503, "detail": "The service is busy."}
    plan(page, "failures", "sendFeedback", [None, busy, None, {"status": 0}])
    dialog = open_dialog(page, "citrus", "bee", "cat", "coffee")
    dialog.get_by_role("checkbox").check()
    press(dialog, "lemon")

    alert = dialog.get_by_role("alert")
    expect(alert.get_by_role("listitem")).to_have_text(
        ["bee.jpg The service is busy.", "coffee.jpg The server could not be reached."]
    )
    expect(dialog.get_by_role("heading", name="2 pictures are not saved yet")).to_be_visible()
    expect(dialog.get_by_role("checkbox")).to_be_checked()
    expect(alert.get_by_role("button", name="Try again")).to_be_focused()
    page.keyboard.press("Enter")

    assert len(result(page)) == 4
    assert [one["label"] for one in corrections(page)] == ["lemon"] * 4
    assert len(sent(page)) == 6
    expect(notice(page)).to_contain_text("4 pictures saved.")


def test_after_a_failure_another_answer_can_be_given_or_none(page):
    plan(page, "failures", "sendFeedback", [{"status": 422, "detail": "No such label."}] * 2)
    dialog = open_dialog(page, "citrus")
    press(dialog, "lemon")
    expect(dialog.get_by_role("alert")).to_contain_text("No such label.")
    press(dialog, "banana")
    expect(dialog.get_by_role("alert")).to_contain_text("No such label.")
    press(dialog, "Close")

    assert result(page) is None
    assert corrections(page) == [None]


def test_many_pictures_are_sent_four_at_a_time(page):
    page.evaluate("parts.api.delays.every = 20")
    press(open_dialog(page, *["bee"] * 30), "Yes, all right")

    assert len(result(page)) == 30
    assert page.evaluate("parts.api.mostRunning") == 4


def test_many_pictures_offer_the_guesses_of_all(page):
    dialog = open_dialog(page, "citrus", "cat", "bee", "coffee", "bee", "bee", "bee")
    chips = dialog.get_by_role("group", name="Or is it one of these?").get_by_role("button")

    expect(chips).to_have_count(7)
    expect(chips.first).to_have_text("bee")
    expect(dialog.get_by_text("+2")).to_be_visible()


def test_undo_takes_all_back(page):
    press(open_dialog(page, "bee", "cat"), "None of these")
    expect(notice(page).get_by_role("status")).to_contain_text("2 pictures saved.")
    notice(page).get_by_role("button", name="Undo").click()

    expect(notice(page)).to_have_text("Undone.")
    assert corrections(page) == [None, None]
    assert page.evaluate("parts.api.kept.size") == 0
    assert page.evaluate("parts.undone.length") == 2


def test_what_was_said_before_counts_again_after_an_undo(page):
    press(open_dialog(page, "bee"), "Yes, right")
    expect(notice(page)).to_be_visible()
    page.locator("#open").click()
    press(page.locator("dialog"), "lemon")
    expect(page.locator("dialog")).to_have_count(0)
    notice(page).get_by_role("button", name="Undo").click()

    expect(notice(page)).to_have_text("Undone.")
    assert corrections(page)[0]["verdict"] == "right"


def test_an_undo_that_fails_is_told_and_can_be_tried_again(page):
    plan(page, "failures", "undoFeedback", [{"status": 503, "detail": "The service is busy."}])
    press(open_dialog(page, "bee"), "Yes, right")
    notice(page).get_by_role("button", name="Undo").click()
    expect(notice(page)).to_contain_text("Could not undo: The service is busy.")
    assert corrections(page)[0]["verdict"] == "right"
    notice(page).get_by_role("button", name="Try again").click()

    expect(notice(page)).to_have_text("Undone.")
    assert corrections(page) == [None]


def test_the_page_can_offer_the_undo_itself_and_what_is_gone_counts_as_undone(page):
    page.evaluate(
        """async () => {
          await parts.setItems(["bee"], { correction: { id: "gone", verdict: "none" } });
          const { api, items } = parts;
          parts.showUndo({ api, items, onUndone: (all) => parts.undone.push(...all) });
        }"""
    )
    notice(page).get_by_role("button", name="Undo").press("Enter")

    expect(notice(page)).to_have_text("Undone.")
    assert corrections(page) == [None]
    assert page.evaluate("parts.undone.length") == 1


def test_the_notice_leaves_after_eight_seconds_but_not_while_it_has_the_focus(page):
    page.clock.install()
    press(open_dialog(page, "bee"), "Yes, right")
    undo = notice(page).get_by_role("button", name="Undo")
    undo.focus()
    page.clock.run_for(20_000)
    undo.hover()
    page.mouse.move(5, 5)
    page.clock.run_for(20_000)
    expect(undo).to_be_focused()
    page.locator("#open").focus()
    page.clock.run_for(500)
    expect(notice(page)).to_be_visible()
    page.clock.run_for(8_000)
    expect(notice(page)).to_have_count(0)
    page.keyboard.press("Control+z")
    assert sent(page, "undoFeedback") == []


def test_control_z_in_a_text_field_undoes_the_text_only(page):
    press(open_dialog(page, "bee"), "Yes, right")
    page.evaluate("document.body.append(document.createElement('textarea'))")
    page.locator("textarea").press("Control+z")

    assert sent(page, "undoFeedback") == []


def test_a_correction_of_the_past_is_shown_and_can_be_taken_back(page):
    page.evaluate(
        """parts.api.kept.set("old", {});
        const correction = { id: "old", verdict: "other", label: "my bee" };
        parts.setItems(["bee"], { correction });"""
    )
    until(page, "parts.items.length === 1")
    page.locator("#open").click()
    dialog = page.locator("dialog")
    expect(dialog).to_contain_text("You said: my bee.")
    press(dialog, "Take it back")

    expect(notice(page)).to_have_text("Undone.")
    assert corrections(page) == [None]
    assert result(page) is None
    assert page.evaluate("parts.undone.length") == 1


def test_the_focus_stays_in_the_dialog_and_keys_do_not_reach_the_page(page):
    dialog = open_dialog(page, "bee")
    for key in ["Tab"] * 15 + ["Shift+Tab"] * 15:
        page.keyboard.press(key)
        assert page.evaluate(
            "document.activeElement === document.body || !!document.activeElement.closest('dialog')"
        )
    search(dialog).focus()
    page.evaluate("parts.keys.length = 0")
    page.keyboard.type("rc")

    assert page.evaluate("parts.keys") == []


def test_a_click_beside_the_dialog_closes_it_but_a_drag_out_of_it_does_not(page):
    dialog = open_dialog(page, "bee")
    search(dialog).hover()
    page.mouse.down()
    page.mouse.move(20, 20)
    page.mouse.up()
    expect(dialog).to_be_visible()
    page.mouse.click(20, 20)

    expect(dialog).to_have_count(0)
    assert result(page) is None


def test_inside_a_shadow_tree_dialog_and_notice_look_the_same(profile, address):
    page = open_parts(profile, address, "?bare&shadow")
    dialog = open_dialog(page, "bee")
    expect(dialog).to_have_css("width", "704px")
    page.keyboard.type("x")
    search(dialog).fill("cat")
    options(dialog).first.click()

    expect(notice(page)).to_have_css("position", "fixed")
    expect(page.locator("#open")).to_be_focused()


def test_a_picture_that_the_browser_cannot_show_leaves_an_empty_frame(page):
    page.evaluate("parts.setItems(['bee']).then(() => { parts.items[0].thumbnail = '/none'; })")
    until(page, "parts.items[0]?.thumbnail === '/none'")
    page.route("**/none", lambda route: route.fulfill(body="", content_type="image/png"))
    page.locator("#open").click()

    expect(page.locator("dialog .w-correct-blank")).to_be_visible()
    expect(page.locator("dialog img")).to_have_count(0)


@pytest.mark.extended
@pytest.mark.parametrize("look", LOOKS)
def test_it_is_large_enough_and_breaks_no_accessibility_rule(browser, address, look):
    with open_profile(browser, address, look) as context:
        page = open_parts(context, address, "?bare")
        plan(page, "failures", "sendFeedback", [{"status": 503, "detail": "The service is busy."}])
        dialog = open_dialog(page, "citrus", "bee")
        press(dialog, "banana")
        dialog.get_by_role("alert").get_by_role("button").wait_for()
        search(dialog).fill("cat")
        options(dialog).first.wait_for()
        page.keyboard.press("ArrowDown")
        within = dialog.bounding_box()
        assert broken_rules(page) == []
        assert small_targets(page, "dialog") == []
        assert sideways_scroll(page) <= 0
        assert within is not None
        assert within["width"] <= page.evaluate("innerWidth")

        press(dialog, "Try again")
        notice(page).get_by_role("button", name="Undo").wait_for()
        assert wait_until(lambda: "saved" in notice(page).inner_text())
        assert broken_rules(page) == []
        assert small_targets(page, ".w-correct-notice") == []
        assert sideways_scroll(page) <= 0
