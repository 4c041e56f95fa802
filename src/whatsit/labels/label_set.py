"""Label sets: the human names of a model's class indices."""

import codecs
import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from whatsit.errors import InvalidModelCard
from whatsit.files import is_there, read_plain
from whatsit.labels.taxonomy import Taxonomy
from whatsit.printable import CONTROL

_BUNDLED = resources.files("whatsit") / "data" / "labels"

MAX_LABELS_BYTES = 8_000_000
"""The labels of ImageNet-21k have some 0.5 MB."""

_LINE_END = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class LabelEntry:
    """One class, or a group of classes.

    Attributes:
        label: Human name, unique in its set.
        wnid: WordNet id, or None.
        article: Indefinite article to use before the label: ``a``, ``an`` or nothing.
        synonyms: Other words for it, to find it by.
        definition: One line, without a full stop; None where nobody wrote one.
    """

    label: str
    wnid: str | None = None
    article: str = ""
    # What is said about a class is no part of which class it is.
    synonyms: tuple[str, ...] = field(default=(), compare=False)
    definition: str | None = field(default=None, compare=False)

    @property
    def phrase(self) -> str:
        """The label as it stands in a sentence: ``a beagle``, ``broccoli``."""
        return f"{self.article} {self.label}" if self.article else self.label


@dataclass(frozen=True)
class LabelSet:
    """The names of all classes, in output order; ``entries[i]`` belongs to class index i.

    Attributes:
        name: What a card calls the set.
        entries: The classes.
        groups: What classes have in common, such as ``dog``; empty where nobody said.
        parents: Index of the group that each of `groups`, then each of `entries`, hangs under;
            -1 at the top. Empty where there are no groups.
    """

    name: str
    entries: tuple[LabelEntry, ...]
    groups: tuple[LabelEntry, ...] = ()
    parents: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.entries)

    @cached_property
    def taxonomy(self) -> Taxonomy:
        """The tree of the groups and classes."""
        return Taxonomy(len(self.entries), self.parents)

    def node(self, number: int) -> LabelEntry:
        """The group or class of a node of `taxonomy`."""
        groups = len(self.groups)
        return self.groups[number] if number < groups else self.entries[number - groups]

    @cached_property
    def digest(self) -> str:
        """SHA-256 over every name, id and article of classes and groups, and over the tree."""
        nodes = [(e.label, e.wnid, e.article) for e in (*self.groups, *self.entries)]
        canonical = json.dumps([len(self.groups), nodes, self.parents])
        return hashlib.sha256(canonical.encode()).hexdigest()


def load_labels(reference: str, folder: Path | None = None, *, trusted: bool = False) -> LabelSet:
    """Find the label set that a card refers to.

    Args:
        reference: Name of a bundled set (``imagenet-1k``), or of a UTF-8 file in `folder` with
            one label a line.
        folder: The model folder; None for a bundled set.
        trusted: Whether the file may be a link to a file elsewhere.

    Returns:
        Labels of a file are composed (Unicode NFC), with single spaces between their words.

    Raises:
        InvalidModelCard: There is no such set or file, a class has no name, two share one, or a
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
    # The root ("thing") says nothing, so it is no group.
    nodes = [node for node in document["nodes"] if node["parent"] is not None]
    groups, entries = _named(nodes), _named(document["classes"])
    numbers = {node["wnid"]: number for number, node in enumerate(nodes)}
    parents = tuple(numbers.get(n["parent"], -1) for n in (*nodes, *document["classes"]))
    _require_unique(entries, reference)
    return LabelSet(reference, entries, groups, parents)


def clean_label(text: str) -> str:
    r"""A label as it is kept: composed (Unicode NFC), single spaces between words, none around.

    Keyboards and file systems spell the same letter in one code point or in two.

    Example:
        >>> clean_label("  Zaunko\u0308nig \t(male) ") == "Zaunk\u00f6nig (male)"
        True
    """
    return unicodedata.normalize("NFC", " ".join(text.split()))


def label_key(text: str) -> str:
    r"""What two labels share exactly if they name one class: case and spelling do not count.

    Example:
        >>> label_key("ZAUNKO\u0308NIG") == label_key("Zaunk\u00f6nig")
        True
    """
    # Folding can bring out marks in another order, so they are put in order behind it too.
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())


def _read_entries(file: Path, *, trusted: bool) -> Iterator[LabelEntry]:
    text = _read_text(file, trusted=trusted)
    lines = _LINE_END.split(text.rstrip())
    for number, line in enumerate(lines if lines != [""] else [], start=1):
        place = f"Line {number} of the labels {file.name!r}"
        if found := CONTROL.search(line.replace("\t", " ")):
            raise InvalidModelCard(
                f"{place} has the character U+{ord(found[0]):04X}, which controls how text is "
                "shown. Take it out."
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
