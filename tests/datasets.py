"""Folders of labelled pictures for tests of the pipeline, and models that are worse on purpose."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tests.pictures import known_pictures, small_bitmap
from whatsit.model_card import read_card, write_card
from whatsit.models.catalogue import bundled_folder
from whatsit.models.store import weights_digest

LABELS = {"bee": "bee", "cat": "Egyptian cat", "citrus": "orange", "coffee": "espresso"}
"""What the example pictures show, as the bundled model calls it."""


def write_folders(data: Path, classes: Mapping[str, Sequence[bytes]], suffix: str = "jpg") -> Path:
    """Write a folder for each class, whose name may have several levels."""
    for name, pictures in classes.items():
        (data / name).mkdir(parents=True, exist_ok=True)
        for picture in pictures:
            digest = hashlib.sha256(picture).hexdigest()
            (data / name / f"{digest[:12]}.{suffix}").write_bytes(picture)
    return data


def photographs() -> dict[str, list[bytes]]:
    """Four classes of five real pictures, by the label that the bundled model has for them."""
    classes: dict[str, list[bytes]] = {label: [] for label in LABELS.values()}
    for name, picture in known_pictures().items():
        classes[LABELS[name.split()[0]]].append(picture)
    return classes


def bitmaps(count: int, start: int = 0) -> list[bytes]:
    """Small pictures, all different."""
    return [small_bitmap(number) for number in range(start, start + count)]


def write_worse_model(folder: Path, classes_changed: int) -> Path:
    """A copy of the bundled model whose last layer takes some classes for others.

    Args:
        folder: Where to write it.
        classes_changed: How many classes change places, those of `LABELS` first.
    """
    import onnx
    from onnx import numpy_helper

    folder.mkdir(parents=True)
    model = onnx.load(str(bundled_folder() / "model.onnx"))
    first = [309, 285, 950, 967]
    order = np.arange(1000)
    moved = (first + [index for index in range(1000) if index not in first])[:classes_changed]
    order[moved] = np.roll(moved, 1)
    for tensor in model.graph.initializer:
        if list(tensor.dims)[:1] == [1000]:
            values = numpy_helper.to_array(tensor)[order]
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), tensor.name))
    onnx.save(model, str(folder / "model.onnx"))
    card = read_card(bundled_folder())
    facts = card.weights.model_copy(update={"sha256": weights_digest(folder / "model.onnx")})
    write_card(folder, card.model_copy(update={"name": "worse", "weights": facts}))
    return folder
