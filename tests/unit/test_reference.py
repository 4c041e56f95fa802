"""A reference is measured on enough different pictures, and decides no answer."""

import pytest

from whatsit.classifier import Classifier
from whatsit.errors import DatasetRejected
from whatsit.model_card import Reference, ReferenceSignal, build_card
from whatsit.models.catalogue import bundled_folder
from whatsit.models.folder import open_folder
from whatsit.pipeline.reference import apply_reference, measure_reference, read_pictures
from whatsit.testing import FakeEngine, fake_card, fake_classifier, plain_picture


def shades(count: int) -> list[bytes]:
    return [plain_picture(f"rgb({number},80,{255 - number})") for number in range(count)]


def test_what_a_model_gives_is_measured():
    reference = measure_reference(fake_classifier(), shades(100), "shades")

    assert (reference.pictures, reference.dataset) == (100, "shades")
    # This one has no profile of photographs, so there is nothing to say of pixels.
    assert set(reference.signals) == {
        *("score", "margin", "certainty", "shorter_side", "aspect_ratio")
    }


def test_pictures_that_occur_twice_count_once():
    with pytest.raises(DatasetRejected, match="99 different pictures"):
        measure_reference(fake_classifier(), shades(99) * 2)


def test_what_is_no_picture_is_named_by_its_place():
    with pytest.raises(DatasetRejected, match="Picture 3 can't be used"):
        measure_reference(fake_classifier(), [*shades(2), b"notes"])


def test_pictures_are_found_in_folders_below_and_nothing_else_is(tmp_path):
    (tmp_path / "march").mkdir()
    (tmp_path / "march" / "b.PNG").write_bytes(b"second")
    (tmp_path / "a.jpg").write_bytes(b"first")
    (tmp_path / "labels.csv").write_text("file,label")

    assert list(read_pictures(tmp_path)) == [b"first", b"second"]


def test_a_reference_goes_on_a_card_and_comes_back():
    reference = Reference(
        pictures=123,
        dataset="shades",
        signals={"score": ReferenceSignal(edges=(0.5,), shares=(0.25, 0.75))},
    )
    card = apply_reference(fake_card(), reference)

    assert card.reference == reference
    assert fake_card().reference is None


def test_the_reference_of_the_bundled_model_does_not_change_its_fingerprint():
    model = open_folder(bundled_folder())
    facts = model.card.model_dump(by_alias=True)
    assert facts.pop("reference")["pictures"] == 300
    without = build_card(facts)
    other = apply_reference(model.card, Reference(pictures=100, signals={}))
    engine = FakeEngine()
    engine.num_classes = len(model.labels)

    fingerprints = {
        Classifier(card, model.labels, engine).model.fingerprint
        for card in (model.card, without, other)
    }
    assert len(fingerprints) == 1
