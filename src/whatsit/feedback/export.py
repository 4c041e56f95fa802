"""Corrections as a dataset that a training pipeline reads."""

import csv
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from whatsit.errors import SettingsError
from whatsit.feedback.correction import Correction, Record
from whatsit.feedback.store import FeedbackStore
from whatsit.labels.label_set import label_key
from whatsit.printable import disarm

TABLE_FILE = "feedback.csv"
COLUMNS = (
    *("sha256", "file", "label", "wnid", "verdict", "at"),
    *("answered_label", "answered_score", "model"),
)
NONE_FOLDER = "none-of-these"


@dataclass(frozen=True, slots=True)
class Exported:
    """The result of an export.

    Attributes:
        corrections: Rows of the table.
        pictures: Files beside it.
        missing: Pictures that should have been kept, but are not here or are damaged.
    """

    corrections: int
    pictures: int
    missing: int


def export_corrections(store: FeedbackStore, folder: Path, *, with_pictures: bool) -> Exported:
    """Write the newest correction of each picture, and the kept pictures if asked for.

    A picture lies in the folder of its class: that of the WordNet id as ImageNet has it, of an
    custom label ``own-...``, without a label `NONE_FOLDER`. The column ``file`` is its place below
    `folder`; without pictures it is empty. Text that a spreadsheet would take as a formula
    has an apostrophe before it.

    Args:
        store: The corrections to export.
        folder: New or empty.
        with_pictures: True to copy the pictures as well.

    Raises:
        SettingsError: The folder is not empty, or can't be written.
        FeedbackUnavailable: The corrections can't be read.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if next(folder.iterdir(), None) is not None:
            raise SettingsError(f"{folder} is not empty. Name a new folder.")
        return _write(store, folder, with_pictures=with_pictures)
    except OSError as error:
        raise SettingsError(f"{folder} can't be written: {error.strerror}.") from error


def _write(store: FeedbackStore, folder: Path, *, with_pictures: bool) -> Exported:
    records = store.database.records(newest_only=True) if store.database.exists() else iter(())
    corrections = pictures = missing = 0
    with (folder / TABLE_FILE).open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for record in records:
            place = None
            if with_pictures and record.picture_format is not None:
                place = _copy(store, record, folder)
                pictures += place is not None
                missing += place is None
            table.writerow(map(disarm, _row(record, place)))
            corrections += 1
    return Exported(corrections, pictures, missing)


def _copy(store: FeedbackStore, record: Record, folder: Path) -> Path | None:
    image_bytes = store.pictures.read(record.correction.sha256)
    if image_bytes is None:
        return None
    suffix = f".{str(record.picture_format).lower()}"
    place = Path(folder_of(record.correction)) / f"{record.correction.sha256}{suffix}"
    (folder / place).parent.mkdir(exist_ok=True)
    (folder / place).write_bytes(image_bytes)
    return place


def folder_of(correction: Correction) -> str:
    """The name of the folder of a correction's class; no two classes share one.

    Example:
        >>> folder_of(Correction("1", "2", "other", "My cat: Tom!", None, "3"))
        'own-my-cat-tom-0d0fd345'
    """
    if correction.wnid is not None:
        return correction.wnid
    if correction.label is None:
        # The right label is unknown, or none is right.
        return NONE_FOLDER if correction.verdict == "none" else "unknown"
    folded = label_key(correction.label)
    readable = re.sub(r"[^a-z0-9]+", "-", folded).strip("-")[:40]
    return f"own-{readable}-{hashlib.sha256(folded.encode()).hexdigest()[:8]}"


def _row(record: Record, place: Path | None) -> tuple[str, ...]:
    said, answered = record.correction, record.answered
    return (
        said.sha256,
        place.as_posix() if place else "",
        said.label or "",
        said.wnid or "",
        said.verdict,
        said.at,
        answered.label if answered else "",
        f"{answered.score:.6f}" if answered else "",
        answered.model if answered else "",
    )
