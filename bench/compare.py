"""Two checkouts side by side in one run: is what is here as quick as what was there before?

``python -m bench.compare OTHER`` needs a checkout whose ``make install`` has run. Both servers run
at the same time and are asked in turn, so that whatever else the machine does hits both; each round
gives one ratio, and the median of the ratios is printed with the middle half of them.
"""

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.__main__ import CLIENTS, load_pictures, repainted, time_start
from bench.load import ClientProcess
from tests.support.running import start_server

MODEL = "efficientnet-lite2"
ROUNDS = 12
STARTS = 6


@dataclass(frozen=True)
class Pair:
    """One figure of both checkouts, as often as it was measured; smaller is better."""

    here: list[float]
    there: list[float]

    def row(self, unit: str, factor: float) -> tuple[str, str, str]:
        """Medians and the ratio, as text."""
        ratios = [here / there for here, there in zip(self.here, self.there, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        here, there = statistics.median(self.here), statistics.median(self.there)
        return (
            f"{there * factor:.2f} {unit}",
            f"{here * factor:.2f} {unit}",
            f"{middle:.3f} ({low:.3f} to {high:.3f})",
        )


def main() -> int:
    """Measure both and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.compare")
    parser.add_argument("other", type=Path, help="the other checkout, installed")
    parser.add_argument("--pictures", type=Path, help="folder of JPEG photographs")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    shared = Path(os.environ.get("WHATSIT_SHARED", "../shared"))
    pictures = load_pictures(options.pictures or shared / "images" / "photos300")
    pythons = [Path(sys.executable), options.other.resolve() / ".venv" / "bin" / "python"]
    with tempfile.TemporaryDirectory(prefix="whatsit-compare-") as temporary:
        homes = [Path(temporary, name) for name in ("here", "there")]
        for home in homes:
            home.mkdir()
        starts = _in_turn(
            [
                partial(time_start, home, MODEL, python)
                for home, python in zip(homes, pythons, strict=True)
            ],
            STARTS,
        )
        figures = {"start to first right answer": (starts, "s", 1.0)}
        figures |= _measure(pythons, homes, pictures, options.rounds)
    table = Table(title="Medians, and the median of the ratios of each round (middle half)")
    for column in ("figure", "there", "here", "here / there"):
        table.add_column(column, justify="left" if column == "figure" else "right")
    for label, (pair, unit, factor) in figures.items():
        table.add_row(label, *pair.row(unit, factor))
    Console(width=100).print(table)
    return 0


def _measure(
    pythons: list[Path], homes: list[Path], pictures: list[bytes], rounds: int
) -> dict[str, tuple[Pair, str, float]]:
    with ExitStack() as stack:
        client = stack.enter_context(ClientProcess())
        servers = [
            stack.enter_context(start_server(home, model=MODEL, python=python))
            for python, home in zip(pythons, homes, strict=True)
        ]
        urls = [f"{server.url}/api/v1/classify" for server in servers]
        known = pictures[:50]
        batches = cycle([pictures[at : at + 40] for at in range(0, len(pictures) - 39, 40)])
        for url in urls:
            client.send_all(url, known * 4, CLIENTS)

        def seconds_each(bodies: Callable[[], list[bytes]], clients: int) -> Pair:
            def ask(url: str) -> float:
                load = client.send_all(url, bodies(), clients)
                if clients == 1:
                    return statistics.median(load.seconds)
                return load.elapsed_seconds / len(load.seconds)

            return _in_turn([partial(ask, url) for url in urls], rounds)

        def new() -> list[bytes]:
            return [repainted(picture) for picture in next(batches)]

        return {
            "known picture p50": (seconds_each(lambda: known * 16, 1), "ms", 1e3),
            f"known picture, {CLIENTS} clients, each": (
                seconds_each(lambda: known * 60, CLIENTS),
                "ms",
                1e3,
            ),
            "new picture p50": (seconds_each(new, 1), "ms", 1e3),
            f"new picture, {CLIENTS} clients, each": (
                seconds_each(lambda: new() + new() + new(), CLIENTS),
                "ms",
                1e3,
            ),
        }


def _in_turn(measurements: list[Callable[[], float]], rounds: int) -> Pair:
    """Measure both in every round, each of them first in half of the rounds."""
    here, there = measurements
    pairs: list[tuple[float, float]] = []
    for number in range(rounds):
        if number % 2:
            second = there()
            pairs.append((here(), second))
        else:
            pairs.append((here(), there()))
    return Pair([pair[0] for pair in pairs], [pair[1] for pair in pairs])


if __name__ == "__main__":
    sys.exit(main())
