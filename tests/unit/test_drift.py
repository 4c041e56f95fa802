"""The index against values computed by hand, what chance does to it, and what is counted."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whatsit.drift.bins import Bins
from whatsit.drift.reference import BINS, describe_reference, place_edges
from whatsit.drift.report import (
    MIN_PICTURES,
    Drift,
    SignalDrift,
    WindowDrift,
    measure_window,
    next_step,
)
from whatsit.drift.signals import CERTAINTIES, SIGNALS, describe_signals
from whatsit.drift.stability_index import chance_index, chance_limit, population_stability_index
from whatsit.drift.watch import DAY, LATEST, Watch, WatchReport
from whatsit.drift.windows import HourlyPictures, RecentPictures, WindowCounts
from whatsit.model_card import Reference, ReferenceSignal
from whatsit.prediction import Answer, ImageFacts, ModelId, Prediction, ScoredLabel

MANY = 10**9
ONE_SIGNAL = Reference(
    pictures=300,
    dataset="photographs",
    signals={"score": ReferenceSignal(edges=(0.5, 0.9), shares=(0.2, 0.3, 0.5))},
)
MODEL, OTHER = ModelId("birds", "a" * 64), ModelId("owls", "b" * 64)


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def predicted(
    number: int = 0, score: float = 0.7, model: ModelId = MODEL, *, recognised: bool = True
) -> Prediction:
    top = (ScoredLabel("owl", None, 0, score), ScoredLabel("crow", None, 1, 0.1))
    answer = Answer("An owl.", "owl", None, score, "unsure", recognised=recognised)
    return Prediction(model, answer, top, ImageFacts(400, 300, "JPEG", f"{number:064d}"))


def watching(clock: Clock | None = None, reference: Reference | None = ONE_SIGNAL) -> Watch:
    watch = Watch(clock or Clock())
    watch.serve(MODEL, reference)
    return watch


def reported(watch: Watch, *others: str) -> WatchReport:
    report = watch.report(others)
    assert report is not None
    return report


# The index


@pytest.mark.parametrize(
    ("shares", "counts", "index"),
    [
        # A picture is given beforehand: (90 + 0.5) / 101 and (10 + 0.5) / 101 against a half each.
        ((0.5, 0.5), (90, 10), (80 / 101) * math.log(90.5 / 10.5) / 2),
        ((0.5, 0.5), (50, 50), 0.0),
        # Half a picture for each of four bins: a quarter of (100 + 2), less 0.5.
        (
            (0.25,) * 4,
            (100, 0, 0, 0),
            (100.5 / 102 - 0.25) * math.log(4 * 100.5 / 102)
            + 3 * (0.5 / 102 - 0.25) * math.log(4 * 0.5 / 102),
        ),
        ((0.2, 0.8), (0, 0), 0.0),
    ],
)
def test_the_index_is_what_it_is_by_hand(shares, counts, index):
    assert population_stability_index(shares, counts, MANY) == pytest.approx(index, abs=1e-6)


def test_a_bin_that_was_empty_in_the_reference_has_an_index():
    # (0 + 0.5) / 101 and (100 + 0.5) / 101 of the reference; one of 100 pictures lies in it now.
    then = 0.5 / 101
    now = (1 + then) / 101
    index = (now - then) * math.log(now / then) + (then - now) * math.log((1 - now) / (1 - then))

    assert population_stability_index((0.0, 1.0), (1, 99), 100) == pytest.approx(index)


@given(st.data())
def test_the_index_is_never_negative_and_knows_no_order(data):
    size = data.draw(st.integers(2, 12))
    weights = data.draw(st.lists(st.integers(0, 100), min_size=size, max_size=size))
    weights[0] += 1
    counts = data.draw(st.lists(st.integers(0, 1000), min_size=size, max_size=size))
    order = data.draw(st.permutations(range(size)))
    shares = [weight / sum(weights) for weight in weights]

    index = population_stability_index(shares, counts, 300)

    assert 0 <= index < 30
    shuffled = ([shares[place] for place in order], [counts[place] for place in order])
    assert population_stability_index(*shuffled, 300) == pytest.approx(index)


@given(st.integers(1, 50), st.integers(2, 40))
def test_more_pictures_of_another_kind_raise_the_index(pictures, times):
    few = population_stability_index((0.1, 0.9), (pictures, 0), 300)

    assert population_stability_index((0.1, 0.9), (pictures * times, 0), 300) > few > 0


# Chance


@pytest.mark.parametrize(
    ("degrees", "ratio", "quantile"),
    # From a printed table of chi-square.
    [(9, 0.05, 16.919), (9, 0.001, 27.877), (3, 0.001, 16.266), (1, 0.001, 10.828)],
)
def test_limits_are_quantiles_of_chi_square(degrees, ratio, quantile):
    limit = chance_limit(degrees + 1, 1, MANY, ratio)

    # What it is off by is on the safe side.
    assert quantile * 0.999 < limit < quantile * 1.04


@pytest.mark.parametrize(("observed", "reference"), [(100, 300), (1000, 300), (1000, 1000)])
def test_two_samples_of_one_distribution_show_the_index_that_chance_predicts(observed, reference):
    rng = np.random.default_rng(7)
    true = np.full(BINS, 1 / BINS)
    indices = [
        population_stability_index(
            (rng.multinomial(reference, true) / reference).tolist(),
            rng.multinomial(observed, true).tolist(),
            reference,
        )
        for _ in range(2000)
    ]

    expected = chance_index(BINS, observed, reference)
    # What is given beforehand takes up to a tenth off where few pictures are observed.
    assert 0.85 * expected < np.mean(indices) < 1.05 * expected
    above = np.mean(np.array(indices) > chance_limit(BINS, observed, reference, 0.01))
    assert above < 0.02


@pytest.mark.parametrize("observed", [MIN_PICTURES, 100, 1000])
def test_pictures_like_the_references_are_as_usual(observed):
    rng = np.random.default_rng(observed)
    said = []
    for _ in range(300):
        reference = Reference(pictures=300, signals=dict.fromkeys(SIGNALS, _drawn(rng, 300)))
        bins = Bins(reference)
        counts = np.concatenate([rng.multinomial(observed, [1 / BINS] * BINS) for _ in SIGNALS])
        counted = WindowCounts(observed, 0.0, tuple(counts.tolist()))
        said.append(measure_window(LATEST, counted, bins).drift)

    assert said.count("as usual") >= 298


def _drawn(rng: np.random.Generator, pictures: int) -> ReferenceSignal:
    shares = rng.multinomial(pictures, [1 / BINS] * BINS) / pictures
    return ReferenceSignal(edges=tuple(range(BINS - 1)), shares=tuple(shares.tolist()))


@pytest.mark.parametrize(
    ("pictures", "counts", "drift"),
    [
        (300, (5, 5, 19), "too few"),
        (300, (60, 90, 150), "as usual"),
        # 0.2 by hand, but chance makes as much of thirty pictures.
        (300, (12, 9, 9), "as usual"),
        (MANY, (3200, 3400, 3400), "shifting"),
        (MANY, (6000, 2000, 2000), "different"),
    ],
)
def test_what_is_said_depends_on_the_index_and_on_how_many_pictures_there_are(
    pictures, counts, drift
):
    reference = Reference(pictures=pictures, signals=ONE_SIGNAL.signals)
    counted = WindowCounts(sum(counts), 0.0, counts)

    assert measure_window(LATEST, counted, Bins(reference)).drift == drift


def test_size_and_shape_alone_are_no_drift():
    signal = ReferenceSignal(edges=(300.0,), shares=(0.5, 0.5))
    bins = Bins(Reference(pictures=300, signals={"score": signal, "shorter_side": signal}))
    window = measure_window(LATEST, WindowCounts(1000, 0.0, (500, 500, 0, 1000)), bins)

    assert [one.drift for one in window.signals] == ["as usual", "different"]
    assert window.drift == "as usual"


# The reference


def test_bins_of_the_reference_are_filled_alike():
    values = np.random.default_rng(1).normal(size=1000)
    edges = place_edges(values)
    counts = np.bincount(np.searchsorted(edges, values))

    assert len(edges) == BINS - 1
    assert counts.tolist() == [100] * BINS


def test_a_value_that_many_pictures_share_has_a_bin_of_its_own():
    values = np.array([375.0] * 400 + list(range(100, 375)) + list(range(376, 701)))
    edges = np.array(place_edges(values))
    below, above = edges[edges < 375].max(), edges[edges > 375].min()

    assert above - below <= 40
    assert ((values > below) & (values < above)).mean() < 0.46


def test_where_all_values_are_equal_others_are_told_from_them():
    edges = place_edges(np.full(300, 227.0))

    places = np.searchsorted(edges, [100.0, 227.0, 4000.0])
    assert len(set(places.tolist())) == 3


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=200))
def test_edges_rise_whatever_the_values_are(values):
    edges = place_edges(np.array(values))

    assert edges == tuple(sorted(set(edges)))
    assert 1 <= len(edges) <= BINS + 1


def test_a_reference_is_summed_up_from_signals_that_all_pictures_have():
    pictures = [
        {"score": number / 200, "certainty": float(number % 2), "margin": 0.1}
        for number in range(200)
    ]
    del pictures[7]["margin"]
    reference = describe_reference(pictures, "numbers")

    assert (reference.pictures, reference.dataset) == (200, "numbers")
    assert list(reference.signals) == ["score", "certainty"]
    assert reference.signals["certainty"].shares == (0.5, 0.5, 0.0, 0.0)
    assert all(sum(signal.shares) == pytest.approx(1) for signal in reference.signals.values())


def test_the_signals_of_an_answer():
    signals = describe_signals(predicted(score=0.7), None, None)

    assert signals == pytest.approx(
        {"score": 0.7, "margin": 0.6, "certainty": 2, "shorter_side": 300, "aspect_ratio": 4 / 3}
    )
    odd = describe_signals(predicted(recognised=False), -7.5, np.arange(6.0))
    assert CERTAINTIES[int(odd["certainty"])] == "unrecognised"
    assert odd["familiarity"] == -7.5
    assert set(odd) == set(SIGNALS)


# What is counted


def test_the_latest_pictures_push_the_oldest_out():
    recent = RecentPictures(2, most=3)
    for number in range(5):
        recent.add(str(number), (int(number > 3),), float(number))

    assert recent.counts() == WindowCounts(3, 2.0, (2, 1))
    assert recent.holds("2")
    assert not recent.holds("1")


def test_pictures_of_a_day_ago_are_forgotten():
    hourly = HourlyPictures(2, hours=24)
    hour = 3600.0
    hourly.add((0,), 10 * hour)
    hourly.add((1,), 20.5 * hour)
    hourly.add((1,), 20.6 * hour)

    assert hourly.counts(33.9 * hour) == WindowCounts(3, 10 * hour, (1, 2))
    assert hourly.counts(34 * hour) == WindowCounts(2, 20.5 * hour, (0, 2))
    assert hourly.counts(90 * hour) == WindowCounts(0, None, (0, 0))


def test_the_hours_take_no_more_room_than_a_day():
    hourly = HourlyPictures(1, hours=24)
    for number in range(100):
        hourly.add((0,), number * 3600.0)

    assert len(hourly._hours) == 24
    assert hourly.counts(99 * 3600.0).pictures == 24


def test_a_picture_counts_once_among_the_latest():
    watch = watching()
    for number in (1, 2, 1, 1):
        watch.computed(predicted(number), {"score": 0.7})

    report = reported(watch)
    assert [window.pictures for window in report.windows] == [2, 2]
    assert watch.totals()["score"].counts == (0, 2, 0)
    assert watch.totals()["score"].total == pytest.approx(1.4)


def test_a_value_on_an_edge_belongs_below_it():
    watch = watching()
    for number, score in enumerate((0.5, 0.500001, 0.9, 1.0)):
        watch.computed(predicted(number, score), {"score": score})

    # As the buckets of Prometheus, whose upper end belongs to them.
    assert watch.totals()["score"].counts == (1, 2, 1)


def test_answers_of_another_model_are_not_counted_and_a_swap_begins_again():
    clock = Clock()
    watch = watching(clock)
    watch.computed(predicted(1, model=OTHER), {"score": 0.7})
    watch.computed(predicted(2), {"score": 0.7})
    assert reported(watch).windows[0].pictures == 1

    clock.now += 60
    watch.serve(OTHER, ONE_SIGNAL)
    watch.computed(predicted(2), {"score": 0.7})
    report = reported(watch)
    assert (report.model, report.since) == (OTHER, clock.now)
    assert [window.pictures for window in report.windows] == [0, 0]


def test_without_a_reference_nothing_is_counted():
    watch = watching(reference=None)
    watch.computed(predicted(), {"score": 0.7})

    report = reported(watch)
    assert (report.reference, report.windows) == (None, ())
    assert (watch.snapshot(), watch.totals()) == ("", {})


def test_processes_add_up_what_they_counted_for_the_same_model():
    clock = Clock()
    first, second, third = watching(clock), watching(clock), Watch(clock)
    third.serve(OTHER, ONE_SIGNAL)
    for number in range(20):
        first.computed(predicted(number, 0.3), {"score": 0.3})
        second.computed(predicted(number, 0.3), {"score": 0.3})
        third.computed(predicted(number, 0.3, OTHER), {"score": 0.3})
    alone, joined = reported(first), reported(first, second.snapshot(), third.snapshot())

    assert {window.window for window in joined.windows} == {DAY, LATEST}
    assert [window.pictures for window in joined.windows] == [40, 40]
    assert joined.windows[0].signals[0].counts == (40, 0, 0)
    assert [window.drift for window in alone.windows] == ["too few", "too few"]
    assert [window.drift for window in joined.windows] == ["different", "different"]


# What to do


@pytest.mark.parametrize(
    ("drifts", "words"),
    [
        (("as usual", "too few"), None),
        (("as usual", "shifting"), "Correct answers on the page"),
        (("shifting", "different"), "whatsit pipeline run"),
    ],
)
def test_the_next_step_is_named_where_there_is_one(drifts, words):
    step = next_step([_window(drift) for drift in drifts])

    assert step is None if words is None else words in (step or "")


def _window(drift: Drift) -> WindowDrift:
    signal = SignalDrift("score", 0.5, drift, ONE_SIGNAL.signals["score"], (1, 2, 3))
    return WindowDrift(LATEST, 6, 0.0, (signal,))
