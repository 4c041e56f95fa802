"""Label sets: the human names of a model's class indices."""

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from whatsit.errors import InvalidModelCard
from whatsit.taxonomy import Taxonomy

_BUNDLED = resources.files("whatsit") / "data" / "labels"


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


def load_labels(reference: str, folder: Path) -> LabelSet:
    """Find the label set that a card refers to.

    Args:
        reference: Name of a bundled set (``imagenet-1k``), or of a UTF-8 file in `folder` with
            one label a line.
        folder: The model folder.

    Raises:
        InvalidModelCard: There is no such set or file, a class has no name, or two share one.
    """
    own = folder / reference
    groups: tuple[LabelEntry, ...] = ()
    parents: tuple[int, ...] = ()
    if own.is_file():
        try:
            # Windows puts a mark before UTF-8 text.
            lines = own.read_text(encoding="utf-8-sig").rstrip().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidModelCard(f"The labels file {reference!r} can't be read.") from error
        entries = tuple(
            _plain_entry(line.strip(), f"Line {number} of the labels {reference!r}")
            for number, line in enumerate(lines, start=1)
        )
    else:
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
        folded = entry.label.casefold()
        if folded in seen:
            raise InvalidModelCard(
                f"The labels {reference!r} name two classes {entry.label!r}; "
                "each needs a name of its own."
            )
        seen.add(folded)
