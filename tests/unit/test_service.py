"""The service: cache outcomes, limits, and what decides a cached answer."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.waiting import wait_until
from whatsit.cache.key import build_cache_key
from whatsit.cache.memory import MemoryCache
from whatsit.cache.tiers import TieredCache
from whatsit.errors import ImageTooLarge, ImageUnreadable, InvalidParameter, Overloaded
from whatsit.labels.label_set import LabelEntry, LabelSet
from whatsit.picture import Picture
from whatsit.prediction import ImageFacts, Prediction
from whatsit.service.service import Service
from whatsit.service.workers import Workers
from whatsit.testing import COLOURS, FakeEngine, fake_card, fake_classifier, plain_picture


def picture(colour: str, image_format: str = "PNG") -> Picture:
    return Picture.of(plain_picture(colour, image_format=image_format))


def key_of(service: Service, sha256: str) -> str:
    return build_cache_key("whatsit", service.classifier.model.fingerprint, sha256)


RED = picture("red")


class Listener:
    """Writes down what the service reports."""

    def __init__(self) -> None:
        self.answers: list[str] = []
        self.computed_predictions: list[Prediction] = []

    def answered(self, prediction, outcome, timings_ms):
        assert timings_ms["total"] >= 0
        self.answers.append(outcome)

    def computed(self, computed):
        self.computed_predictions.append(computed.prediction)


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def cache() -> TieredCache:
    return TieredCache(MemoryCache(100, 60))


@pytest.fixture
def service(engine, cache, listener, workers) -> Service:
    return Service(fake_classifier(engine), cache, workers=workers, events=listener)


def test_the_second_answer_comes_from_the_cache(service, engine, listener):
    first, second = service.classify(RED), service.classify(RED)

    assert (first.cache, second.cache) == ("miss", "hit")
    assert first.prediction == second.prediction
    assert engine.calls == 1
    assert listener.answers == ["miss", "hit"]


def test_what_is_kept_is_found_by_its_digest_alone(service, engine, listener):
    assert service.find(RED.sha256) is None
    asked = service.classify(RED)

    found = service.find(RED.sha256, top_k=1)
    assert (found.prediction, found.cache) == (asked.prediction, "hit")
    assert len(found.top) == 1
    assert found.timings_ms["total"] >= found.timings_ms["cache"] > 0
    # Nobody asked about a picture, so it is none of the hits.
    assert listener.answers == ["miss"]
    assert engine.calls == 1


def test_an_entry_under_the_key_of_another_picture_is_not_found(service, cache):
    service.classify(RED)
    other = picture("green").sha256
    cache.put(key_of(service, other), cache.get(key_of(service, RED.sha256)))

    assert service.find(other) is None


def test_nothing_is_found_where_nothing_is_kept(engine, workers):
    service = Service(fake_classifier(engine), None, workers=workers)
    service.classify(RED)

    assert service.find(RED.sha256) is None


def test_recall_answers_only_what_is_known(service):
    assert service.recall(RED) is None
    service.classify(RED)

    recalled = service.recall(RED, top_k=1)
    assert recalled is not None
    assert recalled.cache == "hit"
    assert len(recalled.top) == 1


@pytest.mark.parametrize("mode", ["refresh", "bypass"])
def test_recall_leaves_other_modes_alone(service, mode):
    service.classify(RED)

    assert service.recall(RED, cache=mode) is None


def test_refresh_replaces_and_bypass_ignores_the_entry(service, engine):
    service.classify(RED)

    assert service.classify(RED, cache="bypass").cache == "bypass"
    assert service.classify(RED, cache="refresh").cache == "miss"
    assert service.classify(RED).cache == "hit"
    assert engine.calls == 3


def test_without_a_cache_every_answer_is_computed(engine, workers):
    service = Service(fake_classifier(engine), None, workers=workers)

    assert [service.classify(RED).cache for _ in range(2)] == ["bypass", "bypass"]
    assert engine.calls == 2


def test_what_is_computed_is_reported_and_nothing_else(service, listener):
    for mode in ("use", "use", "refresh", "bypass"):
        service.classify(RED, cache=mode)

    assert listener.answers == ["miss", "hit", "miss", "bypass"]
    assert len(listener.computed_predictions) == 3


def test_top_k_does_not_decide_what_is_stored(service):
    service.classify(RED, top_k=1)

    reply = service.classify(RED, top_k=3)
    assert reply.cache == "hit"
    assert len(reply.top) == 3


@pytest.mark.parametrize("top_k", [0, 21, -1])
def test_top_k_out_of_range_is_refused(service, top_k):
    with pytest.raises(InvalidParameter):
        service.classify(RED, top_k=top_k)
    with pytest.raises(InvalidParameter):
        service.recall(RED, top_k=top_k)


def test_refusals_are_not_cached(service, listener):
    for _ in range(2):
        with pytest.raises(ImageUnreadable):
            service.classify(Picture.of(b"nothing"))
    with pytest.raises(ImageTooLarge):
        service.classify(Picture.of(b"x" * 20_000_001))

    assert listener.answers == []


def test_an_entry_of_another_picture_is_never_given_out(service, cache):
    service.classify(RED)
    blue = picture("blue")
    wrong = service.classify(RED).prediction
    cache.put(key_of(service, blue.sha256), wrong)

    assert service.recall(blue) is None
    reply = service.classify(blue)
    assert reply.cache == "miss"
    assert reply.prediction.answer.label == "blue thing"


OTHER_LABELS = LabelSet("colours", (LabelEntry("crimson thing"), *COLOURS.entries[1:]))
CHANGES: dict[str, dict[str, Any]] = {
    "weights": {"card": fake_card(weights={"sha256": "1" * 64})},
    "labels": {"labels": OTHER_LABELS},
    "input size": {"card": fake_card(input={"size": 16, "resize_shorter_side": 20})},
    "mean": {
        "card": fake_card(
            input={
                "size": 16,
                "resize_shorter_side": 18,
                "scale": 1 / 255,
                "mean": [0.5, 0.0, 0.0],
            }
        )
    },
    "temperature": {"card": fake_card(calibration={"temperature": 2.0})},
    "thresholds": {"card": fake_card(thresholds={"sure": 0.9, "probably": 0.5})},
    "rule of the set": {"card": fake_card(set={"least_score": 0.1})},
    "groups": {
        "labels": LabelSet("colours", COLOURS.entries, (LabelEntry("any colour"),), (-1, 0, 0, 0))
    },
    "activation": {"card": fake_card(output={"labels": "colours", "activation": "softmax"})},
}


@pytest.mark.parametrize("ingredient", CHANGES)
def test_a_change_of_an_ingredient_is_a_miss(service, cache, workers, ingredient):
    service.classify(RED)
    changed = Service(fake_classifier(**CHANGES[ingredient]), cache, workers=workers)

    assert service.classify(RED).cache == "hit"
    assert changed.classify(RED).cache == "miss"


def test_another_precision_of_the_engine_is_a_miss(service, cache, workers):
    class OtherEngine(FakeEngine):
        identity = "fake-bf16"

    service.classify(RED)

    other = Service(fake_classifier(OtherEngine()), cache, workers=workers)
    assert other.classify(RED).cache == "miss"


def test_another_name_or_description_is_still_a_hit(service, cache, workers):
    service.classify(RED)
    card = fake_card(description="The same, in other words.")
    same = Service(fake_classifier(card=card), cache, workers=workers)

    assert same.classify(RED).cache == "hit"


def test_other_bytes_with_the_same_pixels_are_a_hit_with_their_own_facts(service, engine):
    service.classify(RED)
    same = picture("red", image_format="BMP")
    reply = service.classify(same)

    assert reply.cache == "hit"
    assert engine.calls == 1
    assert reply.prediction.image == ImageFacts(32, 24, "BMP", same.sha256)
    assert service.recall(same).prediction == reply.prediction


def test_other_pixels_of_the_same_file_size_are_a_miss(service):
    service.classify(RED)

    assert service.classify(picture("blue", image_format="BMP")).cache == "miss"


class HeldEngine(FakeEngine):
    """Answers when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def infer(self, pixels):
        assert self.released.wait(10)
        return super().infer(pixels)


@pytest.fixture
def held() -> Iterator[HeldEngine]:
    engine = HeldEngine()
    yield engine
    engine.released.set()


def test_the_same_picture_in_flight_is_computed_once(held, cache, workers, listener):
    service = Service(fake_classifier(held), cache, workers=workers, events=listener)
    pending = [service.submit(RED, top_k=1 + number % 3) for number in range(64)]
    assert service.recall(RED) is None
    held.released.set()
    replies = [each.reply() for each in pending]

    assert held.calls == 1
    assert [reply.cache for reply in replies] == ["miss"] + ["coalesced"] * 63
    assert [len(reply.top) for reply in replies[:3]] == [1, 2, 3]
    assert len({reply.prediction for reply in replies}) == 1
    assert [stage for reply in replies for stage in reply.timings_ms].count("infer") == 1


def test_refusals_reach_everybody_who_waits(held, cache, workers):
    service = Service(fake_classifier(held), cache, workers=workers)
    broken = Picture.of(RED.image_bytes[:60])
    blocked = [service.submit(picture(colour)) for colour in ("green", "blue")]
    pending = [service.submit(broken) for _ in range(3)]
    held.released.set()

    for each in pending:
        with pytest.raises(ImageUnreadable):
            each.reply()
    assert [each.reply().cache for each in blocked] == ["miss", "miss"]


@pytest.mark.parametrize("mode", ["refresh", "bypass"])
def test_who_wants_it_computed_anew_joins_nobody(held, cache, workers, mode):
    service = Service(fake_classifier(held), cache, workers=workers)
    pending = [service.submit(RED, cache=mode) for _ in range(2)]
    held.released.set()

    assert [each.reply().cache for each in pending] == ["miss" if mode == "refresh" else mode] * 2
    assert held.calls == 2


def test_a_full_queue_refuses_new_pictures_but_answers_known_ones(held, cache, listener):
    workers = Workers(1, max_queue=1)
    service = Service(fake_classifier(held), cache, workers=workers, events=listener)
    Service(fake_classifier(), cache, workers=workers).classify(RED)
    taken = [service.submit(picture(colour)) for colour in ("green", "blue")]

    with pytest.raises(Overloaded):
        service.submit(picture("white")).reply()
    assert service.classify(RED).cache == "hit"
    held.released.set()
    assert [each.reply().cache for each in taken] == ["miss", "miss"]
    assert service.classify(picture("white")).cache == "miss"
    workers.close()


def test_who_leaves_gives_the_place_back_unless_others_wait_for_it(held, cache):
    workers = Workers(1, max_queue=1)
    service = Service(fake_classifier(held), cache, workers=workers)
    running = service.submit(picture("green"))
    assert wait_until(lambda: workers.running == 1)
    leaving, staying = service.submit(RED), service.submit(RED)

    leaving.abandon()
    assert workers.waiting == 1
    staying.abandon()
    assert workers.waiting == 0
    held.released.set()
    assert service.submit(RED).reply().cache == "miss"
    assert running.reply().cache == "miss"
    assert held.calls == 2
    workers.close()


class OtherProcess(MemoryCache):
    """A shared tier in which another process computes whatever is not there."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.claimed: list[str] = []

    def claim(self, key, seconds):
        self.claimed.append(key)
        return self.get(key), False

    def put_all(self, entries):
        for key, entry in entries:
            self.put(key, entry)


def test_what_another_process_computes_is_waited_for(engine, workers):
    shared = OtherProcess(100, 60)
    first = Service(fake_classifier(engine), TieredCache(MemoryCache(100, 60)), workers=workers)
    prediction = first.classify(RED).prediction
    service = Service(
        fake_classifier(engine), TieredCache(MemoryCache(100, 60), shared), workers=workers
    )
    pending = service.submit(RED)
    assert wait_until(lambda: len(shared.claimed) > 0)
    shared.put(shared.claimed[0], prediction)

    assert pending.reply().cache == "coalesced"
    assert engine.calls == 1


def test_nobody_waits_for_another_process_longer_than_computing_takes(engine, workers):
    cache = TieredCache(MemoryCache(100, 60), OtherProcess(100, 60))
    service = Service(fake_classifier(engine), cache, workers=workers)
    for colour in ("red", "green", "blue", *(f"#{number:06x}" for number in range(40))):
        assert service.classify(picture(colour)).cache == "miss"
    start = time.perf_counter()

    assert service.classify(picture("white")).cache == "miss"
    # The fake model takes far less than the tenth of a second that is first assumed.
    assert time.perf_counter() - start < 0.05
    assert engine.calls == 44


def test_predictions_are_values(service):
    prediction = service.classify(RED).prediction

    assert isinstance(prediction, Prediction)
    with pytest.raises(AttributeError):
        prediction.answer.text = "Something else."  # type: ignore[misc]
