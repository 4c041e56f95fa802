"""The bundled model's reference: its own pictures are as usual, odd ones are not."""

import io
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from scripts.odd_pictures import draw_odd_picture
from whatsit.classifier import Classifier
from whatsit.drift.bins import Bins
from whatsit.drift.reference import describe_reference
from whatsit.drift.report import WindowDrift, measure_window
from whatsit.drift.signals import describe_signals
from whatsit.drift.watch import LATEST
from whatsit.drift.windows import RecentPictures
from whatsit.model_card import Reference
from whatsit.pipeline.reference import measure_reference

pytestmark = pytest.mark.shared
Signals = dict[str, float]


def signals_of(classifier: Classifier, image_bytes: bytes) -> Signals:
    computed = classifier.compute(*classifier.prepare(image_bytes))
    return describe_signals(computed.prediction, computed.familiarity, computed.statistics)


def measure(reference: Reference, pictures: Iterable[Signals]) -> WindowDrift:
    bins = Bins(reference)
    recent = RecentPictures(bins.size)
    for number, signals in enumerate(pictures):
        recent.add(str(number), bins.sort(signals), 0.0)
    return measure_window(LATEST, recent.counts(), bins)


@pytest.fixture(scope="module")
def files(shared: Path) -> list[Path]:
    return sorted((shared / "images" / "photos300").glob("*.JPEG"))


@pytest.fixture(scope="module")
def photographs(bundled: Classifier, files: list[Path]) -> list[Signals]:
    return [signals_of(bundled, file.read_bytes()) for file in files]


@pytest.fixture
def reference(bundled: Classifier) -> Reference:
    found = bundled.card.reference
    assert found is not None
    return found


def test_the_card_holds_what_is_measured_today(bundled, files, photographs, reference):
    measured = measure_reference(bundled, [file.read_bytes() for file in files[:120]])

    assert measured == describe_reference(photographs[:120])
    assert list(reference.signals) == list(measured.signals)
    # Processors differ in the last digits, so a picture or two may lie in the bin beside.
    today = describe_reference(photographs)
    for name, signal in reference.signals.items():
        assert signal.edges == pytest.approx(today.signals[name].edges, rel=0.02, abs=0.02), name
        assert signal.shares == pytest.approx(today.signals[name].shares, abs=0.02), name


def test_half_of_the_photographs_are_as_usual_for_the_other_half(photographs):
    rng = np.random.default_rng(5)
    said = []
    for _ in range(60):
        order = rng.permutation(len(photographs)).tolist()
        half = describe_reference([photographs[place] for place in order[:150]])
        for count in (30, 60, 150):
            others = [photographs[place] for place in order[150 : 150 + count]]
            said.append(measure(half, others).drift)

    # One look in a thousand may say otherwise.
    assert said.count("as usual") >= len(said) - 1


@pytest.mark.parametrize("count", [30, 100])
def test_photographs_of_the_reference_never_alarm(reference, photographs, count):
    # Every third or tenth of them: they are sorted by class, and a hundred animals are indeed
    # unlike what the reference was made of.
    parts = 300 // count
    for start in range(parts):
        assert measure(reference, photographs[start::parts]).drift == "as usual"


@pytest.mark.parametrize("count", [30, 60])
@pytest.mark.parametrize("kind", ["blurred", "dark", "charts"])
def test_other_pictures_are_different(bundled, files, reference, kind, count):
    spoil: dict[str, Callable[[int], Image.Image]] = {
        "blurred": lambda number: opened(files[number]).filter(ImageFilter.GaussianBlur(4)),
        "dark": lambda number: ImageEnhance.Brightness(opened(files[number])).enhance(0.25),
        "charts": lambda number: draw_odd_picture("chart", number),
    }
    window = measure(
        reference,
        (signals_of(bundled, encoded(spoil[kind](number))) for number in range(count)),
    )

    assert window.drift == "different"
    assert {one.signal: one.drift for one in window.signals}["familiarity"] == "different"


def opened(file: Path) -> Image.Image:
    return Image.open(file).convert("RGB")


def encoded(image: Image.Image) -> bytes:
    target = io.BytesIO()
    image.convert("RGB").save(target, "JPEG", quality=90)
    return target.getvalue()
