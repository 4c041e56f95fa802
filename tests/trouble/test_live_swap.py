"""A real server under load follows what is live: no request fails, and no answer mixes models."""

import base64
import itertools
import json
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_api import CLASSIFY, EXPLAIN
from tests.support.load import Load, Outcome, Request, closed_loop, percentile_ms, post
from tests.support.pictures import known_pictures, new_picture
from tests.support.running import RunningServer, start_server
from tests.support.waiting import wait_until
from whatsit.classifier import Classifier
from whatsit.client import Client
from whatsit.data import example_pictures
from whatsit.model_card import read_card, write_card
from whatsit.models.catalogue import BUNDLED_MODEL, bundled_folder
from whatsit.models.live import LiveAlias
from whatsit.models.store import LIVE, ModelStore

OWN = "kinds.v1"
BROKEN = "kinds.v2"
SWAPS = 'whatsit_model_swaps_total{outcome="%s"}'
CLIENTS = 2
MOST_SECONDS = 200.0
PATIENCE_SECONDS = 60.0
"""Opening a model takes half a second, and far more where others want the processor too."""
MOST_GROWTH_BYTES = 80_000_000
"""Usual are 20 million, once. The four models that were closed would take over 250 million."""


def add_own_model(home: Path, name: str) -> None:
    """The bundled network under labels of its own, and with another calibration."""
    source = home / "incoming" / name
    shutil.copytree(bundled_folder(), source)
    card = read_card(source)
    (source / "labels.txt").write_text("\n".join(f"kind {number}" for number in range(1000)))
    write_card(
        source,
        card.model_copy(
            update={
                "name": name,
                "output": card.output.model_copy(update={"labels": "labels.txt"}),
                "calibration": card.calibration.model_copy(update={"temperature": 1.7}),
                "description": f"The model {name}",
            }
        ),
    )
    ModelStore(home).add(source)


def open_home(folder: Path) -> Path:
    """A store with two models, and one that was promoted once and is damaged since."""
    alias = LiveAlias(folder)
    for name in (OWN, BROKEN):
        add_own_model(folder, name)
    alias.promote(BUNDLED_MODEL)
    alias.promote(BROKEN)
    (folder / "broken.json").write_bytes(alias.file.read_bytes())
    alias.roll_back()
    weights = folder / "models" / BROKEN / "model.onnx"
    weights.rename(folder / "sound.onnx")
    weights.write_bytes(b"cut off")
    return folder


def promote_broken(home: Path) -> None:
    fresh = home / "models" / ".broken.json"
    shutil.copyfile(home / "broken.json", fresh)
    fresh.replace(LiveAlias(home).file)


def repair(home: Path) -> None:
    (home / "sound.onnx").rename(home / "models" / BROKEN / "model.onnx")


def run_cli(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "whatsit", "models", *arguments, "--store", str(home)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def serving(server: RunningServer) -> dict[str, Any]:
    with server.client() as client:
        document: dict[str, Any] = client.get("/api/v1/models").json()
    return document


def answers_with(server: RunningServer, name: str, seconds: float = PATIENCE_SECONDS) -> bool:
    with server.client() as client:
        return wait_until(lambda: client.get("/readyz").json()["model"] == name, seconds)


@dataclass
class Log:
    """What was done while the load ran, and when."""

    steps: list[tuple[float, str]] = field(default_factory=list)
    took: dict[str, float] = field(default_factory=dict)

    def do(self, what: str, change: Callable[[], object], is_done: Callable[[], bool]) -> None:
        begun = time.monotonic()
        self.steps.append((begun, what))
        change()
        assert is_done(), what
        self.took[what] = time.monotonic() - begun
        time.sleep(0.4)  # of load on what answers now

    def phase_of(self, outcome: Outcome) -> str:
        return [what for at, what in self.steps if at <= outcome.sent_at][-1]


def traffic(url: str) -> Iterator[Request]:
    """Known pictures, new ones, heat maps and several pictures at once, without end."""
    known = [post(f"{url}{CLASSIFY}?top_k=3", each, "known") for each in known_pictures().values()]
    fresh = [new_picture(number) for number in range(24)]
    computed = [post(f"{url}{CLASSIFY}?top_k=3&cache=bypass", each, "new") for each in fresh]
    refreshed = [post(f"{url}{CLASSIFY}?top_k=3", each, "kept") for each in fresh]
    maps = [post(f"{url}{EXPLAIN}?format=json&cache=bypass", each, "map") for each in fresh[:4]]
    plain = [post(f"{url}/api/hf/models/whatsit", each, "labels") for each in fresh]
    pair = [base64.b64encode(each).decode() for each in fresh[4:6]]
    tensor = {"name": "image", "shape": [2], "datatype": "BYTES", "data": pair}
    both = [post(f"{url}/v2/models/whatsit/infer", json.dumps({"inputs": [tensor]}).encode(), "v2")]
    kinds = [itertools.cycle(each) for each in (known, known, computed, refreshed, plain)]
    for number in itertools.count():
        if number % 40 == 0:
            yield maps[number // 40 % len(maps)]
        elif number % 10 == 5:
            yield both[0]
        else:
            yield next(kinds[number % len(kinds)])


def told_by(outcome: Outcome) -> tuple[str | None, list[str]]:
    """Fingerprint or name of the model, where it is told, and the labels."""
    document: Any = outcome.document
    if outcome.name == "labels":
        return None, [entry["label"] for entry in document]
    if outcome.name == "map":
        return document["model"]["fingerprint"], [document["label"]]
    if outcome.name == "v2":
        labels = next(it["data"] for it in document["outputs"] if it["name"] == "label")
        return document["model_name"], labels
    top = [entry["label"] for entry in document["top"]]
    return document["model"]["fingerprint"], [document["answer"]["label"], *top]


def require_unmixed(load: Load, own: set[str], bundled: set[str]) -> None:
    for outcome in load.outcomes:
        model, labels = told_by(outcome)
        kinds = {label.startswith("kind ") for label in labels}
        assert len(kinds) == 1, (outcome.name, labels)
        assert model is None or model in (own if kinds == {True} else bundled), (model, labels)


def table_of(load: Load, log: Log) -> str:
    lines = [f"{'while':<34}{'took':>8}{'requests':>10}{'failed':>8}{'p50 ms':>9}{'p99 ms':>9}"]
    for _, what in log.steps:
        outcomes = [each for each in load.outcomes if log.phase_of(each) == what]
        failed = sum(each.status != 200 for each in outcomes)
        took = f"{log.took[what]:.2f} s" if what in log.took else ""
        lines.append(
            f"{what:<34}{took:>8}{len(outcomes):>10}{failed:>8}"
            f"{percentile_ms(outcomes, 50):>9.1f}{percentile_ms(outcomes, 99):>9.1f}"
        )
    return "\n".join(lines)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    home = open_home(tmp_path_factory.mktemp("home"))
    with start_server(home, "--no-ui", model=LIVE) as server:
        yield server


def fingerprint_of(home: Path, name: str) -> str:
    with Classifier.from_folder(ModelStore(home).open(name)) as classifier:
        return classifier.model.fingerprint


def test_the_model_changes_under_load_without_a_failed_request_or_a_mixed_answer(live):
    home, alias, log = live.home, LiveAlias(live.home), Log()
    own = {OWN, fingerprint_of(home, OWN)}
    bundled = {BUNDLED_MODEL, fingerprint_of(home, BUNDLED_MODEL)}
    alias.promote(BUNDLED_MODEL)
    assert answers_with(live, BUNDLED_MODEL)
    switched, failed = (live.metric(SWAPS % outcome) for outcome in ("switched", "failed"))
    loads: list[Load] = []
    ended = threading.Event()

    def put_under_load() -> None:
        requests = itertools.takewhile(lambda each: not ended.is_set(), traffic(live.url))
        loads.append(closed_loop(requests, CLIENTS, MOST_SECONDS))

    def go_live(name: str) -> tuple[Callable[[], object], Callable[[], bool]]:
        return lambda: alias.promote(name), lambda: answers_with(live, name)

    # What is opened at first use, for heat maps and for many at once, is open from here on.
    closed_loop(itertools.islice(traffic(live.url), 60), CLIENTS, MOST_SECONDS).require_ok()
    memory_before = live.resident_bytes()
    log.steps.append((0.0, "before"))
    sender = threading.Thread(target=put_under_load)
    sender.start()
    time.sleep(1)
    rolled_back: list[subprocess.CompletedProcess[str]] = []
    try:
        log.do(f"{OWN} goes live", *go_live(OWN))
        log.do(f"{BUNDLED_MODEL} goes live", *go_live(BUNDLED_MODEL))
        log.do(
            "a damaged model goes live",
            lambda: promote_broken(home),
            lambda: wait_until(lambda: live.metric(SWAPS % "failed") > failed, PATIENCE_SECONDS),
        )
        with live.client() as client:
            ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["model"]) == (200, BUNDLED_MODEL)
        note = f"{BROKEN} is live but can't be opened, so {BUNDLED_MODEL} answers."
        assert serving(live)["note"] == note
        alias.promote(BUNDLED_MODEL)
        log.do(f"{OWN} goes live again", *go_live(OWN))
        log.do(
            "whatsit models rollback",
            lambda: rolled_back.append(run_cli(home, "rollback")),
            # Or what a machine needs on which two seconds were not enough to open a model before.
            lambda: answers_with(live, BUNDLED_MODEL, max(2.0, 2 * max(log.took.values()))),
        )
    finally:
        ended.set()
        sender.join()

    (load,) = loads
    print(f"\n{table_of(load, log)}")
    load.require_ok()
    require_unmixed(load, own, bundled)
    assert {each.name for each in load.outcomes} == {"known", "new", "kept", "map", "labels", "v2"}
    (done,) = rolled_back
    assert (done.returncode, done.stdout[:26]) == (0, "efficientnet-lite2 is live"), done.stderr
    grown = live.resident_bytes() - memory_before
    print(f"memory: {memory_before / 1e6:.0f} MB, then {grown / 1e6:+.0f} MB")
    assert grown < MOST_GROWTH_BYTES
    assert live.metric(SWAPS % "switched") == switched + 4
    assert f"{BROKEN} can't be opened, so {BUNDLED_MODEL} continues to answer" in live.log


def test_what_is_live_since_when_and_what_was_before_is_told(live):
    for name in (BUNDLED_MODEL, OWN):
        LiveAlias(live.home).promote(name)
        assert answers_with(live, name)
    document = serving(live)

    assert document["requested"] == LIVE
    assert wait_until(lambda: serving(live)["note"] is None, PATIENCE_SECONDS)
    assert [entry["name"] for entry in document["live"]["history"]][:2] == [OWN, BUNDLED_MODEL]
    assert document["live"]["canary"] is None
    assert document["serving_since"] >= document["live"]["history"][0]["since"]
    with Client(live.url) as client:
        assert client.models().serving_since == document["serving_since"]


def test_labels_and_corrections_are_those_of_the_model_that_answers(live):
    LiveAlias(live.home).promote(OWN)
    assert answers_with(live, OWN)
    counted = f'whatsit_model_feedback_total{{model="{OWN}",verdict="other"}}'
    before = live.metric(counted)
    with live.client() as client:
        found = client.get("/api/v1/labels", params={"q": "kind 309"}).json()["labels"]
        answer = client.post(CLASSIFY, content=example_pictures()["bee"]).json()
        said = {"sha256": answer["image"]["sha256"], "verdict": "other", "label": "KIND 310"}
        kept = client.post("/api/v1/feedback", json=said).json()

    assert found[0]["label"] == answer["answer"]["label"] == "kind 309"
    assert kept["label"] == "kind 310"
    assert live.metric(counted) == before + 1


def test_a_canary_answers_its_share_and_both_can_be_compared(live):
    alias = LiveAlias(live.home)
    alias.promote(BUNDLED_MODEL)
    assert answers_with(live, BUNDLED_MODEL)
    alias.try_beside(OWN, 0.5)

    def canary() -> dict[str, Any]:
        found: dict[str, Any] = serving(live)["live"]["canary"]
        return found

    assert wait_until(lambda: canary()["serving"] is not None, PATIENCE_SECONDS)
    assert (canary()["name"], canary()["ratio"], canary()["serving"]["name"]) == (OWN, 0.5, OWN)
    with live.client() as client:
        for picture in known_pictures().values():
            first, second = (client.post(CLASSIFY, content=picture).json() for _ in range(2))
            is_canarys = int(first["image"]["sha256"][:8], 16) < 2**31
            assert first["model"] == second["model"]
            assert first["model"]["name"] == (OWN if is_canarys else BUNDLED_MODEL)
            assert first["answer"]["label"].startswith("kind ") == is_canarys
        metrics = client.get("/metrics").text
    for name, role in ((OWN, "canary"), (BUNDLED_MODEL, "live")):
        assert live.metric(f'whatsit_model_seconds_count{{model="{name}"}}') > 0
        assert re.search(
            rf'whatsit_model_info{{fingerprint="\w+",name="{name}",role="{role}"}} 1', metrics
        )
    alias.end_canary()
    assert wait_until(lambda: live.metric("whatsit_canary_ratio") == 0, PATIENCE_SECONDS)


def test_several_processes_follow_each_and_try_again_at_the_signal(tmp_path):
    home = open_home(tmp_path)
    with start_server(home, "--no-ui", "--workers", "2", model=LIVE) as server:

        def by_process(metric: str) -> dict[str, str]:
            """The labels or the value of a metric, by process."""
            with server.client() as client:
                text = client.get("/metrics").text
            found = re.findall(rf'^{metric}{{(.*)process="(\d)".*}} (\S+)$', text, re.MULTILINE)
            return {process: labels + value for labels, process, value in found}

        def both(name: str) -> bool:
            labels = by_process("whatsit_model_info")
            return len(labels) == 2 and all(f'name="{name}"' in each for each in labels.values())

        assert wait_until(lambda: both(BUNDLED_MODEL), PATIENCE_SECONDS)
        LiveAlias(home).promote(OWN)
        assert wait_until(lambda: both(OWN), PATIENCE_SECONDS)
        promote_broken(home)
        failed = 'whatsit_model_swaps_total{outcome="failed",process="%d"}'
        assert wait_until(
            lambda: all(server.metric(failed % each) == 1 for each in (1, 2)), PATIENCE_SECONDS
        )
        assert both(OWN)
        repair(home)
        server.process.send_signal(signal.SIGHUP)
        assert wait_until(lambda: both(BROKEN), PATIENCE_SECONDS)
        assert "is replaced" not in server.log
