"""Familiarity: what each of its two signs does."""

import numpy as np
import pytest

from whatsit.familiarity import (
    STATISTICS,
    best_log_probability,
    describe_pixels,
    familiarity,
)
from whatsit.model_card import Recognition
from whatsit.pipeline.recognition import fit_profile, fit_threshold

ENTROPY, FLAT, FINE, COARSE, SPREAD, SATURATION = range(6)
PLAIN = Recognition.model_validate(
    {
        "method": "certainty+pixels",
        "threshold": -5.0,
        "certainty_weight": 1.5,
        "centre": (3.0, 0.2, 2.8, 3.7, 4.0, 3.5),
        "whitening": np.eye(6).tolist(),
    }
)


def grey_noise(size: int = 260, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).integers(0, 256, (size, size, 1), dtype=np.uint8)
    return np.repeat(values, 3, axis=2)


def colour_noise(size: int = 260, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def one_colour(level: int, size: int = 260) -> np.ndarray:
    return np.full((size, size, 3), level, dtype=np.uint8)


def logits_with_top(height: float) -> np.ndarray:
    logits = np.zeros(1000, dtype=np.float32)
    logits[7] = height
    return logits


def test_one_colour_has_no_entropy_and_is_wholly_flat():
    statistics = describe_pixels(one_colour(77))

    assert statistics.shape == (len(STATISTICS),)
    assert statistics[ENTROPY] == pytest.approx(0)
    assert statistics[FLAT] == 1
    assert statistics[SPREAD] == pytest.approx(0, abs=1e-4)
    assert statistics[SATURATION] == pytest.approx(np.log(2))


def test_two_halves_have_the_entropy_of_a_coin():
    pixels = one_colour(0, 256)
    pixels[:, 128:] = 255

    statistics = describe_pixels(pixels)

    assert statistics[ENTROPY] == pytest.approx(np.log(2))
    assert statistics[SPREAD] == pytest.approx(np.log(127.5 + 1), abs=1e-3)
    # One of 63 neighbours across differs, none of the 63 down: half of them, times 255.
    assert statistics[FLAT] == pytest.approx(1 - 1 / 63 / 2)
    assert statistics[FINE] == pytest.approx(np.log(255 / 63 / 2 + 0.5), abs=1e-3)
    assert statistics[COARSE] == pytest.approx(np.log(255 * 8 / 56 / 2 + 0.5), abs=1e-3)


def test_only_colour_raises_saturation():
    assert describe_pixels(grey_noise())[SATURATION] == pytest.approx(np.log(2))
    assert describe_pixels(colour_noise())[SATURATION] > 4


@pytest.mark.parametrize("size", [16, 63, 64, 65, 96, 224, 260, 384, 640])
def test_every_input_size_gives_finite_statistics(size):
    for pixels in (one_colour(0, size), one_colour(255, size), colour_noise(size)):
        assert np.isfinite(describe_pixels(pixels)).all()


@pytest.mark.parametrize("size", [224, 260, 384, 512])
def test_the_size_of_the_input_hardly_matters(size):
    # A scene of eight stripes and a slope, drawn at each size.
    x = np.linspace(0, 8, size, endpoint=False)
    levels = (np.floor(x) * 20 + 40 * np.linspace(0, 1, size)[:, None]).astype(np.uint8)
    pixels = np.repeat(levels[:, :, None], 3, axis=2)

    reference = describe_pixels(np.ascontiguousarray(pixels))
    assert reference[SPREAD] == pytest.approx(3.87, abs=0.05)
    assert reference[ENTROPY] == pytest.approx(1.67, abs=0.1)


def test_certainty_is_the_softmax_of_the_best_label():
    logits = np.array([1.0, 3.0, 2.0], dtype=np.float32)
    expected = np.exp(3) / np.exp([1, 2, 3]).sum()

    assert best_log_probability(logits) == pytest.approx(np.log(expected))
    assert best_log_probability(logits + 500) == pytest.approx(np.log(expected))
    assert best_log_probability(np.array([0, 5000], dtype=np.float32)) == 0


def test_familiarity_rises_with_certainty():
    scores = [familiarity(logits_with_top(top), colour_noise(), PLAIN) for top in range(20)]

    assert scores == sorted(scores)
    assert scores[-1] > scores[0] + 5


def test_familiarity_is_never_above_zero_and_zero_weight_leaves_the_pixels():
    pixels_alone = PLAIN.model_copy(update={"certainty_weight": 0.0})
    expected = -np.linalg.norm(describe_pixels(colour_noise()) - np.array(PLAIN.centre))

    assert familiarity(logits_with_top(99), colour_noise(), PLAIN) <= 0
    assert familiarity(logits_with_top(3), colour_noise(), pixels_alone) == pytest.approx(expected)


def test_familiarity_falls_with_distance_from_the_centre():
    centre = tuple(describe_pixels(colour_noise()).tolist())
    scores = [
        familiarity(
            logits_with_top(9),
            colour_noise(),
            PLAIN.model_copy(update={"centre": (centre[0] - step, *centre[1:])}),
        )
        for step in range(5)
    ]

    assert np.diff(scores) == pytest.approx([-1, -1, -1, -1])


def photographs_like(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(6, 6))
    looks = rng.normal(size=(count, 6)) @ mixing + np.arange(6)
    return -rng.exponential(0.5, count), looks


def share_below(profile: Recognition, sure: np.ndarray, looks: np.ndarray) -> float:
    steps = (looks - np.array(profile.centre)) @ np.array(profile.whitening).T
    scores = profile.certainty_weight * sure - np.linalg.norm(steps, axis=1)
    return float((scores < profile.threshold).mean())


@pytest.mark.parametrize("ratio", [0.02, 0.05, 0.2])
def test_a_fitted_profile_keeps_its_promise_on_other_photographs(ratio):
    found = [
        share_below(
            fit_profile(*photographs_like(325, seed), ratio), *photographs_like(2000, 1000 + seed)
        )
        for seed in range(10)
    ]

    # Ten fits on 325: the standard error of the mean is below 0.005 for ratios up to 0.05.
    assert np.mean(found) == pytest.approx(ratio, abs=0.02)


def test_a_fitted_profile_whitens_its_photographs():
    sure, looks = photographs_like(4000, 1)

    profile = fit_profile(sure, looks)
    steps = (looks - np.array(profile.centre)) @ np.array(profile.whitening).T

    assert np.cov(steps.T) == pytest.approx(np.eye(6), abs=0.02)


def test_a_statistic_that_never_varies_does_no_harm():
    sure, looks = photographs_like(100, 2)
    looks[:, SATURATION] = np.log(2)

    profile = fit_profile(sure, looks)

    assert np.isfinite(profile.whitening).all()
    assert share_below(profile, sure, looks) < 0.1
    looks[:, SATURATION] += 0.01
    assert share_below(profile, sure, looks) < 0.1


def test_the_threshold_refuses_the_promised_share():
    scores = np.random.default_rng(3).normal(size=1000)

    thresholds = [fit_threshold(scores, ratio) for ratio in (0.01, 0.05, 0.5)]

    assert thresholds == sorted(thresholds)
    assert (scores < thresholds[1]).sum() == 50


@pytest.mark.parametrize(
    ("scores", "ratio", "part"),
    [([], 0.05, "without scores"), ([1.0], 0.0, "0.0"), ([1.0], 1.0, "1.0")],
)
def test_a_threshold_needs_scores_and_a_ratio(scores, ratio, part):
    with pytest.raises(ValueError, match=part):
        fit_threshold(scores, ratio)


def test_a_profile_needs_enough_photographs_and_matching_arrays():
    sure, looks = photographs_like(60, 4)

    with pytest.raises(ValueError, match="49 photographs"):
        fit_profile(sure[:49], looks[:49])
    with pytest.raises(ValueError, match="shape"):
        fit_profile(sure, looks[:, :5])
