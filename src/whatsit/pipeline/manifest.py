"""The manifest of a data set: its classes, its pictures, and which split each belongs to.

`whatsit.pipeline.prepare` writes it; every other step reads it and nothing else of the data's
layout. Steps take the folder of the manifest and the folder of the data, for a manifest names
pictures by their place below the latter.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from whatsit.errors import DatasetRejected

MANIFEST_FILE = "manifest.json"

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)

_SCHEMA = 1

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class DatasetClass:
    """The classes of the pictures.

    Attributes:
        label: Human name, unique in its data set whatever the case of its letters.
        wnid: WordNet id, or None.
    """

    label: str
    wnid: str | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """One labelled picture.

    Attributes:
        file: Its place below the data folder, with ``/`` between folders.
        sha256: Hex digest of its bytes.
        class_index: Which of the manifest's classes it shows, 0-based.
        split: Its purpose.
    """

    file: str
    sha256: str
    class_index: int
    split: Split


@dataclass(frozen=True, slots=True)
class Manifest:
    """A data set that is fit for training and measuring.

    Attributes:
        classes: In the order of a trained model's outputs.
        pictures: By file, sorted; no picture stands in two splits.
        seed: Of the division into splits.
    """

    classes: tuple[DatasetClass, ...]
    pictures: tuple[Picture, ...]
    seed: int = 0

    @property
    def data_sha256(self) -> str:
        """Digest of what was divided how: every picture's bytes, label and split.

        Names of files have no part in it, so a copy of the data has the same.
        """
        rows = sorted(
            (picture.sha256, self.classes[picture.class_index].label, picture.split)
            for picture in self.pictures
        )
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()

    def pictures_of(self, split: Split) -> tuple[Picture, ...]:
        """The pictures of one split, by file."""
        return tuple(picture for picture in self.pictures if picture.split == split)

    def counts(self) -> dict[Split, int]:
        """How many pictures each split has."""
        return {split: len(self.pictures_of(split)) for split in SPLITS}


def write_manifest(folder: Path, manifest: Manifest) -> Path:
    """Write the manifest into a folder, which is made; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    facts = {
        "schema": _SCHEMA,
        "data_sha256": manifest.data_sha256,
        "classes": [asdict(entry) for entry in manifest.classes],
        "pictures": [asdict(picture) for picture in manifest.pictures],
        "seed": manifest.seed,
    }
    file = folder / MANIFEST_FILE
    file.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return file


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a folder that `whatsit pipeline prepare` wrote.

    Raises:
        DatasetRejected: It is missing, damaged or changed by hand.
    """
    try:
        facts = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
        manifest = _parse(facts)
        digest = facts["data_sha256"]
    except OSError as error:
        raise DatasetRejected(
            f"The folder {folder.name!r} lacks a readable {MANIFEST_FILE}. "
            "Make one with: whatsit pipeline prepare"
        ) from error
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise DatasetRejected(_damaged("it is not what prepare writes")) from error
    if digest != manifest.data_sha256:
        raise DatasetRejected(_damaged("its digest is not that of its pictures"))
    return manifest


def read_picture(data: Path, picture: Picture) -> bytes:
    """The bytes of a picture of the manifest.

    Raises:
        DatasetRejected: It is not there, or is not the one that was prepared.
    """
    try:
        image_bytes = (data / picture.file).read_bytes()
    except OSError as error:
        raise DatasetRejected(
            f"The picture {picture.file!r} can't be read: {error.strerror}."
        ) from error
    if hashlib.sha256(image_bytes).hexdigest() != picture.sha256:
        raise DatasetRejected(
            f"The picture {picture.file!r} has changed since the data was prepared. "
            "Prepare it again."
        )
    return image_bytes


def _parse(facts: dict[str, Any]) -> Manifest:
    if facts["schema"] != _SCHEMA:
        raise ValueError("another schema")
    classes = tuple(
        DatasetClass(_text(entry["label"]), None if entry["wnid"] is None else _text(entry["wnid"]))
        for entry in facts["classes"]
    )
    pictures = tuple(
        Picture(
            _inside(entry["file"]),
            _text(entry["sha256"]),
            _one_of(range(len(classes)), entry["class_index"]),
            _one_of(SPLITS, entry["split"]),
        )
        for entry in facts["pictures"]
    )
    return Manifest(classes, pictures, int(facts["seed"]))


def _one_of(allowed: Iterable[_Value], value: Any) -> _Value:
    for entry in allowed:
        if entry == value:
            return entry
    raise ValueError(f"{value!r} is unknown")


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("no text")
    return value


def _inside(file: Any) -> str:
    path = Path(_text(file))
    if path.is_absolute() or ".." in path.parts:
        raise ValueError("outside the data")
    return str(file)


def _damaged(reason: str) -> str:
    return f"{MANIFEST_FILE} is damaged: {reason}. Make it again with: whatsit pipeline prepare"
