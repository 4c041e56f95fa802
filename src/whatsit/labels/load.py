"""The label set that a card refers to, read from its file."""

import codecs
import json
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from whatsit.errors import InvalidModelCard
from whatsit.files import is_there, read_plain
from whatsit.labels.label_set import LabelEntry, LabelSet, clean_label, label_key
from whatsit.printable import CONTROL

_BUNDLED = resources.files("whatsit") / "data" / "labels"

MAX_LABELS_BYTES = 8_000_000
"""The labels of ImageNet-21k have some 0.5 MB."""

_LINE_END = re.compile(r"\r\n|\n|\r")


def load_labels(reference: str, folder: Path | None = None, *, trusted: bool = False) -> LabelSet:
    """Find the label set that a card refers to.

    Args:
        reference: Name of a bundled set (``imagenet-1k``), or of a UTF-8 file in `folder` with
            one label a line.
        folder: The model folder; None for a bundled set.
        trusted: True if the file may be a link to a file elsewhere.

    Returns:
        Labels of a file are composed (Unicode NFC), with single spaces between their words.

    Raises:
        InvalidModelCard: The set or file does not exist, a class lacks a name, two share one, or a
            name has characters that control a terminal.
    """
    if folder is not None and is_there(folder / reference):
        entries = tuple(_read_entries(folder / reference, trusted=trusted))
        _require_unique(entries, reference)
        return LabelSet(reference, entries)
    bundled = _BUNDLED / f"{reference}.json"
    if not bundled.is_file():
        raise InvalidModelCard(
            f"The labels {reference!r} are neither a bundled set nor a file in the folder."
        )
    document = json.loads(bundled.read_text(encoding="utf-8"))
    # The root ("thing") says nothing, so it is not a group.
    nodes = [node for node in document["nodes"] if node["parent"] is not None]
    groups, entries = _named(nodes), _named(document["classes"])
    numbers = {node["wnid"]: number for number, node in enumerate(nodes)}
    parents = tuple(numbers.get(n["parent"], -1) for n in (*nodes, *document["classes"]))
    _require_unique(entries, reference)
    return LabelSet(reference, entries, groups, parents)


def _read_entries(file: Path, *, trusted: bool) -> Iterator[LabelEntry]:
    text = _read_text(file, trusted=trusted)
    lines = _LINE_END.split(text.rstrip())
    for number, line in enumerate(lines if lines != [""] else [], start=1):
        place = f"Line {number} of the labels {file.name!r}"
        if found := CONTROL.search(line.replace("\t", " ")):
            raise InvalidModelCard(
                f"{place} has the character U+{ord(found[0]):04X}, which controls how text is "
                "shown. Remove it."
            )
        yield _plain_entry(clean_label(line), place)


def _read_text(file: Path, *, trusted: bool) -> str:
    what = f"The labels file {file.name!r} can't be read"
    try:
        content = read_plain(file, MAX_LABELS_BYTES, follow=trusted)
        # Windows puts a mark before UTF-8 text.
        return content.decode("utf-8-sig")
    except OSError as error:
        raise InvalidModelCard(f"{what}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        is_wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        number = content.count(b"\n", 0, error.start) + 1
        found = "UTF-16" if is_wide else f"another encoding, as line {number} shows"
        raise InvalidModelCard(
            f"{what}: it is in {found}. Save it as UTF-8, or turn it into that: "
            f"iconv -f {'UTF-16' if is_wide else 'LATIN1'} -t UTF-8"
        ) from error


def _named(nodes: list[dict[str, Any]]) -> tuple[LabelEntry, ...]:
    return tuple(
        LabelEntry(
            node["name"],
            node["wnid"],
            node["article"],
            tuple(node["synonyms"]),
            node["definition"],
        )
        for node in nodes
    )


def _plain_entry(label: str, place: str) -> LabelEntry:
    if not label:
        raise InvalidModelCard(f"{place} is empty; each class needs a name.")
    # Whose labels these are is unknown, so the article is a guess from the spelling.
    return LabelEntry(label, None, "an" if label[0].lower() in "aeiou" else "a")


def _require_unique(entries: tuple[LabelEntry, ...], reference: str) -> None:
    if not entries:
        raise InvalidModelCard(f"The labels {reference!r} are empty.")
    seen: set[str] = set()
    for entry in entries:
        folded = label_key(entry.label)
        if folded in seen:
            raise InvalidModelCard(
                f"The labels {reference!r} name two classes {entry.label!r}; "
                "each needs a name of its own."
            )
        seen.add(folded)
