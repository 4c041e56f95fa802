"""The service: cache outcomes, limits, and what decides a cached answer."""

import hashlib
from typing import Any

import pytest

from whatsit.cache.memory import MemoryCache
from whatsit.cache.tiers import TieredCache
from whatsit.errors import ImageTooLarge, ImageUnreadable, InvalidParameter
from whatsit.labels import LabelEntry, LabelSet
from whatsit.prediction import Prediction
from whatsit.service import Service
from whatsit.testing import COLOURS, FakeEngine, fake_card, fake_classifier, plain_picture

RED = plain_picture("red")


class Listener:
    """Writes down what the service reports."""

    def __init__(self) -> None:
        self.answers: list[str] = []
        self.refusals: list[str] = []

    def answered(self, outcome, timings_ms):
        assert timings_ms["total"] >= 0
        self.answers.append(outcome)

    def refused(self, code):
        self.refusals.append(code)


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
def service(engine, cache, listener) -> Service:
    return Service(fake_classifier(engine), cache, events=listener)


def test_the_second_answer_comes_from_the_cache(service, engine, listener):
    first, second = service.classify(RED), service.classify(RED)

    assert (first.cache, second.cache) == ("miss", "hit")
    assert first.prediction == second.prediction
    assert engine.calls == 1
    assert listener.answers == ["miss", "hit"]


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


def test_without_a_cache_every_answer_is_computed(engine):
    service = Service(fake_classifier(engine), None)

    assert [service.classify(RED).cache for _ in range(2)] == ["bypass", "bypass"]
    assert engine.calls == 2


def test_top_k_does_not_decide_what_is_stored(service):
    service.classify(RED, top_k=1)

    reply = service.classify(RED, top_k=3)
    assert reply.cache == "hit"
    assert len(reply.top) == 3


@pytest.mark.parametrize("top_k", [0, 21, -1])
def test_top_k_out_of_range_is_refused(service, listener, top_k):
    with pytest.raises(InvalidParameter):
        service.classify(RED, top_k=top_k)
    with pytest.raises(InvalidParameter):
        service.recall(RED, top_k=top_k)
    assert listener.refusals == ["invalid_parameter"]


def test_refusals_are_reported_by_their_code_and_not_cached(service, listener):
    for _ in range(2):
        with pytest.raises(ImageUnreadable):
            service.classify(b"nothing")
    with pytest.raises(ImageTooLarge):
        service.classify(b"x" * 20_000_001)

    assert listener.refusals == ["image_unreadable", "image_unreadable", "image_too_large"]


def test_an_entry_of_another_picture_is_never_given_out(service, cache):
    service.classify(RED)
    blue = plain_picture("blue")
    wrong = service.classify(RED).prediction
    cache.put(service._key(_sha256(blue)), wrong)

    assert service.recall(blue) is None
    reply = service.classify(blue)
    assert reply.cache == "miss"
    assert reply.prediction.answer.label == "blue thing"


def _sha256(picture: bytes) -> str:
    return hashlib.sha256(picture).hexdigest()


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
def test_a_change_of_an_ingredient_is_a_miss(service, cache, ingredient):
    service.classify(RED)
    changed = Service(fake_classifier(**CHANGES[ingredient]), cache)

    assert service.classify(RED).cache == "hit"
    assert changed.classify(RED).cache == "miss"


def test_another_precision_of_the_engine_is_a_miss(service, cache):
    class OtherEngine(FakeEngine):
        identity = "fake-bf16"

    service.classify(RED)

    assert Service(fake_classifier(OtherEngine()), cache).classify(RED).cache == "miss"


def test_another_name_or_description_is_still_a_hit(service, cache):
    service.classify(RED)
    same = Service(fake_classifier(card=fake_card(description="The same, in other words.")), cache)

    assert same.classify(RED).cache == "hit"


def test_predictions_are_values(service):
    prediction = service.classify(RED).prediction

    assert isinstance(prediction, Prediction)
    with pytest.raises(AttributeError):
        prediction.answer.text = "Something else."  # type: ignore[misc]
