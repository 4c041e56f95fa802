"""Floods of the page, small enough for every day: the API answers all the same.

`tests.hostile.page_floods` has them in full.
"""

import asyncio
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.hostile.page_floods import Address, Felt, Flood, endure, many_reruns, many_views
from tests.running import RunningServer, start_server

SECONDS = 2.0
_numbers = count(7_000_000)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The page as well, with its defaults."""
    with start_server(tmp_path_factory.mktemp("flooded"), model="efficientnet-lite2") as running:
        yield running


def felt_by_others(server: RunningServer, flood: Flood) -> Felt:
    page = urlsplit(server.url)
    where = Address(str(page.hostname), page.port or 80)
    pids = [server.process.pid]
    return asyncio.run(endure(flood, where, where, pids, SECONDS, _numbers))


def threads(server: RunningServer) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/task").iterdir()))


# On the old ways none of these was answered within 40 s, however quick the machine.
@pytest.mark.parametrize(
    "flood",
    [partial(many_reruns, messages=2_000), partial(many_views, views=200)],
    ids=["reruns", "views"],
)
def test_a_flooded_page_does_not_starve_the_api(server, flood):
    before = threads(server)
    felt = felt_by_others(server, flood)

    assert felt.failed == 0
    assert len(felt.health_seconds) > 1
    assert max(felt.health_seconds) < 5
    assert max(felt.answer_seconds) < 5
    assert felt.calm_seconds < 10
    assert felt.more_bytes < 100e6
    assert (
        threads(server) < before + 40
    )  # those of static files and of waiting scripts would add up
    assert "Traceback" not in server.log
