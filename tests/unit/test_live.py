"""What is live is one fact, changed in one step, and never a model that can't be opened."""

import threading

import pytest

from whatsit.errors import InvalidModelCard, NothingToRollBack, UnknownModel, WeightsRejected
from whatsit.models.catalogue import BUNDLED_MODEL, bundled_folder
from whatsit.models.live import LiveAlias, LiveState
from whatsit.models.store import ModelStore


@pytest.fixture
def home(tmp_path):
    store = ModelStore(tmp_path)
    for name in ("petals.v1", "petals.v2"):
        store.add(bundled_folder(), name)
    return tmp_path


@pytest.fixture
def alias(home):
    return LiveAlias(home)


def names(state: LiveState) -> list[str]:
    return [entry.name for entry in state.history]


def test_nothing_is_live_before_something_is_promoted(alias):
    assert alias.read() == LiveState()
    assert alias.read().current is None


def test_the_promoted_model_is_live_and_the_earlier_ones_are_remembered(alias):
    alias.promote("petals.v1")
    alias.promote("petals.v2")

    assert names(alias.read()) == ["petals.v2", "petals.v1"]


def test_the_bundled_model_can_be_live(alias):
    assert names(alias.promote(BUNDLED_MODEL)) == [BUNDLED_MODEL]


def test_an_unknown_model_does_not_go_live(alias):
    alias.promote("petals.v1")

    with pytest.raises(UnknownModel):
        alias.promote("petals.v9")
    assert names(alias.read()) == ["petals.v1"]


def test_a_damaged_model_does_not_go_live(alias, home):
    alias.promote("petals.v1")
    weights = home / "models" / "petals.v2" / "model.onnx"
    weights.write_bytes(weights.read_bytes()[:-1])

    with pytest.raises(WeightsRejected):
        alias.promote("petals.v2")
    assert names(alias.read()) == ["petals.v1"]


def test_rolling_back_makes_the_earlier_model_live_and_forgets_the_later_one(alias):
    alias.promote("petals.v1")
    alias.promote("petals.v2")

    assert names(alias.roll_back()) == ["petals.v1"]
    with pytest.raises(NothingToRollBack):
        alias.roll_back()
    assert names(alias.read()) == ["petals.v1"]


def test_rolling_back_passes_over_the_same_model_promoted_twice(alias):
    for name in ("petals.v1", "petals.v2", "petals.v2"):
        alias.promote(name)

    assert names(alias.roll_back()) == ["petals.v1"]


def test_a_canary_has_a_share_until_a_model_goes_live(alias):
    alias.promote("petals.v1")

    canary = alias.try_beside("petals.v2", 0.1).canary
    assert canary is not None
    assert (canary.name, canary.ratio) == ("petals.v2", 0.1)
    assert alias.read().canary == canary
    assert alias.promote("petals.v2").canary is None


@pytest.mark.parametrize("ratio", [0.0, 1.0, -0.5, float("nan")])
def test_a_canary_never_has_all_or_nothing(alias, ratio):
    with pytest.raises(ValueError, match="between 0 and 1"):
        alias.try_beside("petals.v2", ratio)


def test_a_canary_can_be_ended(alias):
    alias.promote("petals.v1")
    alias.try_beside("petals.v2", 0.5)

    assert alias.end_canary().canary is None
    assert names(alias.read()) == ["petals.v1"]


@pytest.mark.parametrize("damage", ["", "[]", '{"history": 3}', '{"history": [{"x": 1}]}', "nul"])
def test_a_damaged_file_says_that_nothing_is_live(alias, damage):
    alias.promote("petals.v1")
    alias.file.write_text(damage)

    assert alias.read() == LiveState()


def test_promotions_at_the_same_time_are_all_remembered(alias):
    threads = [
        threading.Thread(target=alias.promote, args=(f"petals.v{1 + number % 2}",))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(alias.read().history) == 8


def test_no_model_can_be_called_live(home):
    with pytest.raises(InvalidModelCard, match="another name"):
        ModelStore(home).add(bundled_folder(), "live")
