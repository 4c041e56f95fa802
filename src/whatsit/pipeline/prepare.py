"""Labelled pictures in a folder -> a manifest whose splits do not leak into each other."""

import hashlib
import os
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from whatsit.errors import DatasetRejected, InputError, InvalidParameter
from whatsit.feedback.export import COLUMNS, NONE_FOLDER, TABLE_FILE
from whatsit.folders.find import find_files, is_strewn, read_file
from whatsit.images.decode import DEFAULT_MAX_UPLOAD_BYTES, decode_image
from whatsit.labels.label_set import LabelSet, clean_label, label_key
from whatsit.labels.load import load_labels
from whatsit.pipeline.manifest import (
    SPLITS,
    DatasetClass,
    Manifest,
    Picture,
    Split,
    write_manifest,
)
from whatsit.pipeline.report import write_report
from whatsit.pipeline.tables import read_table
from whatsit.printable import CONTROL, arm

LABELS_FILE = "labels.csv"

_SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "validation": "validation",
    "val": "validation",
    "test": "test",
}
_WNID = re.compile(r"n\d{8}")
_NAMED = 10
"""A refusal names this many pictures; more of them help nobody."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A picture as its layout names it, before anybody has looked at it."""

    file: str
    label: str
    wnid: str | None
    split: Split | None = None


@dataclass(frozen=True, slots=True)
class _Seen:
    """A picture that can be decoded; `pixels` is the digest of what it shows."""

    row: _Row
    sha256: str
    pixels: str


@dataclass
class _Layout:
    """What a data folder says. `skipped` counts rows that are no labelled picture, by reason."""

    kind: str
    rows: list[_Row]
    skipped: Counter[str] = field(default_factory=Counter)


def prepare(
    data: Path,
    out: Path,
    *,
    validation_ratio: float = 0.15,
    test_ratio: float = 0.2,
    seed: int = 0,
) -> Manifest:
    """Read a folder of labelled pictures, look at each, and divide them into three splits.

    A split that the data names is kept. What is missing is taken, class by class, from the
    pictures that no split or ``train`` claims. Which pictures those are depends on the pictures
    and the seed alone, not on their names or order.

    Args:
        data: A folder for each class (or those below ``train``, ``validation`` and ``test``), a
            folder with ``labels.csv``, or exported feedback.
        out: Folder for ``manifest.json`` and ``report.json``.
        validation_ratio: Share of the pictures of a class to divide that goes to validation.
        test_ratio: Share of them that goes to the test split.
        seed: Of the division.

    Raises:
        DatasetRejected: The data can't be used; the sentence names the pictures or classes.
        InvalidParameter: A ratio lies outside its range.
    """
    start = time.perf_counter()
    _require_ratios(validation_ratio, test_ratio)
    layout = _read_layout(data)
    classes = _join_classes(layout.rows)
    seen = _look_at(data, layout.rows)
    kept, duplicates = _drop_duplicates(seen, classes)
    divided = _divide(kept, classes, validation_ratio, test_ratio, seed)
    ordered = sorted(set(classes.values()), key=_class_order)
    numbers = {entry: number for number, entry in enumerate(ordered)}
    pictures = (
        Picture(one.row.file, one.sha256, numbers[classes[_key(one.row)]], split)
        for one, split in divided
    )
    manifest = Manifest(
        tuple(ordered), tuple(sorted(pictures, key=lambda picture: picture.file)), seed
    )
    _require_all_splits(manifest)
    write_manifest(out, manifest)
    arguments = {
        "data": data,
        "out": out,
        "validation_ratio": validation_ratio,
        "test_ratio": test_ratio,
        "seed": seed,
    }
    facts = {
        "layout": layout.kind,
        "data_sha256": manifest.data_sha256,
        "pictures": len(manifest.pictures),
        "splits": manifest.counts(),
        "classes": _class_facts(manifest),
        "duplicates": duplicates,
        "skipped": dict(sorted(layout.skipped.items())),
    }
    write_report(out, "prepare", arguments, facts, time.perf_counter() - start)
    return manifest


def _require_ratios(validation_ratio: float, test_ratio: float) -> None:
    for name, ratio in (("validation", validation_ratio), ("test", test_ratio)):
        if not 0 < ratio < 1:
            raise InvalidParameter(f"{name}_ratio is {ratio}; it must lie between 0 and 1.")
    if validation_ratio + test_ratio >= 1:
        raise InvalidParameter(
            f"validation_ratio and test_ratio are {validation_ratio + test_ratio:g} together; "
            "they must leave something to train on."
        )


# Layouts


def _read_layout(data: Path) -> _Layout:
    if not data.is_dir():
        raise DatasetRejected(f"There is no folder {data.name!r} to read pictures from.")
    tables = [name for name in (LABELS_FILE, TABLE_FILE) if (data / name).is_file()]
    if len(tables) > 1:
        raise DatasetRejected(f"The folder has {LABELS_FILE} and {TABLE_FILE}; keep one of them.")
    if tables == [LABELS_FILE]:
        layout = _Layout("table", list(_table_rows(data / LABELS_FILE)))
    elif tables == [TABLE_FILE]:
        layout = _feedback(data / TABLE_FILE)
    else:
        layout = _folders(data)
    if not layout.rows:
        raise DatasetRejected(f"There are no labelled pictures in the folder {data.name!r}.")
    if any(row.split is not None for row in layout.rows):
        # Where some pictures have a split, one without is for training.
        layout.rows = [replace(row, split=row.split or "train") for row in layout.rows]
    return layout


def _folders(data: Path) -> _Layout:
    tops = _subfolders(data)
    splits = [top for top in tops if top.name.lower() in _SPLIT_NAMES and _subfolders(top)]
    if not splits:
        return _Layout("folders", list(_class_folders(data, tops, None)))
    if strangers := [top.name for top in tops if top not in splits]:
        raise DatasetRejected(
            f"Beside {splits[0].name!r} stands {_listed(strangers)}, which is no split. "
            "Splits are train, validation (or val) and test."
        )
    rows: list[_Row] = []
    for top in splits:
        rows += _class_folders(data, _subfolders(top), _SPLIT_NAMES[top.name.lower()])
    return _Layout("split folders", rows)


def _class_folders(data: Path, folders: Iterable[Path], split: Split | None) -> Iterator[_Row]:
    empty = []
    for folder in folders:
        files = list(find_files([folder]))
        if not files:
            empty.append(folder.relative_to(data).as_posix())
        for found in files:
            wnid = folder.name if _WNID.fullmatch(folder.name) else None
            yield _Row(found.path.relative_to(data).as_posix(), _label_of(folder.name), wnid, split)
    if empty:
        raise DatasetRejected(
            f"There are no pictures in {_listed(empty)}. Add some, or delete the folder."
        )


def _table_rows(table: Path) -> Iterator[_Row]:
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
        yield _Row(
            _require_inside(_text(row.get("file")), place),
            label or _label_of(str(wnid)),
            wnid,
            _SPLIT_NAMES.get(named),
        )


def _feedback(table: Path) -> _Layout:
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
            rows.append(_Row(place, label or _label_of(str(wnid)), wnid))
    if not rows:
        reasons = ", ".join(
            f"{count} {reason.replace('_', ' ')}" for reason, count in skipped.items()
        )
        raise DatasetRejected(
            f"{table.name} has no row with a picture and a label ({reasons or 'it is empty'}). "
            "Export with: whatsit feedback export FOLDER --format folders"
        )
    return _Layout("feedback", rows, skipped)


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


# Classes


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


def _key(row: _Row) -> str:
    return row.wnid or label_key(row.label)


def _join_classes(rows: Iterable[_Row]) -> dict[str, DatasetClass]:
    """The classes that rows speak of, by `_key`."""
    labels: dict[str, set[str]] = defaultdict(set)
    wnids: dict[str, str | None] = {}
    keys: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if CONTROL.search(row.label):
            raise DatasetRejected(
                f"The label {row.label!r} has characters that control how text is "
                "shown. Take them out."
            )
        labels[_key(row)].add(row.label)
        wnids[_key(row)] = row.wnid
        keys[label_key(row.label)].add(_key(row))
    for folded, several in keys.items():
        if len(several) > 1:
            raise DatasetRejected(
                f"The label {folded!r} stands for {_listed(sorted(several))}; "
                "each class needs a label of its own."
            )
    for key, several in labels.items():
        if len({label_key(label) for label in several}) > 1:
            raise DatasetRejected(
                f"The class {key!r} has the labels {_listed(sorted(several))}; keep one of them."
            )
    if len(labels) < 2:
        raise DatasetRejected(
            f"There is one class only ({_listed(sorted(keys))}); "
            "a model needs two or more to choose from."
        )
    # Of spellings that differ in case only, any will do, but always the same one.
    return {key: DatasetClass(min(several), wnids[key]) for key, several in labels.items()}


def _class_order(entry: DatasetClass) -> tuple[bool, str]:
    return entry.wnid is None, entry.wnid or label_key(entry.label)


# Pictures


def _look_at(data: Path, rows: Sequence[_Row]) -> list[_Seen]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        looked = list(pool.map(lambda row: _decode(data, row), rows))
    if refused := sorted(
        (row.file, result)
        for row, result in zip(rows, looked, strict=True)
        if isinstance(result, str)
    ):
        shown = "; ".join(f"{file!r}: {reason}" for file, reason in refused[:_NAMED])
        more = f"; and {len(refused) - _NAMED} more" if len(refused) > _NAMED else ""
        raise DatasetRejected(f"{_counted(len(refused), 'picture')} can't be used. {shown}{more}")
    return [result for result in looked if isinstance(result, _Seen)]


def _decode(data: Path, row: _Row) -> _Seen | str:
    """What was seen, or the sentence why nothing was."""
    try:
        image_bytes = read_file(data / row.file, DEFAULT_MAX_UPLOAD_BYTES)
        pixels = decode_image(image_bytes).pixels
    except InputError as error:
        return error.detail
    digest = hashlib.sha256(repr(pixels.size).encode())
    digest.update(pixels.tobytes())
    return _Seen(row, hashlib.sha256(image_bytes).hexdigest(), digest.hexdigest())


def _drop_duplicates(
    seen: Iterable[_Seen], classes: dict[str, DatasetClass]
) -> tuple[list[_Seen], list[dict[str, object]]]:
    """One of each picture, and what was left out; the same pixels saved again count as the same."""
    groups: dict[str, list[_Seen]] = defaultdict(list)
    for one in seen:
        groups[one.pixels].append(one)
    kept: list[_Seen] = []
    duplicates: list[dict[str, object]] = []
    two_labels, two_splits = [], []
    for same in groups.values():
        # Bytes decide before names do, so that renaming files changes nothing else.
        same.sort(key=lambda one: (one.sha256, one.row.file))
        files = sorted(one.row.file for one in same)
        if len({_key(one.row) for one in same}) > 1:
            labels = sorted({classes[_key(one.row)].label for one in same})
            two_labels.append(f"{_listed(files)} ({', '.join(labels)})")
        elif len({one.row.split for one in same}) > 1:
            splits = sorted({str(one.row.split) for one in same})
            two_splits.append(f"{_listed(files)} ({', '.join(splits)})")
        kept.append(same[0])
        if len(same) > 1:
            others = [file for file in files if file != same[0].row.file]
            duplicates.append({"kept": same[0].row.file, "left_out": others})
    _refuse(two_labels, "The same picture has two labels", "Keep the right one.")
    _refuse(two_splits, "The same picture is in two splits", "Keep one of them.")
    return kept, sorted(duplicates, key=lambda entry: str(entry["kept"]))


def _refuse(found: list[str], what: str, advice: str) -> None:
    if found:
        found.sort()
        more = f"; and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        raise DatasetRejected(f"{what}: {'; '.join(found[:_NAMED])}{more}. {advice}")


# Splits


def _divide(
    seen: Sequence[_Seen],
    classes: dict[str, DatasetClass],
    validation_ratio: float,
    test_ratio: float,
    seed: int,
) -> list[tuple[_Seen, Split]]:
    given = {one.row.split for one in seen} - {None}
    ratios: dict[Split, float] = {"test": test_ratio, "validation": validation_ratio}
    shares = {split: ratio for split, ratio in ratios.items() if split not in given}
    by_class: dict[str, list[_Seen]] = defaultdict(list)
    divided: list[tuple[_Seen, Split]] = []
    for one in seen:
        if one.row.split is None or one.row.split == "train":
            by_class[_key(one.row)].append(one)
        else:
            divided.append((one, one.row.split))
    small = []
    for key, members in by_class.items():
        members.sort(key=_lot(seed))
        sizes = {split: max(1, round(len(members) * share)) for split, share in shares.items()}
        if sum(sizes.values()) >= len(members):
            small.append(f"{classes[key].label!r} ({len(members)})")
            continue
        start = 0
        for split, size in sizes.items():
            divided += [(one, split) for one in members[start : start + size]]
            start += size
        divided += [(one, "train") for one in members[start:]]
    if small:
        raise DatasetRejected(
            f"These classes have too few pictures to divide: {', '.join(sorted(small))}. "
            f"Each needs {len(shares) + 1} or more, for {', '.join(('train', *shares))}."
        )
    return divided


def _lot(seed: int) -> Callable[[_Seen], str]:
    """What orders pictures at random, and a picture always the same way."""
    return lambda one: hashlib.sha256(f"{seed} {one.sha256}".encode()).hexdigest()


def _require_all_splits(manifest: Manifest) -> None:
    for split in SPLITS:
        present = {picture.class_index for picture in manifest.pictures_of(split)}
        missing = [
            entry.label for number, entry in enumerate(manifest.classes) if number not in present
        ]
        if missing:
            raise DatasetRejected(f"The split {split!r} has no picture of {_listed(missing)}.")


def _class_facts(manifest: Manifest) -> list[dict[str, object]]:
    counts = Counter((picture.class_index, picture.split) for picture in manifest.pictures)
    return [
        {
            "label": entry.label,
            "wnid": entry.wnid,
            "train": counts[number, "train"],
            "validation": counts[number, "validation"],
            "test": counts[number, "test"],
        }
        for number, entry in enumerate(manifest.classes)
    ]


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:_NAMED]))
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
