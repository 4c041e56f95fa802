"""From labelled pictures to the model that a running server answers with, in one command."""

import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.load import Load, Request, open_loop, percentile_ms, post
from tests.support.pictures import known_pictures, new_picture
from tests.support.running import RunningServer, start_server
from tests.support.waiting import wait_until
from whatsit.models.store import LIVE
from whatsit.pipeline.report import read_report

pytestmark = [pytest.mark.training, pytest.mark.shared]

CLASSIFY = "/api/v1/classify"
PER_SECOND = 10.0
MOST_SECONDS = 900.0
# Speed is not what is tested here, and the load takes its share of it.
ANY_SPEED = ("--latency-budget-ms", "60000")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    home = tmp_path / "home"
    home.mkdir()
    with start_server(home, "--no-ui", model=LIVE) as running:
        yield running


def whatsit(home: Path, *arguments: str | Path) -> str:
    """What a command prints that must succeed."""
    done = subprocess.run(
        [sys.executable, "-m", "whatsit", *map(str, arguments), "--store", str(home)],
        capture_output=True,
        text=True,
        timeout=MOST_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@contextmanager
def under_load(url: str) -> Iterator[list[Load]]:
    """Known and new pictures at an even rate during the block; what came of it after it."""
    known = [post(f"{url}{CLASSIFY}", each, "known") for each in known_pictures().values()]
    new = [
        post(f"{url}{CLASSIFY}?cache=bypass", new_picture(number), "new") for number in range(20)
    ]
    ended, loads = threading.Event(), list[Load]()
    requests: Iterator[Request] = itertools.takewhile(
        lambda each: not ended.is_set(), itertools.cycle([*known, *new])
    )
    sender = threading.Thread(
        target=lambda: loads.append(open_loop(requests, PER_SECOND, MOST_SECONDS, 8))
    )
    sender.start()
    try:
        yield loads
    finally:
        ended.set()
        sender.join()


def answers_with(server: RunningServer, name: str) -> bool:
    with server.client() as client:
        return wait_until(lambda: client.get("/readyz").json()["model"] == name, 30)


def label_of(server: RunningServer, picture: Path) -> str | None:
    with server.client() as client:
        answer = client.post(CLASSIFY, content=picture.read_bytes()).json()
    return str(answer["top"][0]["label"])


def print_table(load: Load) -> None:
    print(f"\n{'answered by':<22}{'requests':>10}{'failed':>8}{'p50 ms':>9}{'p99 ms':>9}")
    by_model = sorted(load.outcomes, key=lambda each: each.document["model"]["name"])
    for name, group in itertools.groupby(by_model, lambda each: each.document["model"]["name"]):
        outcomes = list(group)
        failed = sum(each.status != 200 for each in outcomes)
        print(
            f"{name:<22}{len(outcomes):>10}{failed:>8}"
            f"{percentile_ms(outcomes, 50):>9.1f}{percentile_ms(outcomes, 99):>9.1f}"
        )


def test_one_command_trains_a_model_that_goes_live_under_load(server, shared, tmp_path):
    data, work = shared / "images" / "imagenette600", tmp_path / "work"
    with under_load(server.url) as loads:
        told = whatsit(
            server.home,
            *("pipeline", "run", "--data", data, "--work", work, "--name", "ten", *ANY_SPEED),
        )
        assert answers_with(server, "ten.v1")
        time.sleep(2)  # of load on the new model
    (load,) = loads
    print_table(load)
    print(told)

    load.require_ok()
    report = read_report(work, "run")
    assert report["live"] is True
    assert report["figures"]["test_pictures"] == 200
    assert report["figures"]["registered_top1"] >= 0.97
    names = {each.document["model"]["name"] for each in load.outcomes}
    assert names == {"efficientnet-lite2", "ten.v1"}


def test_corrections_train_a_model_that_gets_the_corrected_pictures_right(server, shared, tmp_path):
    """As on the page: the picture is kept, and the label is one of the team's own."""
    train = shared / "images" / "imagenette600" / "train"
    own = {"n03028079": "our church", "n03445777": "a ball of ours", "n01440764": "our tench"}
    corrected = {
        picture: label for wnid, label in own.items() for picture in train.glob(f"{wnid}/*")
    }
    assert len(corrected) == 120
    with server.client() as client:
        for picture, label in corrected.items():
            said = client.post(
                "/api/v1/feedback",
                data={"verdict": "other", "label": label},
                files={"file": (picture.name, picture.read_bytes())},
            )
            assert said.status_code == 201, said.text
    assert not {label_of(server, picture) for picture in corrected} & set(own.values())

    dataset, work = tmp_path / "dataset", tmp_path / "work"
    whatsit(server.home, "feedback", "export", dataset, "--format", "folders")
    whatsit(
        server.home,
        *("pipeline", "run", "--data", dataset, "--work", work, "--name", "ours", *ANY_SPEED),
    )

    assert answers_with(server, "ours.v1")
    right = [label_of(server, picture) == label for picture, label in corrected.items()]
    print(f"\n{sum(right)} of {len(right)} corrected pictures are right now")
    assert sum(right) >= 0.98 * len(right)
