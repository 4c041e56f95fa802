"""The layouts in which data arrive: folders by class, a table, corrections from the page."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from whatsit.errors import DatasetRejected
from whatsit.feedback.export import COLUMNS, NONE_FOLDER, TABLE_FILE
from whatsit.folders.find import find_files, is_strewn
from whatsit.labels.label_set import LabelSet, clean_label, label_key
from whatsit.labels.load import load_labels
from whatsit.pipeline.manifest import (
    Split,
)
from whatsit.pipeline.tables import read_table
from whatsit.pipeline.wording import listed
from whatsit.printable import arm

LABELS_FILE = "labels.csv"


_SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "validation": "validation",
    "val": "validation",
    "test": "test",
}


_WNID = re.compile(r"n\d{8}")


@dataclass(frozen=True, slots=True)
class Row:
    """A picture as its layout names it, before anybody has looked at it."""

    file: str
    label: str
    wnid: str | None
    split: Split | None = None


def class_key(row: Row) -> str:
    """Return what rows of one class share: the WordNet id, or else the label."""
    return row.wnid or label_key(row.label)


@dataclass
class Layout:
    """The content of a data folder. `skipped` counts rows without a labelled picture, by reason."""

    kind: str
    rows: list[Row]
    skipped: Counter[str] = field(default_factory=Counter)


def read_layout(data: Path) -> Layout:
    """Read which pictures a data folder names, with their labels.

    Raises:
        DatasetRejected: The layout of the folder is unknown, or it lacks labelled pictures.
    """
    if not data.is_dir():
        raise DatasetRejected(f"The folder {data.name!r} does not exist.")
    tables = [name for name in (LABELS_FILE, TABLE_FILE) if (data / name).is_file()]
    if len(tables) > 1:
        raise DatasetRejected(f"The folder has {LABELS_FILE} and {TABLE_FILE}; keep one of them.")
    if tables == [LABELS_FILE]:
        layout = Layout("table", list(_table_rows(data / LABELS_FILE)))
    elif tables == [TABLE_FILE]:
        layout = _feedback(data / TABLE_FILE)
    else:
        layout = _folders(data)
    if not layout.rows:
        raise DatasetRejected(f"The folder {data.name!r} contains no labelled pictures.")
    if any(row.split is not None for row in layout.rows):
        # Where some pictures have a split, one without is for training.
        layout.rows = [replace(row, split=row.split or "train") for row in layout.rows]
    return layout


def _folders(data: Path) -> Layout:
    tops = _subfolders(data)
    splits = [top for top in tops if top.name.lower() in _SPLIT_NAMES and _subfolders(top)]
    if not splits:
        return Layout("folders", list(_class_folders(data, tops, None)))
    if strangers := [top.name for top in tops if top not in splits]:
        raise DatasetRejected(
            f"Beside {splits[0].name!r} stands {listed(strangers)}, which is not a split. "
            "Splits are train, validation (or val) and test."
        )
    rows: list[Row] = []
    for top in splits:
        rows += _class_folders(data, _subfolders(top), _SPLIT_NAMES[top.name.lower()])
    return Layout("split folders", rows)


def _class_folders(data: Path, folders: Iterable[Path], split: Split | None) -> Iterator[Row]:
    empty = []
    for folder in folders:
        files = list(find_files([folder]))
        if not files:
            empty.append(folder.relative_to(data).as_posix())
        for found in files:
            wnid = folder.name if _WNID.fullmatch(folder.name) else None
            yield Row(found.path.relative_to(data).as_posix(), _label_of(folder.name), wnid, split)
    if empty:
        raise DatasetRejected(
            f"There are no pictures in {listed(empty)}. Add some, or delete the folder."
        )


def _table_rows(table: Path) -> Iterator[Row]:
    for number, row in read_table(table, (("file",), ("label", "wnid"))):
        place = f"Line {number} of {table.name}"
        label, wnid = _clean(row.get("label")), _clean(row.get("wnid")) or None
        if not label and wnid is None:
            raise DatasetRejected(f"{place} has neither a label nor a wnid.")
        if wnid is not None and not _WNID.fullmatch(wnid):
            raise DatasetRejected(f"{place} has the wnid {wnid!r}; one looks like n01440764.")
        named = _clean(row.get("split")).lower()
        if named and named not in _SPLIT_NAMES:
            raise DatasetRejected(
                f"{place} has the split {named!r}. Splits are train, validation (or val) and test."
            )
        yield Row(
            _require_inside(_text(row.get("file")), place),
            label or _label_of(str(wnid)),
            wnid,
            _SPLIT_NAMES.get(named),
        )


def _feedback(table: Path) -> Layout:
    skipped: Counter[str] = Counter()
    rows = []
    wnids = _wnids_by_label()
    for number, row in read_table(table, tuple((column,) for column in COLUMNS)):
        file = _text(row["file"])
        # An export has an apostrophe before what a spreadsheet would take as a formula.
        label, wnid = _clean(arm(_text(row["label"]))), _clean(row["wnid"]) or None
        if row["verdict"] == "none" or file.startswith(f"{NONE_FOLDER}/"):
            skipped["none_of_these"] += 1
        elif not file:
            skipped["without_picture"] += 1
        elif not label and wnid is None:
            skipped["without_label"] += 1
        else:
            wnid = wnid or wnids.get(label_key(label))
            place = _require_inside(file, f"Line {number} of {table.name}")
            rows.append(Row(place, label or _label_of(str(wnid)), wnid))
    if not rows:
        reasons = ", ".join(
            f"{count} {reason.replace('_', ' ')}" for reason, count in skipped.items()
        )
        raise DatasetRejected(
            f"{table.name} has no row with a picture and a label ({reasons or 'it is empty'}). "
            "Export with: whatsit feedback export FOLDER --format folders"
        )
    return Layout("feedback", rows, skipped)


def _require_inside(file: str, place: str) -> str:
    path = Path(file)
    if not file or path.is_absolute() or ".." in path.parts:
        raise DatasetRejected(f"{place} names the file {file!r}, which is not below its folder.")
    return path.as_posix()


def _subfolders(folder: Path) -> list[Path]:
    return sorted(
        entry for entry in folder.iterdir() if entry.is_dir() and not is_strewn(entry.name)
    )


def _text(cell: str | None) -> str:
    return (cell or "").strip()


def _clean(cell: str | None) -> str:
    return clean_label(cell or "")


def _label_of(name: str) -> str:
    """The label of a class that is named by its WordNet id or in words."""
    entry = next((one for one in _known_labels().entries if one.wnid == name), None)
    return _clean(name) if entry is None else entry.label


@cache
def _known_labels() -> LabelSet:
    return load_labels("imagenet-1k")


def _wnids_by_label() -> dict[str, str | None]:
    labels = _known_labels()
    return {label_key(entry.label): entry.wnid for entry in (*labels.groups, *labels.entries)}
