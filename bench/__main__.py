"""``make bench``: start, memory, new and known pictures, each beside its floor in the same run."""

import argparse
import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from bench.load import Load, send_all
from tests.running import RunningServer, start_server
from whatsit.cache.embedded import EmbeddedValkey
from whatsit.classifier import Classifier
from whatsit.data import example_pictures
from whatsit.images import decode_image
from whatsit.models.store import ModelStore
from whatsit.preprocess import fit_image, to_batch

ROUNDS = 5
CLIENTS = 8


def main() -> int:
    """Run every measurement for each model and print the table; JSON goes to bench/results."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--pictures", type=Path, help="folder of JPEG photographs")
    parser.add_argument("--models", nargs="*", help="names; default: the bundled one and resnet50")
    options = parser.parse_args()
    shared = Path(os.environ.get("WHATSIT_SHARED", "../shared"))
    pictures = _load_pictures(options.pictures or shared / "images" / "photos300")
    report: dict[str, Any] = {
        "machine": {"cores": os.cpu_count(), "processor": platform.processor() or "unknown"},
        "pictures": {"count": len(pictures), "mean_bytes": statistics.mean(map(len, pictures))},
        "models": {},
    }
    with tempfile.TemporaryDirectory(prefix="whatsit-bench-") as temporary:
        home = Path(temporary)
        names = ["efficientnet-lite2"]
        if (shared / "models" / "resnet50-tf").is_dir():
            ModelStore(home).add(shared / "models" / "resnet50-tf")
            names.append("resnet50")
        else:
            print("No resnet50 to measure: set WHATSIT_SHARED to a folder that has one.")
        for name in options.models or names:
            print(f"Measuring {name} ...", flush=True)
            report["models"][name] = _measure(home, name, pictures)
    _print(report)
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    target = results / "bench.json"
    target.write_text(json.dumps(report, indent=2))
    print(f"Written to {target}")
    return 0


def _measure(home: Path, name: str, pictures: list[bytes]) -> dict[str, float]:
    with ExitStack() as stack:
        starts = [_time_start(home, name) for _ in range(3)]
        server = stack.enter_context(start_server(home, model=name))
        floor_url = stack.enter_context(_floor_server(home))
        classifier = stack.enter_context(Classifier.load(name, home=home))
        classify = f"{server.url}/api/v1/classify"
        known = pictures[:50]
        send_all(classify, known)
        send_all(floor_url, known)
        rounds = []
        for number in range(ROUNDS):
            batch = pictures[number * 50 : number * 50 + 40] or pictures[:40]
            new = [_made_unique(picture, number) for picture in batch]
            together = [_made_unique(picture, number + ROUNDS) for picture in batch * 2]
            rounds.append(
                {
                    "new": _stats(send_all(f"{classify}?cache=refresh", new)),
                    "new_floor": _stats(_compute_alone(classifier, new)),
                    "known": _stats(send_all(classify, known * 8)),
                    "known_floor": _stats(send_all(floor_url, known * 8)),
                    "new_together": _stats(send_all(classify, together, CLIENTS)),
                    "known_together": _stats(send_all(classify, known * 20, CLIENTS)),
                    "known_together_floor": _stats(send_all(floor_url, known * 20, CLIENTS)),
                }
            )
        _open_page(server)
        return {
            "start_seconds": statistics.median(starts),
            "resident_mb": server.resident_bytes() / 1e6,
            **{
                f"{what}_{figure}": statistics.median(round[what][figure] for round in rounds)
                for what in rounds[0]
                for figure in rounds[0][what]
            },
        }


def _time_start(home: Path, name: str) -> float:
    """Seconds from the command to the first right answer over HTTP."""
    picture = example_pictures()["bee"]
    start = time.perf_counter()
    with start_server(home, model=name) as server, server.client() as client:
        answer = client.post("/api/v1/classify?cache=bypass", content=picture).json()
        elapsed = time.perf_counter() - start
    if answer["answer"]["label"] != "bee":
        raise RuntimeError(f"The first answer is wrong: {answer['answer']}")
    return elapsed


def _compute_alone(classifier: Classifier, pictures: list[bytes]) -> Load:
    """Decode and infer in this process, with nothing around it."""
    seconds = []
    start = time.perf_counter()
    for picture in pictures:
        begin = time.perf_counter()
        spec = classifier.card.input
        decoded = decode_image(picture, shorter_side=spec.resize_shorter_side)
        classifier.engine.infer(to_batch(fit_image(decoded.pixels, spec), spec))
        seconds.append(time.perf_counter() - begin)
    return Load(tuple(seconds), time.perf_counter() - start)


@contextmanager
def _floor_server(home: Path) -> Iterator[str]:
    with EmbeddedValkey(home / "floor") as valkey:
        command = [sys.executable, "-m", "uvicorn", "bench.floor:app", "--port", "18499"]
        process = subprocess.Popen(
            [*command, "--log-level", "error", "--no-access-log"],
            env={**os.environ, "FLOOR_REDIS_URL": valkey.url},
        )
        url = "http://127.0.0.1:18499/"
        try:
            _await(lambda: httpx.post(url, content=b"x", trust_env=False).is_success)
            yield url
        finally:
            process.terminate()
            process.wait()


def _await(condition: Callable[[], bool]) -> None:
    for _ in range(200):
        try:
            if condition():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise RuntimeError("The floor server did not start.")


def _open_page(server: RunningServer) -> None:
    """Let a real browser open the page and answer an example, so that memory is honest."""
    from playwright.sync_api import sync_playwright

    from scripts.install_browser import find_browser

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(server.url)
        page.get_by_role("button", name="Cat").click()
        page.locator(".whatsit-sentence").wait_for()
        browser.close()


def _stats(load: Load) -> dict[str, float]:
    return {
        "p50_ms": load.percentile_ms(50),
        "p95_ms": load.percentile_ms(95),
        "per_second": load.per_second,
    }


def _load_pictures(folder: Path) -> list[bytes]:
    if folder.is_dir():
        files = sorted(
            path for path in folder.iterdir() if path.suffix.lower() in {".jpg", ".jpeg"}
        )
        return [path.read_bytes() for path in files]
    print(f"{folder} is missing, so the example pictures are measured.")
    return list(example_pictures().values()) * 75


def _made_unique(picture: bytes, salt: int) -> bytes:
    """The same picture with other bytes: a comment segment behind the JPEG's first marker."""
    comment = hashlib.sha256(picture + salt.to_bytes(4) + os.urandom(8)).digest()
    return picture[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2) + comment + picture[2:]


def _print(report: dict[str, Any]) -> None:
    table = Table(title="whatsit, medians of interleaved rounds; floors measured in the same run")
    table.add_column("figure")
    for name in report["models"]:
        table.add_column(name, justify="right")
    rows: list[tuple[str, Callable[[dict[str, float]], str]]] = [
        ("start to first right answer", lambda r: f"{r['start_seconds']:.2f} s"),
        ("resident memory, page open", lambda r: f"{r['resident_mb']:.0f} MB"),
        ("new picture p50 / p95", lambda r: _pair(r, "new")),
        ("  floor: decode + engine alone", lambda r: _pair(r, "new_floor")),
        ("  ratio of p50", lambda r: f"{r['new_p50_ms'] / r['new_floor_p50_ms']:.2f}"),
        ("known picture p50 / p95", lambda r: _pair(r, "known")),
        ("  floor: bare app, hash + Redis GET", lambda r: _pair(r, "known_floor")),
        ("  difference of p50", lambda r: f"{r['known_p50_ms'] - r['known_floor_p50_ms']:+.2f} ms"),
        (f"new pictures, {CLIENTS} clients", lambda r: f"{r['new_together_per_second']:.0f} /s"),
        ("  floor: decode + engine, one by one", lambda r: f"{r['new_floor_per_second']:.0f} /s"),
        (
            f"known pictures, {CLIENTS} clients",
            lambda r: f"{r['known_together_per_second']:.0f} /s",
        ),
        ("  floor: bare app", lambda r: f"{r['known_together_floor_per_second']:.0f} /s"),
    ]
    for label, cell in rows:
        table.add_row(label, *(cell(result) for result in report["models"].values()))
    Console(width=100).print(table)


def _pair(result: dict[str, float], what: str) -> str:
    return f"{result[f'{what}_p50_ms']:.2f} / {result[f'{what}_p95_ms']:.2f} ms"


if __name__ == "__main__":
    sys.exit(main())
