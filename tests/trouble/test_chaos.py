"""A minute in which everything happens to Redis, under steady load: only speed may suffer."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count, pairwise

from tests.support.load import Load, Outcome, Request, open_loop, percentile_ms, post
from tests.support.pictures import known_pictures, new_picture, with_comment
from tests.support.private_redis import PrivateRedis
from tests.support.running import start_server
from tests.trouble.answers import CLASSIFY, RightAnswer, compute_answers

KNOWN_SHARE, RETAGGED_SHARE = 0.8, 0.1  # the rest has pixels that nobody has sent before
REQUESTS_A_SECOND = 40
CONNECTIONS = 16
LAST_SECONDS = 2.0


@dataclass(frozen=True)
class Phase:
    """Something that happens to Redis, and for how long it lasts.

    Attributes:
        name: What it is called in the table.
        seconds: How long.
        happen: Does it.
        recovers: Whether hits must come back in it.
    """

    name: str
    seconds: float
    happen: Callable[[PrivateRedis], object]
    recovers: bool = False


def make_room_and_corrupt(private_redis: PrivateRedis) -> None:
    private_redis.make_room()
    assert private_redis.corrupt_everything() >= 20


PHASES = (
    Phase("healthy", 4, lambda redis: None, recovers=True),
    Phase("killed", 4, PrivateRedis.kill),
    Phase("restarted empty", 7, PrivateRedis.restart_empty, recovers=True),
    Phase("frozen", 10, PrivateRedis.freeze),
    Phase("thawed", 7, PrivateRedis.thaw, recovers=True),
    Phase("full", 4, PrivateRedis.fill),
    Phase("all values corrupted", 7, make_room_and_corrupt, recovers=True),
    Phase("healthy again", 4, lambda redis: None, recovers=True),
)


@dataclass(frozen=True)
class PhaseReport:
    """What was seen in one phase."""

    phase: Phase
    outcomes: list[Outcome]
    failed: list[Outcome]
    wrong: list[str]
    first_hit_seconds: float | None
    hit_ratio_at_end: float

    @property
    def p99_ms(self) -> float:
        return percentile_ms(self.outcomes, 99)

    def row(self) -> str:
        caches = Counter(outcome.cache for outcome in self.outcomes)
        first = "-" if self.first_hit_seconds is None else f"{self.first_hit_seconds:.2f}"
        return (
            f"{self.phase.name:<21}{len(self.outcomes):>9}{caches['hit']:>6}{caches['miss']:>8}"
            f"{caches['coalesced']:>11}{len(self.failed):>8}{len(self.wrong):>7}"
            f"{percentile_ms(self.outcomes, 50):>8.1f}{self.p99_ms:>8.1f}{first:>11}"
            f"{self.hit_ratio_at_end:>10.2f}"
        )


HEADING = (
    f"{'Redis is':<21}{'requests':>9}{'hits':>6}{'misses':>8}{'coalesced':>11}{'failed':>8}"
    f"{'wrong':>7}{'p50 ms':>8}{'p99 ms':>8}{'first hit':>11}{'hits end':>10}"
)


def test_no_trouble_of_redis_fails_a_request_or_changes_an_answer(tmp_path, private_redis, capsys):
    known = known_pictures()
    amount = int(sum(phase.seconds for phase in PHASES) * REQUESTS_A_SECOND * 0.2)
    new = {f"new {number}": new_picture(number) for number in range(amount)}
    environment = {
        "WHATSIT_REDIS_URL": private_redis.url,
        # Without its own memory the process has to ask Redis for every picture.
        "WHATSIT_CACHE_MEMORY_ENTRIES": "0",
    }
    with (
        private_redis,
        start_server(
            tmp_path, "--no-ui", model="efficientnet-lite2", environment=environment
        ) as server,
    ):
        right = compute_answers(server, known | new)
        requests = mixed_requests(f"{server.url}{CLASSIFY}", known, new, right)
        starts, load = run_phases(requests, private_redis)
        log = server.log
    reports = [
        report(phase, begin, end, load, right)
        for phase, (begin, end) in zip(PHASES, pairwise(starts), strict=True)
    ]
    table = "\n".join([HEADING, *(each.row() for each in reports)])
    with capsys.disabled():
        print(f"\n{table}\nnot sent: {load.unsent}, client {load.client_seconds:.1f} s of CPU")

    by_name = {each.phase.name: each for each in reports}
    assert [each.failed for each in reports if each.failed] == [], table
    assert [each.wrong for each in reports if each.wrong] == [], table
    assert load.unsent == 0, table
    assert by_name["frozen"].p99_ms < 1000, table
    for name in ("killed", "frozen"):  # else it was no trouble at all
        assert not any(outcome.cache == "hit" for outcome in by_name[name].outcomes), table
    for each in reports:
        if each.phase.recovers:
            assert each.first_hit_seconds is not None, table
            assert each.hit_ratio_at_end >= 0.9, table
    assert "Traceback" not in log


def mixed_requests(
    url: str, known: dict[str, bytes], new: dict[str, bytes], right: dict[str, RightAnswer]
) -> Iterator[Request]:
    """Known, re-tagged and new pictures, for ever; `right` learns the re-tagged ones."""
    dice = random.Random(4)
    names, unseen = list(known), iter(new)
    for number in count():
        chance, name = dice.random(), dice.choice(names)
        if chance >= KNOWN_SHARE + RETAGGED_SHARE:
            fresh = next(unseen)
            yield post(url, new[fresh], fresh)
        elif chance >= KNOWN_SHARE:
            retagged, title = with_comment(known[name], f"{number}"), f"{name}, tag {number}"
            right[title] = right[name].of_bytes(retagged)
            yield post(url, retagged, title)
        else:
            yield post(url, known[name], name)


def run_phases(
    requests: Iterator[Request], private_redis: PrivateRedis
) -> tuple[list[float], Load]:
    """When each phase began and the last one ended, and the load of all of them."""
    seconds = sum(phase.seconds for phase in PHASES) + 2
    starts = []
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(open_loop, requests, REQUESTS_A_SECOND, seconds, CONNECTIONS)
        try:
            for phase in PHASES:
                phase.happen(private_redis)
                starts.append(time.monotonic())
                time.sleep(phase.seconds)
            starts.append(time.monotonic())
        finally:
            private_redis.thaw_if_running()
        return starts, running.result()


def report(
    phase: Phase, begin: float, end: float, load: Load, right: dict[str, RightAnswer]
) -> PhaseReport:
    outcomes = [outcome for outcome in load.outcomes if begin <= outcome.sent_at < end]
    answered = [outcome for outcome in outcomes if outcome.status == 200]
    of_known = [outcome for outcome in answered if not outcome.name.startswith("new")]
    of_known = [outcome for outcome in of_known if ", tag" not in outcome.name]
    hits = [outcome for outcome in of_known if outcome.cache == "hit"]
    at_end = [outcome for outcome in of_known if outcome.sent_at >= end - LAST_SECONDS]
    return PhaseReport(
        phase,
        outcomes,
        [outcome for outcome in outcomes if outcome.status != 200],
        [wrong for each in answered if (wrong := right[each.name].is_wrong(each))],
        min((hit.sent_at + hit.seconds - begin for hit in hits), default=None),
        sum(outcome.cache == "hit" for outcome in at_end) / max(1, len(at_end)),
    )
