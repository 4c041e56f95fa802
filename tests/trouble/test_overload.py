"""Ten times more new pictures than the server can answer: it answers what it can, refuses the rest.

Ten seconds of it by default; ``OVERLOAD_SECONDS=30`` makes it thirty.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

from tests.support.load import (
    Load,
    Outcome,
    Request,
    closed_loop,
    get,
    open_loop,
    percentile_ms,
    post,
)
from tests.support.pictures import small_bitmap
from tests.support.running import start_server
from tests.trouble.answers import CLASSIFY

OVERLOAD_SECONDS = float(os.environ.get("OVERLOAD_SECONDS", "10"))
OVERLOAD_RATIO = 10
CONNECTIONS = 400
HEADING = (
    f"{'':<12}{'sent':>8}{'answered':>10}{'refused':>9}{'lost':>6}{'p50 ms':>9}{'p99 ms':>9}"
    f"{'max ms':>9}"
)


def test_overload_is_refused_at_once_and_over_within_two_seconds(tmp_path, capsys):
    # All of the load comes from one address here.
    many = {"WHATSIT_MAX_CONNECTIONS_PER_ADDRESS": str(2 * CONNECTIONS)}
    with start_server(tmp_path, "--no-ui", model="efficientnet-lite2", environment=many) as server:
        requests = new_pictures(f"{server.url}{CLASSIFY}")
        closed_loop(requests, clients=4, seconds=1).require_ok()  # both forms of the model warm
        normal = closed_loop(requests, clients=1, seconds=1).require_ok()
        capacity = closed_loop(requests, clients=4, seconds=3).require_ok()
        offered = capacity.per_second * OVERLOAD_RATIO

        with ThreadPoolExecutor(1) as pool:
            health = get(f"{server.url}/healthz", "health")
            probes = pool.submit(open_loop, iter(lambda: health, None), 5, OVERLOAD_SECONDS, 4)
            load = open_loop(requests, offered, OVERLOAD_SECONDS, CONNECTIONS)
            probed = probes.result()
        recovery_seconds = seconds_until_normal(requests, normal)
        log = server.log

    answered = [outcome for outcome in load.outcomes if outcome.status == 200]
    refused = [outcome for outcome in load.outcomes if outcome.status == 503]
    lost = [outcome for outcome in load.outcomes if outcome.status is None]
    offered_ratio = len(load.outcomes) / OVERLOAD_SECONDS / capacity.per_second
    table = "\n".join(
        [
            HEADING,
            row("capacity", capacity),
            row("overload", load),
            row("health", probed),
            row("refusals", load, refused),
            row("accepted", load, answered),
            f"capacity {capacity.per_second:.0f}/s, really offered {offered_ratio:.1f} x of it "
            f"({load.unsent} not sent), accepted {len(answered) / OVERLOAD_SECONDS:.0f}/s, "
            f"client {load.client_seconds / load.elapsed_seconds:.2f} cores, normal again after "
            f"{recovery_seconds:.2f} s",
        ]
    )
    with capsys.disabled():
        print(f"\n{table}")

    kinds = Counter(outcome.error or outcome.status for outcome in load.outcomes)
    assert lost == [], kinds
    assert set(kinds) == {200, 503}, kinds
    assert [outcome.body for outcome in refused if not is_a_proper_refusal(outcome)] == []
    assert percentile_ms(answered, 99) < 2000, table
    # Refusing must not eat up what answering takes.
    assert len(answered) / OVERLOAD_SECONDS > capacity.per_second / 4, table
    assert {outcome.status for outcome in probed.outcomes} == {200}
    assert max(outcome.seconds for outcome in probed.outcomes) < 0.5, table
    assert recovery_seconds < 2, table
    assert "Traceback" not in log


def new_pictures(url: str) -> Iterator[Request]:
    return (post(url, small_bitmap(number), str(number)) for number in count())


def is_a_proper_refusal(outcome: Outcome) -> bool:
    seconds = outcome.header("Retry-After") or ""
    return (
        outcome.header("Content-Type") == "application/problem+json"
        and outcome.document["code"] == "overloaded"
        and outcome.document["status"] == 503
        and seconds.isdigit()
        and int(seconds) >= 1
    )


def seconds_until_normal(requests: Iterator[Request], normal: Load) -> float:
    """Until a new picture is answered about as quickly as before the load."""
    start = time.monotonic()
    usual_seconds = max(3 * normal.percentile_ms(50) / 1000, 0.1)
    while time.monotonic() < start + 20:
        (outcome,) = closed_loop([next(requests)]).outcomes
        if outcome.status == 200 and outcome.seconds <= usual_seconds:
            return time.monotonic() - start
        time.sleep(0.05)
    return float("inf")


def row(what: str, load: Load, outcomes: list[Outcome] | None = None) -> str:
    shown = list(load.outcomes) if outcomes is None else outcomes
    statuses = Counter(outcome.status for outcome in shown)
    return (
        f"{what:<12}{len(shown):>8}{statuses[200]:>10}{statuses[503]:>9}{statuses[None]:>6}"
        f"{percentile_ms(shown, 50):>9.1f}{percentile_ms(shown, 99):>9.1f}"
        f"{percentile_ms(shown, 100):>9.1f}"
    )
