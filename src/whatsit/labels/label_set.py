"""Label sets: the human names of a model's class indices."""

import hashlib
import json
import unicodedata
from dataclasses import dataclass, field
from functools import cached_property

from whatsit.labels.taxonomy import Taxonomy


@dataclass(frozen=True, slots=True)
class LabelEntry:
    """One class, or a group of classes.

    Attributes:
        label: Human name, unique in its set.
        wnid: WordNet id, or None.
        article: Indefinite article to use before the label: ``a``, ``an`` or nothing.
        synonyms: Other words for it, to find it by.
        definition: One line, without a full stop; None if it is missing.
    """

    label: str
    wnid: str | None = None
    article: str = ""
    # Synonyms and definitions do not change which class it is.
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
        name: The name of the set on a card.
        entries: The classes.
        groups: Names for several classes, such as ``dog``; empty if the set has none.
        parents: Index of the group that each of `groups`, then each of `entries`, hangs under;
            -1 at the top. Empty for a set without groups.
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


def clean_label(text: str) -> str:
    r"""A label as it is kept: composed (Unicode NFC), single spaces between words, none around.

    Keyboards and file systems spell the same letter in one code point or in two.

    Example:
        >>> clean_label("  Zaunko\u0308nig \t(male) ") == "Zaunk\u00f6nig (male)"
        True
    """
    return unicodedata.normalize("NFC", " ".join(text.split()))


def label_key(text: str) -> str:
    r"""A key that is equal for labels that name one class: case and spelling do not count.

    Example:
        >>> label_key("ZAUNKO\u0308NIG") == label_key("Zaunk\u00f6nig")
        True
    """
    # Folding can bring out marks in another order, so they are put in order behind it too.
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())
