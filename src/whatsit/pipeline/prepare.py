"""Labelled pictures in a folder -> a manifest whose splits do not leak into each other."""

import hashlib
import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from whatsit.errors import DatasetRejected, InputError, InvalidParameter
from whatsit.folders.find import read_file
from whatsit.images.decode import DEFAULT_MAX_UPLOAD_BYTES, decode_image
from whatsit.labels.label_set import label_key
from whatsit.pipeline.layouts import Row, class_key, read_layout
from whatsit.pipeline.manifest import (
    DatasetClass,
    Manifest,
    Picture,
    write_manifest,
)
from whatsit.pipeline.report import write_report
from whatsit.pipeline.splits import Seen, divide, drop_duplicates, require_all_splits
from whatsit.pipeline.wording import NAMED, listed
from whatsit.printable import CONTROL


def prepare(
    data: Path,
    out: Path,
    *,
    validation_ratio: float = 0.15,
    test_ratio: float = 0.2,
    seed: int = 0,
) -> Manifest:
    """Read a folder of labelled pictures, look at each, and divide them into three splits.

    A split that the data names is kept. A missing one is taken, class by class, from the
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
    layout = read_layout(data)
    classes = _join_classes(layout.rows)
    seen = _look_at(data, layout.rows)
    kept, duplicates = drop_duplicates(seen, classes)
    divided = divide(kept, classes, validation_ratio, test_ratio, seed)
    ordered = sorted(set(classes.values()), key=_class_order)
    numbers = {entry: number for number, entry in enumerate(ordered)}
    pictures = (
        Picture(one.row.file, one.sha256, numbers[classes[class_key(one.row)]], split)
        for one, split in divided
    )
    manifest = Manifest(
        tuple(ordered), tuple(sorted(pictures, key=lambda picture: picture.file)), seed
    )
    require_all_splits(manifest)
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


# Classes


def _join_classes(rows: Iterable[Row]) -> dict[str, DatasetClass]:
    """The classes that rows speak of, by `class_key`."""
    labels: dict[str, set[str]] = defaultdict(set)
    wnids: dict[str, str | None] = {}
    keys: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if CONTROL.search(row.label):
            raise DatasetRejected(
                f"The label {row.label!r} has characters that control how text is "
                "shown. Take them out."
            )
        labels[class_key(row)].add(row.label)
        wnids[class_key(row)] = row.wnid
        keys[label_key(row.label)].add(class_key(row))
    for folded, several in keys.items():
        if len(several) > 1:
            raise DatasetRejected(
                f"The label {folded!r} stands for {listed(sorted(several))}; "
                "each class needs a label of its own."
            )
    for key, several in labels.items():
        if len({label_key(label) for label in several}) > 1:
            raise DatasetRejected(
                f"The class {key!r} has the labels {listed(sorted(several))}; keep one of them."
            )
    if len(labels) < 2:
        raise DatasetRejected(
            f"There is one class only ({listed(sorted(keys))}); "
            "a model needs two or more to choose from."
        )
    # Of spellings that differ in case only, any will do, but always the same one.
    return {key: DatasetClass(min(several), wnids[key]) for key, several in labels.items()}


def _class_order(entry: DatasetClass) -> tuple[bool, str]:
    return entry.wnid is None, entry.wnid or label_key(entry.label)


# Pictures


def _look_at(data: Path, rows: Sequence[Row]) -> list[Seen]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        looked = list(pool.map(lambda row: _decode(data, row), rows))
    if refused := sorted(
        (row.file, result)
        for row, result in zip(rows, looked, strict=True)
        if isinstance(result, str)
    ):
        shown = "; ".join(f"{file!r}: {reason}" for file, reason in refused[:NAMED])
        more = f"; and {len(refused) - NAMED} more" if len(refused) > NAMED else ""
        raise DatasetRejected(f"{_counted(len(refused), 'picture')} can't be used. {shown}{more}")
    return [result for result in looked if isinstance(result, Seen)]


def _decode(data: Path, row: Row) -> Seen | str:
    """The digests and the size of a picture, or the reason why it can't be read."""
    try:
        image_bytes = read_file(data / row.file, DEFAULT_MAX_UPLOAD_BYTES)
        pixels = decode_image(image_bytes).pixels
    except InputError as error:
        return error.detail
    digest = hashlib.sha256(repr(pixels.size).encode())
    digest.update(pixels.tobytes())
    return Seen(row, hashlib.sha256(image_bytes).hexdigest(), digest.hexdigest())


# Splits


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


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
