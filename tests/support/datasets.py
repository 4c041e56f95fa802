"""Folders of labelled pictures for tests of the pipeline, and models that are worse on purpose."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.support.pictures import known_pictures, small_bitmap
from whatsit.model_card import read_card, write_card
from whatsit.models.catalogue import bundled_folder
from whatsit.models.folder import weights_digest

LABELS = {"bee": "bee", "cat": "Egyptian cat", "citrus": "orange", "coffee": "espresso"}
"""What the example pictures show, as the bundled model calls it."""

_INDICES = (309, 285, 950, 967)
"""Of the same classes, in that order."""


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


def write_worse_model(folder: Path) -> Path:
    """A copy of the bundled model that takes each of the classes of `LABELS` for the next one."""
    order = np.arange(1000)
    order[list(_INDICES)] = np.roll(_INDICES, 1)
    return _write_variant(folder, "worse", order)


def write_small_model(folder: Path) -> Path:
    """The bundled model with the classes of `LABELS` alone, in a labels file of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "labels.txt").write_text("\n".join(LABELS.values()) + "\n", encoding="utf-8")
    return _write_variant(folder, "small", np.array(_INDICES), "labels.txt")


def _write_variant(
    folder: Path, name: str, rows: npt.NDArray[np.intp], labels: str | None = None
) -> Path:
    """The bundled model with other rows in its last layer; `rows` are classes of the bundled."""
    import onnx
    from onnx import numpy_helper

    folder.mkdir(parents=True, exist_ok=True)
    model = onnx.load(str(bundled_folder() / "model.onnx"))
    for tensor in model.graph.initializer:
        if list(tensor.dims)[:1] == [1000]:
            values = np.ascontiguousarray(numpy_helper.to_array(tensor)[rows])
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = len(rows)
    onnx.save(model, str(folder / "model.onnx"))
    card = read_card(bundled_folder())
    changes: dict[str, object] = {
        "name": name,
        "weights": card.weights.model_copy(
            update={"sha256": weights_digest(folder / "model.onnx")}
        ),
    }
    if labels is not None:
        changes["output"] = card.output.model_copy(update={"labels": labels})
    write_card(folder, card.model_copy(update=changes))
    return folder
