"""A service follows what is live; what can't be opened replaces nothing."""

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.tiny_models import as_onnx
from tests.support.waiting import wait_until
from whatsit.classifier import Classifier
from whatsit.errors import UnknownModel, WeightsRejected
from whatsit.model_card import write_card
from whatsit.models.catalogue import DEFAULT_MODEL
from whatsit.models.folder import ModelFolder
from whatsit.models.live import LiveAlias, resolve_served
from whatsit.models.store import LIVE, ModelStore
from whatsit.picture import Picture
from whatsit.service.follower import Follower
from whatsit.service.line_up import LineUp
from whatsit.service.service import Service
from whatsit.telemetry.metrics import Telemetry
from whatsit.testing import FakeEngine, fake_card, plain_picture

RED = Picture.of(plain_picture("red"))
NAMES = ("petals.v1", "petals.v2", "petals.v3")


class BlindEngine(FakeEngine):
    """Has no finite answer to a picture."""

    def infer(self, pixels):
        return super().infer(pixels) * np.float32("nan")


class Opened(Classifier):
    """Tells its test when it is closed."""

    def close(self):
        super().close()
        self.of.append(f"-{self.card.name}")

    of: list[str]


class Bench:
    """A store of three models, and a service that follows what is live in it."""

    def __init__(self, home: Path, service: Service, drain_seconds: float) -> None:
        self.home = home
        self.store = ModelStore(home)
        self.alias = LiveAlias(home)
        self.service = service
        self.telemetry = Telemetry()
        self.engines: dict[str, FakeEngine] = {}
        self.opened: list[str] = []
        self.hold: dict[str, threading.Event] = {}
        self.follower = Follower(
            *(self.alias, self.store, service, self.open, self.telemetry),
            look_seconds=0.02,
            drain_seconds=drain_seconds,
        )

    def open(self, folder: ModelFolder) -> Classifier:
        name = folder.card.name
        self.opened.append(f"+{name}")
        if name in self.hold:
            assert self.hold[name].wait(10)
        engine = self.engines.get(name, FakeEngine())
        classifier = Opened(folder.card, folder.labels, engine)
        classifier.of = self.opened
        return classifier

    def answering(self) -> tuple[str, str]:
        prediction = self.service.classify(RED).prediction
        return prediction.model.name, prediction.answer.label

    def answers(self, name: str) -> bool:
        return wait_until(lambda: self.service.line_up.live.model.name == name, 5)

    def swaps(self, outcome: str) -> float:
        labels = {"outcome": outcome}
        return self.telemetry.registry.get_sample_value("whatsit_model_swaps_total", labels) or 0.0

    def failed(self) -> bool:
        return wait_until(lambda: self.swaps("failed") > 0, 5)

    def most_open(self) -> int:
        most = now = 1  # the one of the start
        for event in self.opened:
            now += 1 if event[0] == "+" else -1
            most = max(most, now)
        return most


def add_model(home: Path, name: str) -> None:
    source = home / "incoming" / name
    source.mkdir(parents=True)
    (source / "model.onnx").write_bytes(as_onnx(name.encode()))
    (source / "labels.txt").write_text("\n".join(f"{name} {c}" for c in ("one", "two", "three")))
    digest = hashlib.sha256(as_onnx(name.encode())).hexdigest()
    weights, output = {"sha256": digest, "file": "model.onnx"}, {"labels": "labels.txt"}
    write_card(source, fake_card(name=name, weights=weights, output=output))
    ModelStore(home).add(source)


def damage(home: Path, name: str) -> None:
    (home / "models" / name / "model.onnx").write_bytes(b"something else")


@pytest.fixture
def bench(request: pytest.FixtureRequest, tmp_path: Path, workers) -> Iterator[Bench]:
    for name in NAMES:
        add_model(tmp_path, name)
    LiveAlias(tmp_path).promote("petals.v1")
    folder = ModelStore(tmp_path).open("petals.v1")
    first = Opened(folder.card, folder.labels, FakeEngine())
    drain_seconds = getattr(request, "param", 60.0)
    bench = Bench(tmp_path, Service(first, None, workers=workers), drain_seconds)
    first.of = bench.opened
    bench.follower.start()
    yield bench
    for event in bench.hold.values():
        event.set()
    bench.follower.close()


def test_the_promoted_model_answers_and_the_one_before_is_closed(bench):
    assert bench.answering() == ("petals.v1", "petals.v1 one")
    bench.alias.promote("petals.v2")

    assert bench.answers("petals.v2")
    assert bench.answering() == ("petals.v2", "petals.v2 one")
    assert wait_until(lambda: bench.opened == ["+petals.v2", "-petals.v1"], 5)
    assert bench.swaps("switched") == 1
    search = bench.service.line_up.live.label_search
    assert search.named("petals.v2 two") is not None
    bench.alias.roll_back()
    assert bench.answers("petals.v1")


def test_a_damaged_model_replaces_nothing_until_something_sound_is_live(bench):
    bench.alias.promote("petals.v2")
    assert bench.answers("petals.v2")
    promoted = bench.alias.file.read_bytes()
    bench.alias.roll_back()
    assert bench.answers("petals.v1")
    damage(bench.home, "petals.v2")
    bench.alias.file.write_bytes(promoted)

    assert bench.failed()
    assert bench.answering()[0] == "petals.v1"
    assert bench.follower.note == "petals.v2 is live but can't be opened, so petals.v1 answers."
    bench.alias.promote("petals.v3")
    assert bench.answers("petals.v3")
    assert wait_until(lambda: bench.follower.note is None, 5)


def test_a_model_without_a_finite_answer_replaces_nothing(bench, caplog):
    bench.engines["petals.v2"] = BlindEngine()
    bench.alias.promote("petals.v2")

    assert bench.failed()
    assert bench.answering()[0] == "petals.v1"
    assert bench.opened == ["+petals.v2", "-petals.v2"]
    assert "petals.v2 can't be opened, so petals.v1 continues to answer" in caplog.text


def test_what_failed_is_tried_again_when_it_is_asked_for(bench):
    bench.engines["petals.v2"] = BlindEngine()
    bench.alias.promote("petals.v2")
    assert bench.failed()
    del bench.engines["petals.v2"]

    bench.follower.look_now()
    assert bench.answers("petals.v2")


def test_a_model_that_is_rolled_back_while_it_is_opened_never_answers(bench):
    bench.hold["petals.v2"] = threading.Event()
    bench.alias.promote("petals.v2")
    assert wait_until(lambda: bench.opened == ["+petals.v2"], 5)
    bench.alias.roll_back()
    bench.hold["petals.v2"].set()

    assert wait_until(lambda: bench.opened == ["+petals.v2", "-petals.v2"], 5)
    bench.alias.promote("petals.v3")
    assert bench.answers("petals.v3")
    assert bench.swaps("switched") == 1


@pytest.mark.parametrize("bench", [60.0, 0.0], indirect=True, ids=["patient", "hasty"])
def test_a_model_is_closed_when_its_last_request_is_done(bench):
    with bench.service.hold_live():
        bench.alias.promote("petals.v2")
        assert bench.answers("petals.v2")
        assert not wait_until(lambda: "-petals.v1" in bench.opened, 0.2)
    assert wait_until(lambda: "-petals.v1" in bench.opened, 5)


def test_a_missing_or_damaged_alias_changes_nothing(bench):
    bench.alias.promote("petals.v2")
    assert bench.answers("petals.v2")
    for text in ("", "{}"):
        bench.alias.file.write_text(text)
        bench.follower.look_now()
    bench.alias.file.unlink()

    assert not wait_until(lambda: bench.service.line_up.live.model.name != "petals.v2", 0.3)


def test_a_canary_answers_beside_the_live_model_until_it_ends(bench):
    bench.alias.try_beside("petals.v2", 0.25)
    assert wait_until(lambda: bench.service.line_up.canary is not None, 5)
    live, canary = bench.service.line_up.servings
    assert (live.model.name, canary.model.name) == ("petals.v1", "petals.v2")
    assert bench.service.line_up.canary_ratio == 0.25

    bench.alias.try_beside("petals.v2", 0.5)
    assert wait_until(lambda: bench.service.line_up.canary_ratio == 0.5, 5)
    assert bench.opened == ["+petals.v2"]
    bench.alias.end_canary()
    assert wait_until(lambda: bench.opened == ["+petals.v2", "-petals.v2"], 5)
    assert bench.service.line_up == LineUp(live)


def test_a_canary_that_goes_live_is_not_opened_again(bench):
    bench.alias.try_beside("petals.v2", 0.25)
    assert wait_until(lambda: bench.service.line_up.canary is not None, 5)
    bench.alias.promote("petals.v2")

    assert bench.answers("petals.v2")
    assert wait_until(lambda: bench.opened == ["+petals.v2", "-petals.v1"], 5)
    assert bench.service.line_up.canary is None


def test_a_damaged_canary_leaves_the_live_model_alone(bench):
    bench.alias.try_beside("petals.v2", 0.25)
    assert wait_until(lambda: bench.service.line_up.canary is not None, 5)
    tried = bench.alias.file.read_bytes()
    bench.alias.end_canary()
    assert wait_until(lambda: bench.service.line_up.canary is None, 5)
    damage(bench.home, "petals.v2")
    bench.alias.file.write_bytes(tried)

    assert bench.failed()
    assert bench.answering()[0] == "petals.v1"
    assert bench.follower.note is None


def test_there_are_never_more_than_two_models_open(bench):
    bench.alias.try_beside("petals.v2", 0.25)
    assert wait_until(lambda: bench.service.line_up.canary is not None, 5)
    bench.alias.promote("petals.v3")
    bench.alias.try_beside("petals.v1", 0.5)

    assert bench.answers("petals.v3")
    assert wait_until(lambda: bench.service.line_up.canary is not None, 5)
    assert bench.service.line_up.canary.model.name == "petals.v1"
    assert bench.most_open() == 2


def test_which_models_answer_can_be_read_side_by_side(bench):
    bench.alias.try_beside("petals.v2", 0.25)
    assert wait_until(lambda: bench.service.line_up.canary is not None, 5)
    registry = bench.telemetry.registry

    def roles() -> dict[str, str]:
        return {
            sample.labels["name"]: sample.labels["role"]
            for family in registry.collect()
            if family.name == "whatsit_model_info"
            for sample in family.samples
        }

    assert wait_until(lambda: roles() == {"petals.v1": "live", "petals.v2": "canary"}, 5)
    assert wait_until(lambda: registry.get_sample_value("whatsit_canary_ratio") == 0.25, 5)
    prediction = bench.service.classify(RED).prediction
    for outcome, stages in (("miss", {"infer": 2.0, "answer": 1.0, "total": 9.0}), ("hit", {})):
        bench.telemetry.answered(prediction, outcome, stages)
    model = {"model": prediction.model.name}
    certainty = {**model, "certainty": prediction.answer.certainty}
    assert registry.get_sample_value("whatsit_model_answers_total", certainty) == 2
    assert registry.get_sample_value("whatsit_model_seconds_sum", model) == pytest.approx(0.003)
    assert registry.get_sample_value("whatsit_model_seconds_count", model) == 1


def test_before_a_model_was_promoted_live_stands_for_the_default(tmp_path):
    add_model(tmp_path, DEFAULT_MODEL)
    found = resolve_served(ModelStore(tmp_path), tmp_path, LIVE)

    assert (found.folder.card.name, found.requested) == (DEFAULT_MODEL, LIVE)


def test_a_server_that_starts_with_a_damaged_live_model_goes_back_to_the_one_before(bench):
    bench.alias.promote("petals.v2")
    bench.alias.promote("petals.v3")
    damage(bench.home, "petals.v3")
    found = resolve_served(bench.store, bench.home, LIVE)

    assert found.folder.card.name == "petals.v2"
    assert found.note == "petals.v3 is live but can't be opened, so petals.v2 answers."
    damage(bench.home, "petals.v2")
    damage(bench.home, "petals.v1")
    with pytest.raises(WeightsRejected, match=r"petals\.v3"):
        resolve_served(bench.store, bench.home, LIVE)


def test_a_live_model_that_was_removed_is_unknown(tmp_path):
    add_model(tmp_path, "petals.v1")
    LiveAlias(tmp_path).promote("petals.v1")
    ModelStore(tmp_path).remove("petals.v1")

    with pytest.raises(UnknownModel):
        resolve_served(ModelStore(tmp_path), tmp_path, LIVE)
