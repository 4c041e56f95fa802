"""The earlier answers of a browser, as a person sees and forgets them."""

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

# Everything in the database, read past the code under test.
_STORED = """new Promise((resolve, reject) => {
  const opening = indexedDB.open("whatsit-history");
  opening.onerror = () => reject(opening.error);
  opening.onsuccess = () => {
    const all = opening.result.transaction("answers").objectStore("answers").getAll();
    all.onsuccess = async () => {
      opening.result.close();
      resolve(await Promise.all(all.result.map(async (entry) => {
        const picture = entry.thumbnail && await createImageBitmap(entry.thumbnail);
        return { ...entry, thumbnail: picture && [picture.width, picture.height] };
      })));
    };
  };
})"""
_MINUTE = 60_000
_DAY = 24 * 60 * _MINUTE


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
    return open_parts(profile, address)


def answer(page: Page, *pictures: str, at: int | None = None, key: str | None = None) -> None:
    """Let pictures be answered, oldest first, and wait until they are kept."""
    page.evaluate(
        """async ([names, when, key]) => {
          for (const name of names) {
            const at = when ?? Date.now();
            const item = await parts.itemOf(name, { at, sha256: key ?? undefined });
            await parts.history.add(item, item.blob);
          }
        }""",
        [list(pictures), at, key],
    )


def answer_many(page: Page, count: int) -> None:
    """Let so many pictures be answered, a second apart, without thumbnails."""
    page.evaluate(
        """async (count) => {
          const item = await parts.itemOf("bee");
          const now = Date.now();
          for (let number = 0; number < count; number += 1) {
            const sha256 = String(number).padStart(64, "0");
            await parts.history.add({ ...item, blob: null, sha256, at: now + number * 1000 });
          }
        }""",
        count,
    )


def stored(page: Page) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = page.evaluate(_STORED)
    return entries


def entries(page: Page) -> Locator:
    return page.locator(".w-history").get_by_role("listitem")


def open_button(page: Page, sentence: str) -> Locator:
    return page.locator(".w-history-open").filter(has_text=sentence)


def forget_all(page: Page) -> None:
    page.get_by_role("button", name="Forget all").click()
    page.get_by_role("button", name="Yes, forget").click()
    expect(page.get_by_text("No answers yet.")).to_be_visible()


def test_an_answer_is_kept_with_a_small_picture_over_a_reload(page):
    expect(page.get_by_text("No answers yet.")).to_be_visible()
    expect(page.get_by_role("button", name="Forget all")).to_be_hidden()
    answer(page, "citrus", "cat")
    assert page.evaluate("parts.history.entries.size") == 2
    page.reload()

    expect(entries(page)).to_have_count(2)
    expect(entries(page).first).to_contain_text("A tabby cat (82 %).")
    expect(page.get_by_role("heading", name="Today")).to_be_visible()
    expect(entries(page).first.locator("img")).to_have_js_property("complete", True)
    first, second = stored(page)
    for entry in (first, second):
        assert max(entry["thumbnail"]) == 320
        assert min(entry["thumbnail"]) < 320
    assert {first["label"], second["label"]} == {"orange", "tabby cat"}


def test_a_picture_asked_again_stands_in_the_list_once_and_on_top(page):
    answer(page, "citrus", "cat", "citrus")

    expect(entries(page)).to_have_count(2)
    expect(entries(page).first).to_contain_text("An orange")


def test_what_is_small_stays_as_it_is_and_what_is_no_picture_has_none(page):
    page.evaluate(
        """async () => {
          const canvas = document.createElement("canvas");
          canvas.width = canvas.height = 100;
          const small = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
          await parts.history.add(await parts.itemOf("bee"), small);
          await parts.history.add(await parts.itemOf("cat"), new Blob(["no picture"]));
          await parts.history.add({ ...await parts.itemOf("coffee"), reply: null, problem: {} });
        }"""
    )

    assert {entry["label"]: entry["thumbnail"] for entry in stored(page)} == {
        "bee": [100, 100],
        "tabby cat": None,
    }
    expect(entries(page)).to_have_count(2)


def test_the_oldest_of_300_leave_and_the_list_unfolds_in_parts(page):
    answer_many(page, 303)
    expect(entries(page)).to_have_count(30)
    page.get_by_role("button", name="Show 270 older answers").click()
    expect(entries(page)).to_have_count(90)
    expect(entries(page).nth(30).get_by_role("button").first).to_be_focused()

    assert page.evaluate("parts.history.entries.size") == 300
    assert min(entry["sha256"] for entry in stored(page)) == "3".zfill(64)
    page.reload()
    until(page, "window.parts?.history.entries.size === 300")


def test_days_and_times_are_told_in_words(page):
    page.clock.set_fixed_time("2026-05-13T12:30:00")  # a Wednesday
    now = page.evaluate("Date.now()")
    pasts = [0, 5 * _MINUTE, 3 * 60 * _MINUTE, 13 * 60 * _MINUTE, 4 * _DAY, 60 * _DAY, 500 * _DAY]
    for number, past in enumerate(pasts):
        answer(page, "bee", at=now - past, key=str(number).zfill(64))

    days = page.locator(".w-history").get_by_role("heading", level=3)
    expect(days).to_have_text(["Today", "Yesterday", "Saturday", "March 14", "December 29, 2024"])
    times = page.locator(".w-history time")
    expect(times).to_have_text(
        ["now", "5 minutes ago", "3 hours ago", "11:30 PM", *["12:30 PM"] * 3]
    )
    page.clock.set_fixed_time("2026-05-14T12:40:00")
    page.reload()
    expect(days.first).to_have_text("Yesterday")


def test_the_time_goes_on_while_the_page_is_open(profile, address):
    profile.clock.install()
    page = open_parts(profile, address)
    answer(page, "bee")
    expect(page.locator(".w-history time")).to_have_text("now")
    page.clock.run_for(3 * _MINUTE + 40_000)

    expect(page.locator(".w-history time")).to_have_text("3 minutes ago")


def test_an_entry_opens_with_all_that_is_needed_to_show_it(page):
    answer(page, "citrus")
    page.evaluate(
        """async () => {
          const correction = { id: "1", verdict: "other", label: "lemon", wnid: "n07749582" };
          await parts.history.update(await parts.itemOf("citrus", { correction }));
        }"""
    )
    page.reload()
    open_button(page, "An orange").click()

    entry = page.evaluate("({ ...parts.opened[0], thumbnail: parts.opened[0].thumbnail.type })")
    assert entry["name"] == "citrus.jpg"
    assert entry["sentence"] == "An orange (71 %), or a lemon."
    assert entry["thumbnail"] == "image/jpeg"
    assert entry["reply"]["top"][1]["label"] == "lemon"
    assert entry["correction"]["label"] == entry["reply"]["correction"]["label"] == "lemon"
    assert entry["sha256"] == entry["reply"]["image"]["sha256"]


def test_a_correction_is_shown_until_it_is_taken_back(page):
    answer(page, "cat", "citrus")
    page.evaluate(
        """async () => {
          await parts.setItems(["cat"], { correction: { id: "1", verdict: "none", label: null } });
          await parts.history.update(parts.items[0]);
          await parts.history.update(await parts.itemOf("bee"));  // not in the list
        }"""
    )
    expect(open_button(page, "A tabby cat")).to_contain_text("You said: none of these")
    expect(entries(page)).to_have_count(2)
    expect(entries(page).first).to_contain_text("An orange")  # correcting moves nothing
    page.evaluate("delete parts.items[0].reply.correction; parts.history.update(parts.items[0])")

    expect(open_button(page, "A tabby cat")).not_to_contain_text("You said")


def test_one_entry_can_be_removed_and_the_focus_goes_to_the_next(page):
    answer(page, "bee", "cat", "citrus")
    page.get_by_role("button", name="Remove: A tabby cat (82 %).").press("Enter")
    expect(entries(page)).to_have_count(2)
    expect(page.get_by_role("button", name="Remove: A bee (97 %).")).to_be_focused()
    expect(page.get_by_role("status").filter(has_text="Removed.")).to_be_attached()
    assert {entry["label"] for entry in stored(page)} == {"bee", "orange"}
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="Earlier answers")).to_be_focused()
    expect(entries(page)).to_have_count(0)
    assert wait_until(lambda: stored(page) == [])


def test_forgetting_all_asks_first_and_leaves_an_empty_database(page):
    answer(page, "bee", "cat")
    page.get_by_role("button", name="Forget all").press("Enter")
    question = page.get_by_role("group", name="Forget all 2 answers?")
    expect(question.get_by_role("button", name="Keep them")).to_be_focused()
    page.keyboard.press("Escape")
    expect(question).to_be_hidden()
    expect(page.get_by_role("button", name="Forget all")).to_be_focused()
    assert len(stored(page)) == 2

    page.keyboard.press("Enter")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No answers yet.")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="Forgotten.")).to_be_attached()
    expect(page.get_by_role("heading", name="Earlier answers")).to_be_focused()
    assert stored(page) == []
    page.reload()
    expect(page.get_by_text("No answers yet.")).to_be_visible()


def test_forgetting_reaches_what_is_just_being_added(page):
    page.evaluate(
        """async () => {
          const item = await parts.itemOf("bee");
          const adding = parts.history.add(item, item.blob);  // its picture is being made small
          await Promise.all([parts.history.forgetAll(), adding]);
        }"""
    )

    assert stored(page) == []
    assert page.evaluate("parts.history.entries.size") == 0


@pytest.mark.extended
def test_two_tabs_stay_in_step(profile, address, page):
    other = open_parts(profile, address)
    answer(page, "bee", "cat")
    expect(entries(other)).to_have_count(2)
    page.evaluate(
        """async () => {
          const correction = { id: "1", verdict: "right", label: "bee", wnid: null };
          await parts.history.update(await parts.itemOf("bee", { correction }));
        }"""
    )
    expect(open_button(other, "A bee")).to_contain_text("You said that this is right")
    other.get_by_role("button", name="Remove: A bee").click()
    expect(entries(page)).to_have_count(1)

    other.get_by_role("button", name="Forget all").click()
    expect(other.get_by_role("group", name="Forget this answer?")).to_be_visible()
    forget_all(page)
    expect(other.get_by_text("No answers yet.")).to_be_visible()
    expect(other.get_by_role("group", name="Forget")).to_be_hidden()
    assert stored(other) == []


def test_without_a_channel_the_tabs_meet_when_one_comes_to_the_front(profile, address):
    profile.add_init_script("delete window.BroadcastChannel")
    page = open_parts(profile, address)
    other = open_parts(profile, address)
    answer(page, "bee")
    expect(entries(other)).to_have_count(0)
    other.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    expect(entries(other)).to_have_count(1)


@pytest.mark.extended
@pytest.mark.parametrize(
    "refusal",
    [
        "delete window.indexedDB; window.indexedDB = undefined",
        "Object.defineProperty(window, 'indexedDB', "
        "{ get() { throw new DOMException('no', 'SecurityError'); } })",
        "IDBFactory.prototype.open = () => { throw new DOMException('no', 'InvalidStateError'); }",
    ],
)
def test_a_browser_that_keeps_nothing_is_told_and_the_list_works_until_the_end(
    profile, address, refusal
):
    profile.add_init_script(refusal)
    page = open_parts(profile, address)
    expect(page.get_by_text("This browser does not keep data for this page")).to_be_visible()
    answer(page, "bee", "cat")
    expect(entries(page)).to_have_count(2)
    page.get_by_role("button", name="Remove: A bee").click()
    expect(entries(page)).to_have_count(1)
    forget_all(page)
    answer(page, "bee")
    page.reload()

    expect(page.get_by_text("No answers yet.")).to_be_visible()


def test_a_full_storage_is_told_and_nothing_breaks(profile, address, page):
    chromium = profile.new_cdp_session(page)
    origin = address.rstrip("/")
    # A quota counts from the first write on; later, the browser remembers for a while.
    chromium.send("Storage.overrideQuotaForOrigin", {"origin": origin, "quotaSize": 1})
    answer(page, "bee", "cat")
    expect(page.get_by_text("The browser's storage is full.")).to_be_visible()
    expect(entries(page)).to_have_count(2)
    expect(entries(page).first.locator("img")).to_be_visible()
    open_button(page, "A tabby cat").click()
    assert page.evaluate("parts.opened[0].label") == "tabby cat"
    assert stored(page) == []

    chromium.send("Storage.overrideQuotaForOrigin", {"origin": origin})
    answer(page, "citrus")
    expect(page.get_by_text("The browser's storage is full.")).to_be_hidden()
    page.reload()
    expect(entries(page)).to_have_count(1)
    expect(open_button(page, "An orange")).to_be_visible()


def test_where_there_is_no_room_the_oldest_leave_first(profile, address):
    profile.add_init_script(
        """const put = IDBObjectStore.prototype.put;
        window.refusals = 0;
        IDBObjectStore.prototype.put = function (entry) {
          if (refusals-- > 0) throw new DOMException("full", "QuotaExceededError");
          return put.call(this, entry);
        };"""
    )
    page = open_parts(profile, address)
    answer_many(page, 12)
    page.evaluate("refusals = 2")
    answer(page, "cat", at=page.evaluate("Date.now() + 3600000"))

    expect(entries(page)).to_have_count(3)
    assert [entry["label"] for entry in stored(page)].count("tabby cat") == 1
    assert len(stored(page)) == 3


def test_blobs_that_a_browser_does_not_take_cost_the_picture_only(profile, address):
    profile.add_init_script(
        """const put = IDBObjectStore.prototype.put;
        IDBObjectStore.prototype.put = function (entry) {
          if (entry.thumbnail) throw new DOMException("no blobs here", "DataCloneError");
          return put.call(this, entry);
        };"""
    )
    page = open_parts(profile, address)
    answer(page, "bee")

    assert [entry["thumbnail"] for entry in stored(page)] == [None]
    expect(page.locator(".w-history-trouble")).to_be_empty()


def test_a_newer_version_in_another_tab_is_let_in_and_works_on_here(profile, address, page):
    answer(page, "bee")
    other = open_parts(profile, address, "?bare")
    was_blocked = other.evaluate(
        """new Promise((resolve, reject) => {
          const opening = indexedDB.open("whatsit-history", 7);
          opening.onblocked = () => resolve(true);
          opening.onerror = () => reject(opening.error);
          opening.onupgradeneeded = () => opening.result.createObjectStore("more");
          opening.onsuccess = () => { opening.result.close(); resolve(false); };
        })"""
    )
    assert was_blocked is False
    answer(page, "cat")
    assert {entry["label"] for entry in stored(page)} == {"bee", "tabby cat"}
    page.reload()

    expect(entries(page)).to_have_count(2)


def test_a_database_of_another_make_is_left_alone(profile, address):
    before = open_parts(profile, address, "?bare")
    before.evaluate(
        """new Promise((resolve) => {
          const opening = indexedDB.open("whatsit-history", 9);
          opening.onupgradeneeded = () => opening.result.createObjectStore("theirs");
          opening.onsuccess = () => { opening.result.close(); resolve(); };
        })"""
    )
    page = open_parts(profile, address)
    answer(page, "bee")

    expect(page.get_by_text("This browser does not keep data for this page")).to_be_visible()
    expect(entries(page)).to_have_count(1)


def test_pictures_are_read_when_they_come_into_view_and_let_go_at_once(profile, address):
    profile.add_init_script(
        """window.made = 0; window.alive = 0;
        const { createObjectURL, revokeObjectURL } = URL;
        URL.createObjectURL = (blob) => { made += 1; alive += 1; return createObjectURL(blob); };
        URL.revokeObjectURL = (address) => { alive -= 1; revokeObjectURL(address); };"""
    )
    page = open_parts(profile, address)
    for number in range(24):
        answer(page, "bee", key=str(number).zfill(64), at=1_700_000_000_000 + number)
    page.set_viewport_size({"width": 390, "height": 400})
    page.reload()
    expect(entries(page)).to_have_count(24)
    until(page, "window.made > 0 && alive === 0")
    assert page.evaluate("made") < 16
    entries(page).last.scroll_into_view_if_needed()
    expect(entries(page).last.locator("img")).to_be_visible()
    until(page, "alive === 0")


def test_a_new_answer_does_not_take_the_focus_from_the_list(page):
    answer(page, "bee", "cat")
    remove = page.get_by_role("button", name="Remove: A bee")
    remove.focus()
    answer(page, "citrus")
    expect(entries(page)).to_have_count(3)
    expect(remove).to_be_focused()


def test_a_list_that_is_given_up_leaves_nothing_behind(page):
    answer(page, "bee")
    page.evaluate("parts.history.destroy(); parts.list.destroy()")

    expect(page.locator(".w-history")).to_have_count(0)
    assert len(stored(page)) == 1


@pytest.mark.extended
@pytest.mark.parametrize("look", LOOKS)
def test_it_is_large_enough_and_breaks_no_accessibility_rule(browser, address, look):
    with open_profile(browser, address, look) as context:
        page = open_parts(context, address)
        assert broken_rules(page) == []
        answer(page, "bee", "unknown")
        answer(page, "cat", at=1_600_000_000_000)
        correction = "{ correction: { id: '1', verdict: 'other', label: 'a'.repeat(80) } }"
        page.evaluate(f"parts.itemOf('bee', {correction}).then((one) => parts.history.update(one))")
        page.get_by_role("button", name="Forget all").click()
        expect(entries(page)).to_have_count(3)
        expect(page.get_by_text("You said: aaaa")).to_be_visible()

        assert broken_rules(page) == []
        assert small_targets(page, ".w-history") == []
        assert sideways_scroll(page) <= 0
