"""Label sets: the human names of a model's class indices."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path

from whatsit.errors import InvalidModelCard

_BUNDLED = resources.files("whatsit") / "data" / "labels"


@dataclass(frozen=True, slots=True)
class LabelEntry:
    """One class.

    Attributes:
        label: Human name, unique in its set.
        wnid: WordNet id, or None.
        article: Indefinite article to use before the label: ``a``, ``an`` or nothing.
    """

    label: str
    wnid: str | None = None
    article: str = ""

    @property
    def phrase(self) -> str:
        """The label as it stands in a sentence: ``a beagle``, ``broccoli``."""
        return f"{self.article} {self.label}" if self.article else self.label


@dataclass(frozen=True)
class LabelSet:
    """The names of all classes, in output order; ``entries[i]`` belongs to class index i."""

    name: str
    entries: tuple[LabelEntry, ...]

    def __len__(self) -> int:
        return len(self.entries)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over every name, id and article, in order."""
        canonical = json.dumps([(e.label, e.wnid, e.article) for e in self.entries])
        return hashlib.sha256(canonical.encode()).hexdigest()


def load_labels(reference: str, folder: Path) -> LabelSet:
    """Find the label set that a card refers to.

    Args:
        reference: Name of a bundled set (``imagenet-1k``), or of a UTF-8 file in `folder` with
            one label a line.
        folder: The model folder.

    Raises:
        InvalidModelCard: There is no such set or file, or two classes share a name.
    """
    own = folder / reference
    if own.is_file():
        try:
            lines = own.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidModelCard(f"The labels file {reference!r} can't be read.") from error
        entries = tuple(_plain_entry(line.strip()) for line in lines if line.strip())
    else:
        bundled = _BUNDLED / f"{reference}.json"
        if not bundled.is_file():
            raise InvalidModelCard(
                f"The labels {reference!r} are neither a bundled set nor a file in the folder."
            )
        classes = json.loads(bundled.read_text(encoding="utf-8"))["classes"]
        entries = tuple(LabelEntry(c["name"], c["wnid"], c["article"]) for c in classes)
    _require_unique(entries, reference)
    return LabelSet(reference, entries)


def _plain_entry(label: str) -> LabelEntry:
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
