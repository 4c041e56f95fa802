"""Which pictures train, which validate and which test."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from whatsit.errors import DatasetRejected
from whatsit.pipeline.layouts import Row, class_key
from whatsit.pipeline.manifest import (
    SPLITS,
    DatasetClass,
    Manifest,
    Split,
)
from whatsit.pipeline.wording import NAMED, listed


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture that can be decoded; `pixels` is the digest of what it shows."""

    row: Row
    sha256: str
    pixels: str


def drop_duplicates(
    seen: Iterable[Seen], classes: dict[str, DatasetClass]
) -> tuple[list[Seen], list[dict[str, object]]]:
    """One of each picture, and what was left out; the same pixels saved again count as the same."""
    groups: dict[str, list[Seen]] = defaultdict(list)
    for one in seen:
        groups[one.pixels].append(one)
    kept: list[Seen] = []
    duplicates: list[dict[str, object]] = []
    two_labels, two_splits = [], []
    for same in groups.values():
        # Bytes decide before names do, so that renaming files changes nothing else.
        same.sort(key=lambda one: (one.sha256, one.row.file))
        files = sorted(one.row.file for one in same)
        if len({class_key(one.row) for one in same}) > 1:
            labels = sorted({classes[class_key(one.row)].label for one in same})
            two_labels.append(f"{listed(files)} ({', '.join(labels)})")
        elif len({one.row.split for one in same}) > 1:
            splits = sorted({str(one.row.split) for one in same})
            two_splits.append(f"{listed(files)} ({', '.join(splits)})")
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
        more = f"; and {len(found) - NAMED} more" if len(found) > NAMED else ""
        raise DatasetRejected(f"{what}: {'; '.join(found[:NAMED])}{more}. {advice}")


def divide(
    seen: Sequence[Seen],
    classes: dict[str, DatasetClass],
    validation_ratio: float,
    test_ratio: float,
    seed: int,
) -> list[tuple[Seen, Split]]:
    """Give each picture a split: the one that its layout names, or else one by lot in its class.

    Raises:
        DatasetRejected: A class has too few pictures.
    """
    given = {one.row.split for one in seen} - {None}
    ratios: dict[Split, float] = {"test": test_ratio, "validation": validation_ratio}
    shares = {split: ratio for split, ratio in ratios.items() if split not in given}
    by_class: dict[str, list[Seen]] = defaultdict(list)
    divided: list[tuple[Seen, Split]] = []
    for one in seen:
        if one.row.split is None or one.row.split == "train":
            by_class[class_key(one.row)].append(one)
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


def _lot(seed: int) -> Callable[[Seen], str]:
    """A key that orders pictures at random, and a picture always the same way."""
    return lambda one: hashlib.sha256(f"{seed} {one.sha256}".encode()).hexdigest()


def require_all_splits(manifest: Manifest) -> None:
    """Refuse a manifest in which a class is missing from a split.

    Raises:
        DatasetRejected: One is.
    """
    for split in SPLITS:
        present = {picture.class_index for picture in manifest.pictures_of(split)}
        missing = [
            entry.label for number, entry in enumerate(manifest.classes) if number not in present
        ]
        if missing:
            raise DatasetRejected(f"The split {split!r} has no picture of {listed(missing)}.")
