"""``make soak``: mixed load for ten minutes, to see if memory stays flat.

Known, re-tagged, new and broken pictures come at an even rate, and now and then a real browser
opens the page. The line through the second half of the samples gives the slope.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np

from bench.page import open_page
from tests.support.load import Request, open_loop, post
from tests.support.pictures import known_pictures, new_picture, with_comment
from tests.support.running import start_server

SLICE_SECONDS = 15.0
PAGE_EVERY_SLICES = 4
CONNECTIONS = 16
MEMORY_ENTRIES = "200"
"""Few enough to be full in the first half: a cache that fills is not a leak."""


def main() -> int:
    """Run it; exit status 1 if memory grows faster than the limit or an answer is invalid."""
    parser = argparse.ArgumentParser(prog="make soak")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--per-second", type=float, default=20.0, help="requests")
    parser.add_argument("--limit", type=float, default=1.0, help="slope, MB a minute")
    parser.add_argument("--no-page", action="store_true", help="leave the browser out")
    options = parser.parse_args()
    if not 0 < options.minutes <= 120 or not 0 < options.per_second <= 200:
        parser.error("At most 120 minutes and 200 requests a second.")
    statuses: Counter[str] = Counter()
    with (
        tempfile.TemporaryDirectory(prefix="whatsit-soak-") as home,
        start_server(
            Path(home),
            model="efficientnet-lite2",
            environment={"WHATSIT_CACHE_MEMORY_ENTRIES": MEMORY_ENTRIES},
        ) as server,
    ):
        requests = _mixed(f"{server.url}/api/v1/classify")
        samples: list[tuple[float, float]] = []
        start = time.monotonic()
        for number in range(max(4, round(options.minutes * 60 / SLICE_SECONDS))):
            if number % PAGE_EVERY_SLICES == 0 and not options.no_page:
                open_page(server.url)
            load = open_loop(requests, options.per_second, SLICE_SECONDS, CONNECTIONS)
            for outcome in load.outcomes:
                statuses[f"{outcome.name} {outcome.error or outcome.status}"] += 1
            minutes, megabytes = (time.monotonic() - start) / 60, server.resident_bytes() / 1e6
            samples.append((minutes, megabytes))
            print(f"{minutes:6.2f} min {megabytes:8.1f} MB", flush=True)
    return _judge(samples, statuses, options.limit)


def _judge(samples: list[tuple[float, float]], statuses: Counter[str], limit: float) -> int:
    minutes, megabytes = np.array(samples[len(samples) // 2 :]).T
    slope = float(np.polyfit(minutes, megabytes, 1)[0])
    for what, times in sorted(statuses.items()):
        print(f"{times:8} x {what}")
    unexpected = [what for what in statuses if what not in _EXPECTED]
    print(f"slope of the second half: {slope:+.2f} MB a minute; the limit is {limit:.2f}")
    if unexpected:
        print(f"unexpected: {', '.join(sorted(unexpected))}")
    return int(slope > limit or bool(unexpected))


_EXPECTED = frozenset({"known 200", "new 200", "re-tagged 200", "broken 400"})


def _mixed(url: str) -> Iterator[Request]:
    dice, known = random.Random(11), list(known_pictures().values())
    for number in count():
        picture = dice.choice(known)
        kind = dice.choices(["known", "new", "re-tagged", "broken"], [70, 15, 10, 5])[0]
        if kind == "new":
            picture = new_picture(number)
        elif kind == "re-tagged":
            picture = with_comment(picture, f"{number}")
        elif kind == "broken":
            picture = picture[: dice.randrange(len(picture) // 2)]
        yield post(url, picture, kind)


if __name__ == "__main__":
    sys.exit(main())
