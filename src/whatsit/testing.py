"""Stand-ins for tests of programs and plug-ins that use whatsit.

The fake model knows three colours. You can compute its answer by hand, and it needs no weights.

Example:
    >>> classifier = fake_classifier()
    >>> classifier.classify(plain_picture("red")).answer.text
    'A red thing (99 %).'
"""

import io

import numpy as np
from PIL import Image

from whatsit.answer import Logits
from whatsit.classifier import Classifier
from whatsit.images.preprocess import ImageHWC
from whatsit.labels.label_set import LabelEntry, LabelSet
from whatsit.model_card import ModelCard, build_card

COLOURS = LabelSet(
    "colours", tuple(LabelEntry(f"{name} thing", None, "a") for name in ("red", "green", "blue"))
)


class FakeEngine:
    """An engine whose logits are ten times the mean of each colour channel, 0 to 1.

    Attributes:
        calls: How many images it has answered.
    """

    identity = "fake-f32"
    num_classes = 3

    def __init__(self) -> None:
        self.calls = 0

    def infer(self, pixels: ImageHWC) -> Logits:
        """See `whatsit.engines.base.Engine.infer`."""
        self.calls += 1
        logits: Logits = (pixels.mean(axis=(0, 1)) / 255 * 10).astype(np.float32)[np.newaxis]
        return logits

    def close(self) -> None:
        """See `whatsit.engines.base.Engine.close`."""


def fake_card(**changes: object) -> ModelCard:
    """The card of the fake model, with some tables replaced."""
    facts: dict[str, object] = {
        "schema": 1,
        "name": "colours",
        "weights": {"sha256": "0" * 64},
        "input": {"size": 16, "resize_shorter_side": 18, "scale": 1 / 255},
        "output": {"labels": "colours"},
    }
    return build_card({**facts, **changes})


def fake_classifier(
    engine: FakeEngine | None = None, card: ModelCard | None = None, labels: LabelSet = COLOURS
) -> Classifier:
    """A classifier of three colours."""
    return Classifier(card or fake_card(), labels, engine or FakeEngine())


def plain_picture(
    colour: str, size: tuple[int, int] = (32, 24), image_format: str = "PNG"
) -> bytes:
    """The bytes of a picture of one colour, named as Pillow names colours."""
    encoded = io.BytesIO()
    Image.new("RGB", size, colour).save(encoded, image_format)
    return encoded.getvalue()
