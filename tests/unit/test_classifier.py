"""A classifier joins a model, its labels and an engine; its fingerprint names what decides."""

import hashlib
import re
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from whatsit.answer import Logits, softmax
from whatsit.cache.codec import decode_prediction, encode_prediction
from whatsit.classifier import Classifier, Stopwatch, build_fingerprint
from whatsit.data import example_pictures
from whatsit.errors import (
    ImageTooLarge,
    ImageTooManyPixels,
    ImageUnreadable,
    InferenceFailed,
    InvalidModelCard,
)
from whatsit.images.preprocess import ImageHWC
from whatsit.labels.label_set import LabelEntry, LabelSet
from whatsit.testing import COLOURS, FakeEngine, fake_card, fake_classifier, plain_picture

INPUT = fake_card().input.model_dump()


class SoftmaxEngine(FakeEngine):
    """Answers with probabilities, as some published models do."""

    def infer(self, pixels: ImageHWC) -> Logits:
        return softmax(super().infer(pixels))


class BrokenEngine(FakeEngine):
    """Answers with something that is no number."""

    def infer(self, pixels: ImageHWC) -> Logits:
        return super().infer(pixels) * np.float32(np.nan)


class ClosableEngine(FakeEngine):
    """Remembers that it was closed."""

    closed = False

    def close(self) -> None:
        self.closed = True


def fingerprint(
    *, labels: LabelSet = COLOURS, engine: str = FakeEngine.identity, **card: Any
) -> str:
    return build_fingerprint(fake_card(**card), labels, engine)


def with_entry(index: int, **changes: Any) -> LabelSet:
    """The colours with one entry changed."""
    entries = list(COLOURS.entries)
    entries[index] = replace(entries[index], **changes)
    return LabelSet(COLOURS.name, tuple(entries))


# Answers


@pytest.mark.parametrize("colour", ["red", "lime", "blue"])
@pytest.mark.parametrize("image_format", ["PNG", "JPEG"])
def test_a_plain_colour_is_called_by_its_name(colour, image_format):
    prediction = fake_classifier().classify(plain_picture(colour, image_format=image_format))

    name = {"lime": "green"}.get(colour, colour)
    assert prediction.answer.text == f"A {name} thing (99 %)."
    assert prediction.answer.label == prediction.top[0].label == f"{name} thing"


def test_a_prediction_holds_the_facts_of_its_picture_and_model():
    classifier = fake_classifier()
    picture = plain_picture("red", size=(32, 24))

    prediction = classifier.classify(picture)

    assert (prediction.image.width, prediction.image.height) == (32, 24)
    assert prediction.image.format == "PNG"
    assert prediction.image.sha256 == hashlib.sha256(picture).hexdigest()
    assert prediction.model == classifier.model
    assert classifier.model.name == "colours"
    assert len(prediction.top) == 3


def test_a_digest_that_is_known_already_is_not_computed_again():
    prediction = fake_classifier().classify(plain_picture("red"), sha256="known")

    assert prediction.image.sha256 == "known"


def test_a_path_and_its_bytes_give_the_same(tmp_path):
    picture = plain_picture("blue")
    path = tmp_path / "blue.png"
    path.write_bytes(picture)
    classifier = fake_classifier()

    assert classifier.classify(path) == classifier.classify(str(path))
    assert classifier.classify(path) == classifier.classify(picture)


def test_a_format_is_recognised_by_content_however_the_file_is_named(tmp_path):
    path = tmp_path / "picture.jpg"
    path.write_bytes(plain_picture("red", image_format="PNG"))

    assert fake_classifier().classify(path).image.format == "PNG"


def test_the_top_has_20_labels_at_most():
    class ManyColours(FakeEngine):
        num_classes = 30

        def infer(self, pixels: ImageHWC) -> Logits:
            return np.arange(30, dtype=np.float32)[None]

    labels = LabelSet("many", tuple(LabelEntry(f"colour {index}") for index in range(30)))

    top = fake_classifier(ManyColours(), labels=labels).classify(plain_picture("red")).top

    assert [entry.index for entry in top] == list(range(29, 9, -1))


def test_probabilities_of_an_engine_give_the_same_top_as_its_logits():
    picture = plain_picture("orange")
    card = fake_card(output={"labels": "colours", "activation": "softmax"})

    from_logits = fake_classifier().classify(picture).top
    from_probabilities = fake_classifier(SoftmaxEngine(), card).classify(picture).top

    assert [entry.label for entry in from_probabilities] == [entry.label for entry in from_logits]
    assert [entry.score for entry in from_probabilities] == pytest.approx(
        [entry.score for entry in from_logits],
        abs=1e-6,  # probabilities pass through float32 once more
    )


@pytest.mark.parametrize("engine", [FakeEngine(), SoftmaxEngine()])
def test_a_temperature_flattens_probabilities_and_logits_alike(engine):
    activation = "softmax" if isinstance(engine, SoftmaxEngine) else "none"
    output = {"labels": "colours", "activation": activation}
    warm = fake_card(output=output, calibration={"temperature": 10})

    # Red pixels have the logits 10, 0, 0.
    score = fake_classifier(engine, warm).classify(plain_picture("red")).answer.score

    assert score == pytest.approx(np.e / (np.e + 2), abs=1e-6)


def test_the_certainty_follows_the_thresholds_of_the_card():
    strict = fake_card(thresholds={"sure": 1.0, "probably": 0.5})

    answer = fake_classifier(card=strict).classify(plain_picture("red")).answer

    assert answer.certainty == "probably"


def test_the_time_of_each_stage_is_told():
    stopwatch = Stopwatch()

    fake_classifier().classify(plain_picture("red"), stopwatch=stopwatch)

    assert list(stopwatch.timings_ms) == ["decode", "preprocess", "infer", "answer"]
    assert all(milliseconds >= 0 for milliseconds in stopwatch.timings_ms.values())


def test_a_stage_that_runs_twice_adds_up():
    stopwatch = Stopwatch({"infer": 5.0})

    with stopwatch.measure("infer"):
        pass

    assert stopwatch.timings_ms["infer"] > 5


# Refusals


@pytest.mark.parametrize("names", [2, 4])
def test_labels_that_do_not_fit_the_outputs_are_refused_with_both_numbers(names):
    labels = LabelSet("other", tuple(LabelEntry(f"class {index}") for index in range(names)))

    with pytest.raises(InvalidModelCard, match=f"3 outputs.*'other' name {names} classes"):
        fake_classifier(labels=labels)


def test_what_is_no_picture_does_not_reach_the_engine():
    engine = FakeEngine()

    with pytest.raises(ImageUnreadable):
        fake_classifier(engine).classify(b"no picture")

    assert engine.calls == 0


@pytest.mark.parametrize(
    ("limits", "error"),
    [({"max_upload_bytes": 50}, ImageTooLarge), ({"max_pixels": 767}, ImageTooManyPixels)],
)
def test_its_limits_hold_for_every_picture(limits, error):
    classifier = Classifier(fake_card(), COLOURS, FakeEngine(), **limits)

    with pytest.raises(error):
        classifier.classify(plain_picture("red", size=(32, 24)))


@pytest.mark.parametrize("activation", ["none", "softmax"])
def test_an_answer_that_is_no_number_is_an_error_not_an_answer(activation):
    card = fake_card(output={"labels": "colours", "activation": activation})

    with pytest.raises(InferenceFailed, match="colours"):
        fake_classifier(BrokenEngine(), card).classify(plain_picture("red"))


def test_a_path_that_leads_nowhere_is_the_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        fake_classifier().classify(tmp_path / "missing.png")


# Life cycle


def test_warming_up_runs_the_engine_once():
    engine = FakeEngine()

    fake_classifier(engine).warm_up()

    assert engine.calls == 1


def test_leaving_the_block_closes_the_engine():
    engine = ClosableEngine()

    with fake_classifier(engine):
        assert not engine.closed

    assert engine.closed


# Fingerprint


@pytest.mark.parametrize(
    "ingredient",
    [
        {"weights": {"sha256": "1" * 64}},
        {"input": {**INPUT, "size": 17}},
        {"input": {**INPUT, "resize_shorter_side": 19}},
        {"input": {**INPUT, "interpolation": "bicubic"}},
        {"input": {**INPUT, "channel_order": "BGR"}},
        {"input": {**INPUT, "scale": 1.0}},
        {"input": {**INPUT, "mean": (0.0, 0.0, 0.1)}},
        {"input": {**INPUT, "std": (1.0, 1.0, 1.1)}},
        {"input": {**INPUT, "name": "image"}},
        {"output": {"labels": "colours", "activation": "softmax"}},
        {"output": {"labels": "colours", "name": "logits"}},
        {"calibration": {"temperature": 1.01}},
        {"thresholds": {"sure": 0.81}},
        {"thresholds": {"probably": 0.41}},
        {"engine": "fake-bf16"},
        *({"labels": with_entry(index, label="other")} for index in range(3)),
        {"labels": with_entry(0, wnid="n00000001")},
        {"labels": with_entry(0, article="an")},
        {"labels": LabelSet("colours", COLOURS.entries[::-1])},
    ],
    ids=str,
)
def test_the_fingerprint_changes_with_each_ingredient(ingredient):
    assert fingerprint(**ingredient) != fingerprint()


@pytest.mark.parametrize(
    "fact",
    [
        {"name": "hues"},
        {"architecture": "other"},
        {"tag": "other"},
        {"description": "other"},
        {"source": "other"},
        {"licence": "other"},
        {"quality": {"top1": 0.5}},
        {"provenance": {"seed": 1}},
        {"weights": {"sha256": "0" * 64, "file": "other.onnx"}},
        {"labels": LabelSet("hues", COLOURS.entries)},
    ],
    ids=str,
)
def test_the_fingerprint_changes_with_nothing_else(fact):
    assert fingerprint(**fact) == fingerprint()


def test_a_classifier_carries_its_fingerprint_as_64_hex_digits():
    assert fake_classifier().model.fingerprint == fingerprint()
    assert re.fullmatch(r"[0-9a-f]{64}", fingerprint())


# Recognition

STRICT = {
    "method": "certainty+pixels",
    "threshold": -1.0,
    "certainty_weight": 1.0,
    "centre": [0.0] * 6,
    "whitening": [[0.0] * 6] * 6,
}
"""Refuses whatever the model gives less than a probability of 1/e, before the temperature."""


def recognising(**changes: Any) -> Classifier:
    return fake_classifier(card=fake_card(recognition={**STRICT, **changes}))


def test_a_picture_unlike_anything_known_is_said_to_be_so():
    answer = recognising(threshold=0.0).classify(plain_picture("white")).answer

    assert not answer.recognised
    assert answer.certainty == "unsure"
    assert answer.text.startswith("I do not recognise this.")
    assert answer.set == ()


def test_a_familiar_picture_is_answered_as_ever():
    answer = recognising().classify(plain_picture("red")).answer

    assert answer.recognised
    assert answer.text == "A red thing (99 %)."


def test_a_card_without_recognition_never_refuses():
    assert fake_classifier().classify(plain_picture("white")).answer.recognised


def test_recognition_is_part_of_the_fingerprint():
    prints = {recognising(threshold=value).model.fingerprint for value in (-1.0, -2.0)}

    assert len(prints | {fake_classifier().model.fingerprint}) == 3


def test_what_is_not_recognised_stays_so_in_the_cache():
    prediction = recognising(threshold=0.0).classify(plain_picture("white"))

    assert decode_prediction("key", encode_prediction("key", prediction)) == prediction


LOADED = """
import sys
import whatsit.classifier
print(*(name for name in sys.modules if name.startswith("whatsit.")))
"""


def test_a_classifier_needs_no_store_no_cache_and_no_drift():
    run = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = {tuple(name.split(".")[1:3]) for name in run.stdout.split()}

    assert {("models", "store"), ("models", "live"), ("models", "download")} & loaded == set()
    assert {first for first, *_ in loaded} & {"cache", "drift", "service", "telemetry"} == set()


def test_what_is_computed_brings_its_measurements_where_the_card_has_a_profile(bundled):
    computed = bundled.compute(*bundled.prepare(example_pictures()["bee"]))

    assert computed.prediction == bundled.classify(example_pictures()["bee"])
    assert computed.familiarity is not None
    assert computed.familiarity < 0
    assert computed.statistics is not None
    assert computed.statistics.shape == (6,)
    plain = fake_classifier()
    unmeasured = plain.compute(*plain.prepare(plain_picture("red")))
    assert (unmeasured.familiarity, unmeasured.statistics) == (None, None)
