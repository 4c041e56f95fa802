"""The page in a real browser: from a chosen file to the sentence, and 200 pictures at once."""

import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, FilePayload, Page, sync_playwright

from scripts.install_browser import find_browser

ROUNDS = 10
MANY = 200

_WATCH = """
() => {
  window.times = {};
  const seen = (name) => (window.times[name] ??= performance.now() - window.chosenAt);
  document.addEventListener("change", (event) => {
    if (event.target.type !== "file") return;
    window.chosenAt = performance.now();
    window.times = {};
    window.longest = 0;
  }, true);
  window.answered = 0;
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) {
      window.longest = Math.max(window.longest ?? 0, duration);
    }
  }).observe({ type: "longtask" });
  const look = () => {
    const sentence = document.querySelector(".w-sentence:not(.w-thinking)");
    if (sentence !== null && sentence !== window.before) {
      window.before = sentence;
      seen("sentence");
    }
    const thumbnail = document.querySelector(".w-tile img");
    if (thumbnail !== null && thumbnail.complete) seen("thumbnail");
    requestAnimationFrame(look);
  };
  look();
}
"""


_PARTS = """
() => {
  const answers = performance.getEntriesByType("resource")
    .filter(({ name, startTime }) => name.includes("/api/v1/") && startTime >= window.chosenAt);
  const first = answers.find(({ serverTiming }) => serverTiming.length > 0);
  const stage = first?.serverTiming.find(({ name }) => name === "total");
  const drawn = window.chosenAt + window.times.sentence;
  return first === undefined ? null : {
    before: first.startTime - window.chosenAt,
    request: first.responseEnd - first.startTime,
    server: stage?.duration ?? 0,
    after: drawn - first.responseEnd,
  };
}
"""


def open_page(url: str) -> None:
    """Open the page, let it answer an example, and close it again."""
    with _open_browser() as browser:
        page = browser.new_page()
        page.goto(url)
        page.get_by_role("button", name="cat").click()
        page.get_by_role("list", name="Best guesses").wait_for()


def time_sentences(url: str, pictures: Sequence[bytes]) -> dict[str, float]:
    """Milliseconds from a file being chosen to its sentence being drawn, medians.

    Args:
        url: Of the page.
        pictures: That the server has not seen; each is shown twice.

    Returns:
        ``page_new_ms`` and ``page_known_ms``; of each, in ``page_new_before_ms`` and so on, what
        passes ``before`` the request, in the ``request``, of that in the ``server``, and
        ``after`` it until the sentence is drawn.
    """
    whole: dict[str, list[float]] = {"new": [], "known": []}
    parts: dict[str, list[float]] = {}
    with _open_browser() as browser:
        for number, picture in enumerate(pictures[:ROUNDS]):
            file: FilePayload = {
                "name": f"{number}.jpg",
                "mimeType": "image/jpeg",
                "buffer": picture,
            }
            for what, times in whole.items():
                page = _open_watched(browser, url)
                page.locator("input[type=file]").first.set_input_files(file)
                page.wait_for_function("() => window.times.sentence !== undefined")
                times.append(float(page.evaluate("() => window.times.sentence")))
                for part, milliseconds in page.evaluate(_PARTS).items():
                    parts.setdefault(f"page_{what}_{part}_ms", []).append(float(milliseconds))
                page.close()
    figures = {f"page_{what}_ms": times for what, times in whole.items()} | parts
    return {name: statistics.median(values) for name, values in figures.items()}


def time_many(url: str, folder: Path, pictures: Sequence[bytes]) -> dict[str, float]:
    """The cost of 200 pictures at once: time, and memory of the browser's tab.

    Args:
        url: Of the page.
        folder: Where to put the pictures, to be chosen from there.
        pictures: As many as there are, over and over.
    """
    folder.mkdir(exist_ok=True)
    files = []
    for number in range(MANY):
        file = folder / f"{number:03}.jpg"
        file.write_bytes(pictures[number % len(pictures)])
        files.append(file)
    with _open_browser() as browser:
        page = _open_watched(browser, url)
        before = _browser_bytes()
        page.locator("input[type=file]").first.set_input_files(files)
        page.get_by_text(f"{MANY} answered", exact=True).wait_for(timeout=120_000)
        page.wait_for_function("() => window.times.thumbnail !== undefined")
        last = float(page.evaluate("() => performance.now() - window.chosenAt"))
        held = _browser_bytes()
        figures = {
            "many_thumbnail_ms": float(page.evaluate("() => window.times.thumbnail")),
            "many_all_ms": last,
            "many_longest_task_ms": float(page.evaluate("() => window.longest ?? 0")),
            "many_held_mb": (held - before) / 1e6,
        }
        page.reload()
        page.get_by_role("button", name="Choose pictures").wait_for()
        page.request_gc()
        page.wait_for_timeout(3_000)
        figures["many_left_mb"] = (_browser_bytes() - before) / 1e6
        return figures


@contextmanager
def _open_browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        yield browser
        browser.close()


def _open_watched(browser: Browser, url: str) -> Page:
    page = browser.new_page()
    page.goto(url)
    page.get_by_role("button", name="Choose pictures").wait_for()
    page.evaluate(_WATCH)
    return page


def _browser_bytes() -> int:
    """Memory of all processes of the browser; what they share is counted once."""
    found = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"chrom" in (process / "cmdline").read_bytes():
                rollup = (process / "smaps_rollup").read_text()
                found += int(rollup.split("Pss:")[1].split()[0]) * 1024
        except (OSError, IndexError):
            continue  # it has ended meanwhile
    return found
