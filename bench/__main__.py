"""``make bench``: start, memory, new and known pictures, each beside its floor in the same run."""

import argparse
import io
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
from PIL import Image
from rich.console import Console
from rich.table import Table

from bench.load import ClientProcess, Load
from bench.page import open_page, time_many, time_sentences
from tests.support.running import start_server
from whatsit.cache.embedded import EmbeddedValkey
from whatsit.classifier import Classifier
from whatsit.data import example_pictures
from whatsit.images.decode import decode_image
from whatsit.images.preprocess import fit_image
from whatsit.models.store import ModelStore

ROUNDS = 5
CLIENTS = 16
KNOWN_GOAL, NEW_GOAL, PROCESSES_GOAL = 0.7, 0.85, 5_000


def main() -> int:
    """Run every measurement for each model and print the table; JSON goes to bench/results."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--pictures", type=Path, help="folder of JPEG photographs")
    parser.add_argument("--models", nargs="*", help="names; default: the bundled one and resnet50")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of which medians are printed")
    options = parser.parse_args()
    shared = Path(os.environ.get("WHATSIT_SHARED", "../shared"))
    pictures = load_pictures(options.pictures or shared / "images" / "photos300")
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
            report["models"][name] = _measure(home, name, pictures, options.rounds)
    _print(report)
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    target = results / "bench.json"
    target.write_text(json.dumps(report, indent=2))
    print(f"Written to {target}")
    return 0


def _measure(home: Path, name: str, pictures: list[bytes], count: int) -> dict[str, float]:
    with ExitStack() as stack:
        starts = [time_start(home, name) for _ in range(3)]
        client = stack.enter_context(ClientProcess())
        server = stack.enter_context(start_server(home, model=name))
        floor_url = stack.enter_context(_floor_server(home))
        classifier = stack.enter_context(Classifier.load(name, home=home))
        classify = f"{server.url}/api/v1/classify"
        urls = {"known": classify, "known_floor": floor_url}
        if _has_workers():
            pair = stack.enter_context(start_server(home, "--no-ui", "--workers", "2", model=name))
            urls["known_pair"] = f"{pair.url}/api/v1/classify"
        known = pictures[:50]
        for url in urls.values():
            # Each process of a pair has to get to know them all.
            client.send_all(url, known * 4, CLIENTS)
        samples = _sample_folder(home / "samples", pictures[:40])
        rounds: list[dict[str, dict[str, float]]] = []
        for number in range(count):
            batch = pictures[number * 50 : number * 50 + 40] or pictures[:40]
            new = [repainted(picture) for picture in batch]
            together = [repainted(picture) for picture in batch * 8]
            engine = {"new_together_floor": _engine_alone(home, name, samples)}
            runs = {
                "new": client.send_all(classify, new),
                "new_floor": _compute_alone(classifier, new),
                "known": client.send_all(classify, known * 8),
                "known_floor": client.send_all(floor_url, known * 8),
                "new_together": client.send_all(classify, together, CLIENTS),
                **{
                    f"{what}_together": client.send_all(url, known * 60, CLIENTS)
                    for what, url in urls.items()
                },
            }
            figures = {what: _stats(load) for what, load in runs.items()} | engine
            figures["ratio"] = {
                what: figures[one]["per_second"] / figures[floor]["per_second"]
                for what, one, floor in (
                    ("known", "known_together", "known_floor_together"),
                    ("new", "new_together", "new_together_floor"),
                )
            }
            rounds.append(figures)
        open_page(server.url)
        resident_bytes = server.resident_bytes()
        page = time_sentences(server.url, [repainted(picture) for picture in pictures[:10]])
        page |= time_many(server.url, home / "many", pictures)
        return {
            **page,
            "start_seconds": statistics.median(starts),
            "resident_mb": resident_bytes / 1e6,
            **{
                f"{what}_{figure}": statistics.median(round[what][figure] for round in rounds)
                for what in rounds[0]
                for figure in rounds[0][what]
            },
        }


def _has_workers() -> bool:
    """Return True if this version can serve from several processes; print a note if it can't."""
    command = [sys.executable, "-m", "whatsit", "serve", "--help"]
    if "--workers" in subprocess.run(command, capture_output=True, text=True, check=True).stdout:
        return True
    print("No pair of processes to measure: whatsit serve has no option --workers.")
    return False


def _sample_folder(folder: Path, pictures: list[bytes]) -> Path:
    folder.mkdir(exist_ok=True)
    for number, picture in enumerate(pictures):
        (folder / f"{number:03}.jpg").write_bytes(repainted(picture))
    return folder


def _engine_alone(home: Path, name: str, pictures: Path) -> dict[str, float]:
    """The limit for a server of many new pictures: the engine's throughput, less decoding.

    The engine fills all cores, and decoding takes its share of them.
    """
    command = [sys.executable, "-m", "bench.engine", str(home), name, str(pictures)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    figures = json.loads(ran.stdout)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    seconds = 1 / figures["per_second"] + figures["decode_seconds"] / (cores or 1)
    return {
        "engine_per_second": figures["per_second"],
        "decode_ms": figures["decode_seconds"] * 1000,
        "per_second": 1 / seconds,
    }


def time_start(home: Path, name: str, python: Path | None = None) -> float:
    """Seconds from the command to the first right answer over HTTP."""
    picture = example_pictures()["bee"]
    start = time.perf_counter()
    serving = start_server(home, model=name, python=python)
    with serving as server, server.client() as client:
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
        classifier.engine.infer(fit_image(decoded.pixels, spec))
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


def _stats(load: Load) -> dict[str, float]:
    return {
        "p50_ms": load.percentile_ms(50),
        "p95_ms": load.percentile_ms(95),
        "per_second": load.per_second,
        "client_cores": load.client_cores,
    }


def load_pictures(folder: Path) -> list[bytes]:
    """The photographs of a folder, or the examples again and again where it is missing."""
    if folder.is_dir():
        files = sorted(
            path for path in folder.iterdir() if path.suffix.lower() in {".jpg", ".jpeg"}
        )
        return [path.read_bytes() for path in files]
    print(f"{folder} is missing, so the example pictures are measured.")
    return list(example_pictures().values()) * 75


def repainted(picture: bytes) -> bytes:
    """The picture with pixels that are new to the server, about as large as it was."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    middle = (image.width // 2, image.height // 2)
    image.paste(Image.frombytes("RGB", (16, 16), os.urandom(16 * 16 * 3)), middle)
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=90)
    return encoded.getvalue()


def _print(report: dict[str, Any]) -> None:
    table = Table(title="whatsit, medians of interleaved rounds; floors measured in the same run")
    table.add_column("figure")
    for name in report["models"]:
        table.add_column(name, justify="right")
    rows: list[tuple[str, Callable[[dict[str, float]], str]]] = [
        ("start to first right answer", lambda r: f"{r['start_seconds']:.2f} s"),
        ("resident memory, page open", lambda r: f"{r['resident_mb']:.0f} MB"),
        (
            "page, file chosen to sentence: known / new",
            lambda r: f"{r['page_known_ms']:.0f} / {r['page_new_ms']:.0f} ms",
        ),
        *(
            (
                f"  {what}: before the request / in it (server) / after it",
                lambda r, what=what: (
                    f"{r[f'page_{what}_before_ms']:.0f} / {r[f'page_{what}_request_ms']:.0f} "
                    f"({r[f'page_{what}_server_ms']:.0f}) / {r[f'page_{what}_after_ms']:.0f} ms"
                ),
            )
            for what in ("known", "new")
        ),
        (
            "page, 200 pictures: first thumbnail / all",
            lambda r: f"{r['many_thumbnail_ms']:.0f} / {r['many_all_ms']:.0f} ms",
        ),
        ("  longest task of the page", lambda r: f"{r['many_longest_task_ms']:.0f} ms"),
        (
            "  memory of the browser: held / left",
            lambda r: f"{r['many_held_mb']:+.0f} / {r['many_left_mb']:+.0f} MB",
        ),
        ("new picture p50 / p95", lambda r: _pair(r, "new")),
        ("  floor: decode + engine alone", lambda r: _pair(r, "new_floor")),
        ("  ratio of p50", lambda r: f"{r['new_p50_ms'] / r['new_floor_p50_ms']:.2f}"),
        ("known picture p50 / p95", lambda r: _pair(r, "known")),
        ("  floor: bare app, hash + Redis GET", lambda r: _pair(r, "known_floor")),
        ("  difference of p50", lambda r: f"{r['known_p50_ms'] - r['known_floor_p50_ms']:+.2f} ms"),
        (f"new pictures, {CLIENTS} clients", lambda r: _rate(r, "new_together")),
        (
            "  floor: OpenVINO alone, less decoding",
            lambda r: (
                f"{r['new_together_floor_engine_per_second']:.0f} /s - "
                f"{r['new_together_floor_decode_ms']:.1f} ms = "
                f"{r['new_together_floor_per_second']:.0f} /s"
            ),
        ),
        (f"  ratio (goal {NEW_GOAL})", lambda r: f"{r['ratio_new']:.2f}"),
        (f"known pictures, {CLIENTS} clients", lambda r: _rate(r, "known_together")),
        ("  floor: bare app", lambda r: _rate(r, "known_floor_together")),
        (f"  ratio (goal {KNOWN_GOAL})", lambda r: f"{r['ratio_known']:.2f}"),
        (
            f"  two API processes (goal {PROCESSES_GOAL} /s)",
            lambda r: _rate(r, "known_pair_together"),
        ),
    ]
    for label, cell in rows:
        table.add_row(label, *(cell(result) for result in report["models"].values()))
    Console(width=100).print(table)


def _pair(result: dict[str, float], what: str) -> str:
    return f"{result[f'{what}_p50_ms']:.2f} / {result[f'{what}_p95_ms']:.2f} ms"


def _rate(result: dict[str, float], what: str) -> str:
    """Requests a second, and what the client took of the same cores meanwhile."""
    if f"{what}_per_second" not in result:
        return "not measured"
    cores = result[f"{what}_client_cores"]
    return f"{result[f'{what}_per_second']:.0f} /s (client {cores:.2f} cores)"


if __name__ == "__main__":
    sys.exit(main())
