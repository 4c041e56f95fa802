"""A card holds the facts that drive the code, and can't be built with impossible ones."""

import math
from datetime import date
from typing import Any

import pytest

from whatsit.drift.bins import Bins
from whatsit.errors import InvalidModelCard
from whatsit.model_card import (
    CARD_FILE,
    ModelCard,
    build_card,
    format_card,
    read_card,
    write_card,
)

FACTS: dict[str, Any] = {
    "schema": 1,
    "name": "birds",
    "weights": {"sha256": "0123456789abcdef" * 4},
    "input": {"size": 224, "resize_shorter_side": 256},
    "output": {"labels": "birds.txt"},
}

FULL_FACTS: dict[str, Any] = {
    "schema": 1,
    "name": "birds-2.1_b",
    "architecture": "resnet50",
    "tag": "birds",
    "description": 'Birds of a "feather"',
    "source": "us",
    "licence": "Apache-2.0",
    "weights": {"file": "birds.onnx", "sha256": "a" * 64},
    "input": {
        "name": "image",
        "size": 224,
        "resize_shorter_side": 224,
        "interpolation": "bicubic",
        "channel_order": "BGR",
        "scale": 1 / 255,
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
    },
    "output": {"name": "logits", "labels": "birds.txt", "activation": "softmax"},
    "calibration": {"temperature": 1.3},
    "thresholds": {"sure": 0.9, "probably": 0.5},
    "set": {"least_score": 0.1, "coverage": 0.95},
    "recognition": {
        "method": "certainty+pixels",
        "false_alarm_ratio": 0.05,
        "threshold": -5.5,
        "certainty_weight": 1.4,
        "centre": (1.0, 2.0, 3.0, 4.0, 5.0, 6.0),
        "whitening": ((1.0, 0.0, 0.0, 0.0, 0.0, 0.5),) * 6,
    },
    "reference": {
        "pictures": 300,
        "dataset": "birds of March",
        "signals": {"score": {"edges": (0.5, 0.9), "shares": (0.25, 0.25, 0.5)}},
    },
    "quality": {"top1": 0.93, "on": {"set": "val650", "pictures": 650}},
    "provenance": {"epochs": 3, "seeds": [1, 2]},
}


def changed(path: str, value: object) -> dict[str, Any]:
    """The facts with one key, ``section.key`` or ``key``, set to another value."""
    *sections, key = path.split(".")
    facts = {**FACTS}
    place = facts
    for section in sections:
        place[section] = {**place.get(section, {})}
        place = place[section]
    place[key] = value
    return facts


def without(path: str) -> dict[str, Any]:
    section, _, key = path.partition(".")
    if not key:
        return {name: value for name, value in FACTS.items() if name != section}
    return {**FACTS, section: {k: v for k, v in FACTS[section].items() if k != key}}


# Reading and writing


def test_the_shared_card_reads(shared):
    card = read_card(shared / "models" / "resnet50-tf")

    assert (card.name, card.output.labels) == ("resnet50", "imagenet-1k")
    assert card.input.mean == (123.68, 116.78, 103.94)
    assert (card.input.size, card.input.resize_shorter_side) == (224, 256)


def test_what_a_short_card_leaves_out_has_harmless_values():
    card = build_card(FACTS)

    assert card.weights.file == "model.onnx"
    assert (card.input.scale, card.input.mean, card.input.std) == (1, (0, 0, 0), (1, 1, 1))
    assert (card.input.interpolation, card.input.channel_order) == ("bilinear", "RGB")
    assert (card.output.activation, card.calibration.temperature) == ("none", 1)
    assert 0 < card.thresholds.probably < card.thresholds.sure < 1
    assert card.answer_set is None


@pytest.mark.parametrize("facts", [FACTS, FULL_FACTS], ids=["short", "full"])
def test_a_written_card_reads_back_the_same(facts, tmp_path):
    card = build_card(facts)

    write_card(tmp_path, card)

    assert (tmp_path / CARD_FILE).read_text(encoding="utf-8") == format_card(card)
    assert read_card(tmp_path) == card


def test_a_written_card_starts_with_the_version_of_its_schema():
    assert format_card(build_card(FACTS)).startswith("schema = 1\n")


def test_a_full_card_keeps_every_fact():
    assert build_card(FULL_FACTS).model_dump(by_alias=True) == FULL_FACTS


def test_a_date_stays_a_date(tmp_path):
    card = build_card(changed("quality.measured_on", date(2026, 1, 2)))

    write_card(tmp_path, card)

    assert "measured_on = 2026-01-02\n" in format_card(card)
    assert read_card(tmp_path) == card


@pytest.mark.parametrize("number", [math.nan, math.inf])
@pytest.mark.parametrize("path", ["quality.top1", "quality.on.top1", "provenance.rates"])
def test_a_free_table_holds_no_number_without_a_value(path, number):
    value = [0.1, number] if path == "provenance.rates" else number

    with pytest.raises(InvalidModelCard, match="must be finite"):
        build_card(changed(path, value))


def test_a_folder_without_a_card_is_refused_by_its_name_alone(tmp_path):
    folder = tmp_path / "empty-folder"
    folder.mkdir()

    with pytest.raises(InvalidModelCard, match=r"'empty-folder' has no card\.toml") as caught:
        read_card(folder)

    assert str(tmp_path) not in caught.value.detail


@pytest.mark.parametrize("content", [b"schema = ", b"\xff\xfe", b"[weights]\n[weights]"])
def test_a_card_that_is_no_toml_is_refused(content, tmp_path):
    (tmp_path / CARD_FILE).write_bytes(content)

    with pytest.raises(InvalidModelCard, match=r"card\.toml can't be read"):
        read_card(tmp_path)


# Impossible facts


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("schema", 2),
        ("name", "../birds"),
        ("name", ".birds"),
        ("name", "Birds"),
        ("name", "b" * 65),
        ("weights.sha256", "0" * 63),
        ("weights.sha256", "0" * 65),
        ("weights.sha256", "A" * 64),
        ("weights.sha256", "sha256:" + "0" * 64),
        ("weights.file", "../model.onnx"),
        ("weights.file", "/model.onnx"),
        ("weights.file", "a/b.onnx"),
        ("weights.file", "a\\b.onnx"),
        ("weights.file", ".."),
        ("weights.file", "model.onnx\n"),
        ("output.labels", "../../etc/passwd"),
        ("output.labels", ""),
        ("output.activation", "sigmoid"),
        ("input.size", 0),
        ("input.size", 15),
        ("input.size", 224.5),
        ("input.resize_shorter_side", 5000),
        ("input.interpolation", "area"),
        ("input.channel_order", "RBG"),
        ("input.scale", 0),
        ("input.scale", -1),
        ("input.scale", math.nan),
        ("input.mean", [0.5, 0.5]),
        ("input.mean.0", math.nan),
        ("input.mean.2", math.inf),
        ("input.std.0", 0),
        ("input.std.1", -0.2),
        ("input.std.2", math.nan),
        ("calibration.temperature", 0),
        ("calibration.temperature", -1),
        ("calibration.temperature", math.nan),
        ("thresholds.sure", 1.1),
        ("thresholds.probably", -0.1),
        ("set.least_score", -0.1),
        ("set.least_score", 1.1),
        ("set", {"least_score": 0.1, "coverage": 0}),
        ("set", {"least_score": 0.1, "coverage": 1}),
    ],
)
def test_an_impossible_fact_is_refused_by_the_name_of_its_key(path, value):
    section, _, rest = path.partition(".")
    key, _, position = rest.partition(".")
    if position:
        triple: list[float] = [1.0, 1.0, 1.0]
        triple[int(position)] = value
        facts = changed(f"{section}.{key}", triple)
    else:
        facts = changed(path, value)

    with pytest.raises(InvalidModelCard) as caught:
        build_card(facts)

    assert caught.value.detail.startswith("card.toml: ")
    assert path in caught.value.detail


REFERENCE: dict[str, Any] = {
    "pictures": 9,
    "signals": {"score": {"edges": (0.5,), "shares": (0.5, 0.5)}},
}


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"edges": (0.5, 0.5), "shares": (0.2, 0.3, 0.5)}, "edges must rise"),
        ({"edges": (0.5,), "shares": (1.0,)}, "1 edges need 2 shares"),
        ({"edges": (0.5,), "shares": (0.5, 0.4)}, "shares must sum to 1"),
        ({"edges": (0.5,), "shares": (1.5, -0.5)}, "less than or equal to 1"),
        ({"edges": (), "shares": (1.0,)}, "at least 1 item"),
    ],
)
def test_a_reference_that_is_no_distribution_is_refused(facts, sentence):
    reference = {**REFERENCE, "signals": {"score": facts}}

    with pytest.raises(InvalidModelCard, match=sentence):
        build_card({**FACTS, "reference": reference})


def test_signals_that_a_later_version_wrote_are_kept():
    signals = {**REFERENCE["signals"], "from_later": {"edges": (1.0,), "shares": (0.5, 0.5)}}
    card = build_card({**FACTS, "reference": {**REFERENCE, "signals": signals}})

    assert card.reference is not None
    assert set(card.reference.signals) == {"score", "from_later"}
    assert set(Bins(card.reference).signals) == {"score"}


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("input.resize_shorter_side", 200, "resize_shorter_side is 200, smaller than the crop"),
        (
            "thresholds",
            {"sure": 0.3, "probably": 0.5},
            "probably (0.5) must not be higher than sure",
        ),
    ],
)
def test_facts_that_contradict_each_other_are_refused_by_both_names(path, value, sentence):
    with pytest.raises(InvalidModelCard) as caught:
        build_card(changed(path, value))

    assert sentence in caught.value.detail


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        ("licnse", "licence"),
        ("shema", "schema"),
        ("weights.sha265", "sha256"),
        ("input.interpolatoin", "interpolation"),
        ("output.label", "labels"),
        ("calibration.temprature", "temperature"),
        ("thresholds.shure", "sure"),
    ],
)
def test_a_misspelt_key_is_refused_with_the_one_that_was_meant(path, nearest):
    with pytest.raises(InvalidModelCard) as caught:
        build_card(changed(path, 1))

    assert f"unknown key {path!r}; did you mean {nearest!r}?" in caught.value.detail


def test_an_unknown_key_like_no_other_is_refused_without_a_guess():
    with pytest.raises(InvalidModelCard, match=r"unknown key 'input\.zzz'\.$"):
        build_card(changed("input.zzz", 1))


@pytest.mark.parametrize(
    "path",
    [
        "name",
        "weights",
        "weights.sha256",
        "input.size",
        "input.resize_shorter_side",
        "output.labels",
    ],
)
def test_a_missing_fact_is_told_by_its_key(path):
    with pytest.raises(InvalidModelCard, match=f"the key '{path}' is missing"):
        build_card(without(path))


def test_a_complaint_names_where_the_facts_come_from():
    with pytest.raises(InvalidModelCard, match=r"^the options: input\.size"):
        build_card(changed("input.size", 1), origin="the options")


def test_a_card_can_not_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        build_card(FACTS).input.size = 99  # type: ignore[misc]


# Renaming


def test_a_renamed_card_differs_in_its_name_only():
    card = build_card(FULL_FACTS)

    renamed = card.renamed("owls")

    assert renamed.name == "owls"
    assert renamed.model_copy(update={"name": card.name}) == card


def test_a_name_that_is_no_name_is_refused_when_renaming():
    with pytest.raises(InvalidModelCard, match=r"^--name: name"):
        build_card(FACTS).renamed("../owls")


# What decides an answer


def answer_facts(path: str, value: object) -> dict[str, Any]:
    return build_card(changed(path, value)).answer_facts()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("weights.sha256", "f" * 64),
        ("input.size", 200),
        ("input.resize_shorter_side", 257),
        ("input.interpolation", "bicubic"),
        ("input.channel_order", "BGR"),
        ("input.scale", 0.5),
        ("input.mean", [0, 0, 0.1]),
        ("input.std", [1, 1, 1.1]),
        ("input.name", "image"),
        ("output.name", "logits"),
        ("output.activation", "softmax"),
        ("calibration.temperature", 1.1),
        ("thresholds.sure", 0.99),
        ("thresholds.probably", 0.01),
        ("set", {"least_score": 0.1}),
    ],
)
def test_answer_facts_hold_what_decides(path, value):
    assert answer_facts(path, value) != build_card(FACTS).answer_facts()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name", "owls"),
        ("architecture", "vgg"),
        ("tag", "x"),
        ("description", "x"),
        ("reference", {"pictures": 9, "signals": {}}),
        ("source", "x"),
        ("licence", "x"),
        ("weights.file", "other.onnx"),
        ("quality", {"top1": 1.0}),
        ("provenance", {"epochs": 1}),
    ],
)
def test_answer_facts_leave_out_what_does_not_decide(path, value):
    assert answer_facts(path, value) == build_card(FACTS).answer_facts()


def test_every_section_of_a_card_either_decides_or_is_known_not_to():
    known_not_to = {"card_schema", "name", "architecture", "tag", "description", "source"}
    known_not_to |= {"licence", "quality", "provenance", "reference"}

    assert set(ModelCard.model_fields) - set(build_card(FACTS).answer_facts()) == known_not_to
