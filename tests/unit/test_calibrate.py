"""What calibration fits on made-up models whose truth is known, and what it refuses."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whatsit.answer import softmax
from whatsit.errors import DatasetRejected
from whatsit.labels.label_set import LabelEntry, LabelSet
from whatsit.labels.taxonomy import Taxonomy
from whatsit.model_card import Thresholds
from whatsit.pipeline.calibrate import (
    CalibrationReport,
    apply_calibration,
    calibrate,
    measure_pictures,
)
from whatsit.pipeline.reliability import draw_reliability
from whatsit.quality.fit import fit, fit_set, fit_temperature
from whatsit.quality.measure import (
    calibration_error,
    chance_calibration_error,
    measure,
    reliability,
)
from whatsit.quality.measurements import Measurements
from whatsit.testing import fake_card, fake_classifier, plain_picture

CLASSES = 8
# Two groups of four.
TREE = Taxonomy(CLASSES, (-1, -1, 0, 0, 0, 0, 1, 1, 1, 1))
COLOURS = ("red", "lime", "blue")


def made_up(pictures: int, *, temperature: float = 1.0, seed: int = 0) -> Measurements:
    """A model whose softmax is exactly true once its logits are divided by `temperature`."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(pictures, CLASSES)).astype(np.float32) * 4
    chances = softmax(logits).astype(np.float64).cumsum(axis=1)
    truth = (rng.random((pictures, 1)) > chances).sum(axis=1).clip(max=CLASSES - 1)
    return Measurements(logits * np.float32(temperature), truth)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_made_the_scores_false_is_found(temperature):
    assert fit_temperature(made_up(4000, temperature=temperature)) == pytest.approx(
        temperature, rel=0.08
    )


def test_calibration_makes_scores_true():
    fitted = fit(made_up(2000, temperature=3.0), TREE)
    quality = measure(made_up(2000, temperature=3.0, seed=1), fitted, TREE)

    assert quality.ece_raw > 0.08
    assert quality.ece < quality.ece_chance + 0.015
    assert quality.level_ece < quality.level_ece_chance + 0.015


@pytest.mark.parametrize("seed", range(5))
def test_promises_hold_on_pictures_not_fitted_on(seed):
    report = calibrate(made_up(1200, temperature=2.0, seed=seed), TREE, halvings=4)
    held_out = report.summarise()

    assert held_out["sure.accuracy"].mean >= 0.94
    assert held_out["sure.share"].mean > 0.3
    assert held_out["set_coverage"].mean == pytest.approx(0.9, abs=0.03)


def test_thresholds_are_promises_themselves():
    fitted = fit(made_up(800), TREE)

    assert 0.75 <= fitted.probably <= fitted.sure <= 0.97
    assert fitted.sure_passed


def test_a_model_that_is_always_wrong_is_never_trusted():
    wrong = made_up(400)
    fitted = fit(Measurements(wrong.logits, (wrong.logits.argmax(axis=1) + 4) % CLASSES), TREE)

    assert (fitted.sure, fitted.sure_passed) == (0.97, False)


@given(st.integers(0, 1000), st.floats(0.3, 3))
def test_figures_agree_with_counting_them_by_hand(seed, temperature):
    measurements = made_up(60, temperature=temperature, seed=seed)
    fitted = fit(measurements, TREE)
    quality = measure(measurements, fitted, TREE)
    scores = softmax(measurements.logits, fitted.temperature)

    right = scores.argmax(axis=1) == measurements.class_indices
    truth = np.eye(CLASSES)[measurements.class_indices]
    assert quality.top1 == pytest.approx(right.mean())
    assert quality.brier == pytest.approx(((scores - truth) ** 2).sum(axis=1).mean(), abs=1e-5)
    assert quality.sure.share + quality.probably.share + quality.unsure == pytest.approx(1)
    assert quality.stated.pictures == quality.sure.pictures + quality.probably.pictures
    assert sum(one.pictures for one in quality.reliability) == 60


@given(st.integers(0, 1000))
def test_a_set_that_promises_less_by_its_score_is_never_smaller(seed):
    scores = softmax(made_up(1, seed=seed).logits)[0]
    sizes = [int((scores >= least).sum()) for least in np.linspace(1, 0.01, 25)]

    assert sizes == sorted(sizes)


def test_the_set_holds_the_right_class_of_nine_fitting_pictures_in_ten():
    measurements = made_up(500)
    scores = softmax(measurements.logits)
    least = fit_set(scores, measurements.class_indices)
    assert least is not None

    true_scores = scores[np.arange(500), measurements.class_indices]
    best = scores.argmax(axis=1) == measurements.class_indices
    assert 0.9 <= (best | (true_scores >= least)).mean() <= 0.92


def test_no_set_is_promised_where_twenty_labels_would_not_do():
    flat = np.full((200, 100), 0.01, dtype=np.float32)

    assert fit_set(flat, np.arange(200) % 100) is None


def test_no_set_is_promised_on_a_handful_of_pictures():
    measurements = made_up(8)

    assert fit_set(softmax(measurements.logits), measurements.class_indices) is None


def test_calibration_error_known_by_hand():
    scores = np.array([0.9, 0.9, 0.9, 0.9, 0.1])
    right = np.array([True, True, False, False, False])

    assert calibration_error(scores, right) == pytest.approx((4 * 0.4 + 0.1) / 5)
    assert [one.pictures for one in reliability(scores, right) if one.pictures] == [1, 4]


def test_chance_alone_makes_an_error_that_shrinks_with_more_pictures():
    rng = np.random.default_rng(0)
    few, many = (chance_calibration_error(rng.random(size), rng) for size in (100, 10_000))

    assert few > 4 * many > 0


def test_halves_share_no_picture_and_the_seed_decides_them():
    measurements = made_up(101)
    first, second = measurements.halves(3)
    again, _ = measurements.halves(3)
    other, _ = measurements.halves(4)

    rows = {tuple(row) for row in np.concatenate([first.logits, second.logits]).tolist()}
    assert (len(first), len(second), len(rows)) == (50, 51, 101)
    assert (first.logits == again.logits).all()
    assert not (first.logits == other.logits).all()


@pytest.fixture
def report() -> CalibrationReport:
    return calibrate(made_up(300), TREE, data_sha256="d" * 64, halvings=2)


def test_the_card_gets_what_was_fitted_on_all_pictures_and_keeps_the_rest(report):
    card = fake_card(quality={"published_top1": 0.7})
    calibrated = apply_calibration(card, report)

    assert calibrated.calibration.temperature == report.parameters.temperature
    assert calibrated.thresholds == Thresholds(
        sure=report.parameters.sure, probably=report.parameters.probably
    )
    assert calibrated.answer_set is not None
    assert calibrated.answer_set.least_score == report.parameters.set_least_score
    assert calibrated.quality["published_top1"] == 0.7
    assert calibrated.quality["answers"]["data_sha256"] == "d" * 64
    assert calibrated.quality["answers"]["sure_accuracy"] > 0.9
    assert calibrated.weights == card.weights
    assert calibrated.answer_facts() != card.answer_facts()


def test_the_diagram_is_a_png(report):
    assert draw_reliability(report.reliability(), "colours").startswith(b"\x89PNG")


# Reading pictures


@pytest.fixture
def folder(tmp_path):
    """120 pictures of three colours, labelled."""
    rows = ["file,class_index"]
    for number in range(120):
        colour = COLOURS[number % 3]
        (tmp_path / f"{number}.png").write_bytes(plain_picture(colour, (16 + number, 18)))
        rows.append(f"{number}.png,{number % 3}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    return tmp_path


def test_pictures_are_measured_in_the_order_of_their_labels(folder):
    measurements, digest = measure_pictures(fake_classifier(), folder, folder / "labels.csv")

    assert measurements.class_indices.tolist() == [0, 1, 2] * 40
    assert measurements.logits.argmax(axis=1).tolist() == [0, 1, 2] * 40
    assert len(digest) == 64


def test_the_digest_of_the_data_changes_with_a_picture_and_with_a_label(folder):
    def digest() -> str:
        return measure_pictures(fake_classifier(), folder, folder / "labels.csv")[1]

    digests = {digest()}
    (folder / "0.png").write_bytes(plain_picture("red", (20, 20)))
    digests.add(digest())
    table = folder / "labels.csv"
    table.write_text(table.read_text().replace("\n0.png,0", "\n0.png,1"))
    digests.add(digest())

    assert len(digests) == 3


def test_probabilities_are_turned_back_into_logits(folder):
    class ProbabilityEngine:
        identity = "fake-f32"
        num_classes = 3

        def infer(self, pixels):
            return np.array([[0.25, 0.5, 0.25]], dtype=np.float32)

        def close(self):
            pass

    classifier = fake_classifier(
        ProbabilityEngine(),  # type: ignore[arg-type]
        fake_card(output={"labels": "colours", "activation": "softmax"}),
    )
    measurements, _ = measure_pictures(classifier, folder, folder / "labels.csv")

    assert measurements.logits[0].tolist() == pytest.approx(
        [math.log(p) for p in (0.25, 0.5, 0.25)]
    )


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("name,class\n0.png,0\n", "has no column 'file'"),
        ("file,class\n0.png,0\n", "has no column 'class_index'"),
        ("file,class_index\n0.png,zero\n", "Line 2 of labels.csv .* must be a whole number"),
        ("file,class_index\n0.png\n", "Line 2 of labels.csv .* must be a whole number"),
        ("file,class_index\n\xb2.png,\xb2\n", "must be a whole number"),
        ("file,class_index\n0.png,3\n", "between 0 and 2"),
        ("file,class_index\n0.png,-1\n", "between 0 and 2"),
        ("file,class_index\n0.png,0\n", "needs 100 or more"),
        ("file,class_index\n" + "none.png,0\n" * 100, "'none.png' can't be used"),
        ("file,class_index\n" + "labels.csv,0\n" * 100, "'labels.csv' can't be used"),
    ],
)
def test_labels_that_do_not_fit_are_refused_with_the_reason(folder, table, sentence):
    (folder / "labels.csv").write_text(table)

    with pytest.raises(DatasetRejected, match=sentence):
        measure_pictures(fake_classifier(), folder, folder / "labels.csv")


def test_a_missing_table_is_refused(folder):
    with pytest.raises(DatasetRejected, match="can't be read"):
        measure_pictures(fake_classifier(), folder, folder / "none.csv")


def test_a_label_set_without_groups_is_calibrated_too():
    labels = LabelSet("flat", tuple(LabelEntry(f"class {index}") for index in range(CLASSES)))
    quality = calibrate(made_up(400), labels.taxonomy, halvings=1).held_out[0]

    assert quality.stated.class_share == 1
    assert quality.stated.group_accuracy is None
