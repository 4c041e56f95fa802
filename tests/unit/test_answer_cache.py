"""Entries by model and picture: what is kept comes back, and nothing that belongs elsewhere."""

from concurrent.futures import Future
from dataclasses import replace

import pytest

from whatsit.cache.answers import AnswerCache
from whatsit.cache.base import CacheEntry
from whatsit.cache.key import build_cache_key
from whatsit.cache.memory import MemoryCache
from whatsit.cache.tiers import TieredCache
from whatsit.explain import explain
from whatsit.prediction import ModelId
from whatsit.testing import fake_classifier, plain_picture

CLASSIFIER = fake_classifier()
MODEL = CLASSIFIER.model
PREDICTION = CLASSIFIER.classify(plain_picture("red"))
HEAT_MAP = explain(CLASSIFIER, plain_picture("red"), budget_seconds=0)
SHA = PREDICTION.image.sha256
PIXELS, OTHER = "a" * 64, "b" * 64


@pytest.fixture
def tiers() -> TieredCache:
    return TieredCache(MemoryCache(100, 60))


@pytest.fixture
def answers(tiers: TieredCache) -> AnswerCache:
    return AnswerCache(tiers, "ours")


def key(sha256: str, asked: str = "") -> str:
    return build_cache_key("ours", MODEL.fingerprint, sha256, asked)


def test_a_prediction_is_found_by_its_picture_and_by_its_pixels(answers, tiers):
    assert answers.recall(MODEL, SHA) is None
    assert answers.look_up(MODEL, SHA) is None
    answers.keep(PREDICTION, PIXELS)

    assert answers.recall(MODEL, SHA) is answers.look_up(MODEL, SHA) is PREDICTION
    assert answers.claim(MODEL, PIXELS, 1) == (PREDICTION, False)
    assert tiers.get(key(SHA)) is tiers.get(key(PIXELS, "pixels")) is PREDICTION


def test_what_came_from_other_pixels_is_kept_under_its_picture_alone(answers):
    answers.keep(PREDICTION)

    assert answers.recall(MODEL, SHA) is PREDICTION
    assert answers.claim(MODEL, PIXELS, 1) == (None, True)


@pytest.mark.parametrize("wrong", ["picture", "model", "name", "kind"])
def test_an_entry_that_belongs_elsewhere_is_not_given_out(answers, tiers, wrong):
    entries: dict[str, CacheEntry] = {
        "picture": replace(PREDICTION, image=replace(PREDICTION.image, sha256=OTHER)),
        "model": replace(PREDICTION, model=ModelId(MODEL.name, "f" * 64)),
        "name": replace(PREDICTION, model=ModelId("other", MODEL.fingerprint)),
        "kind": HEAT_MAP,
    }
    tiers.put(key(SHA), entries[wrong])

    assert answers.recall(MODEL, SHA) is None
    assert answers.look_up(MODEL, SHA) is None


@pytest.mark.parametrize("wrong", ["model", "kind"])
def test_pixels_with_an_entry_that_belongs_elsewhere_are_computed_at_once(answers, tiers, wrong):
    other = replace(PREDICTION, model=ModelId("other", MODEL.fingerprint))
    tiers.put(key(PIXELS, "pixels"), other if wrong == "model" else HEAT_MAP)

    assert answers.claim(MODEL, PIXELS, 1) == (None, True)


def test_a_heat_map_is_found_under_the_label_it_was_asked_for(answers, tiers):
    answers.keep_heat_map(HEAT_MAP, None)

    assert answers.look_up_heat_map(MODEL, SHA, None) is HEAT_MAP
    assert answers.look_up_heat_map(MODEL, SHA, HEAT_MAP.index) is None
    tiers.put(key(SHA, "why:2"), HEAT_MAP)
    assert answers.look_up_heat_map(MODEL, SHA, 2) is None, "it explains another label"


class LateTier(MemoryCache):
    """A shared tier that fails in a way that no tier should."""

    def get(self, key):
        raise OSError("gone")

    def put_all(self, entries):
        pass

    def claim(self, key, seconds):
        return None, True


def test_the_shared_tier_is_asked_without_waiting(tiers):
    assert AnswerCache(tiers, "ours").look_up_shared(MODEL, SHA).result(5) is None
    shared = LateTier(1, 60)
    asked: Future[object] = AnswerCache(  # type: ignore[assignment]
        TieredCache(MemoryCache(1, 60), shared), "ours"
    ).look_up_shared(MODEL, SHA)

    with pytest.raises(OSError, match="gone"):
        asked.result(5)
