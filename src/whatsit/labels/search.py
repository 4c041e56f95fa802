"""Finding a class by what a person types: names, synonyms, beginnings, small typos."""

import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from whatsit.labels.label_set import LabelEntry, LabelSet, label_key

_LEAST_FOR_TYPOS = 4
"""Shorter words have too many neighbours."""
_LEAST_FOR_TWO_TYPOS = 8


@dataclass(frozen=True, slots=True)
class FoundLabel:
    """A class or a group that was asked for.

    Attributes:
        entry: Its names.
        index: Class index; None for a group.
    """

    entry: LabelEntry
    index: int | None


@dataclass(frozen=True, slots=True)
class _Name:
    """One name of one class, as it is compared."""

    index: int
    is_synonym: bool
    text: str
    words: tuple[str, ...]


class LabelSearch:
    """Finds the labels of one set. Safe to call from several threads.

    Args:
        labels: Where to look.

    Example:
        >>> birds = LabelSet("birds", (LabelEntry("snowy owl"), LabelEntry("crow")))
        >>> [found.entry.label for found in LabelSearch(birds).search("owl", limit=5)]
        ['snowy owl']
    """

    def __init__(self, labels: LabelSet) -> None:
        self._labels = labels

    def search(self, query: str, limit: int) -> list[FoundLabel]:
        """Classes that a query may mean, best first; groups are not among them.

        First those with a name or synonym in which every word of the query begins a word, then
        those that contain it; where there is neither, those that it is a small typo of. In each
        of these the whole name comes first, then whole words, then what begins with the query,
        names before synonyms, and shorter before longer.

        Args:
            query: In any case, with or without accents. With nothing in it, all classes match,
                in alphabetical order.
            limit: How many at most.
        """
        text = _fold(query)
        if not text:
            ordered = sorted(self._names, key=lambda name: (name.is_synonym, name.text))
            return self._take((name.index for name in ordered), limit)
        words = tuple(text.split())
        found = self._ranked(text, lambda name: _begins_words(words, name))
        if len(found) < limit:
            found |= self._ranked(text, lambda name: text in name.text)
        return self._take(found or self._ranked(text, self._typo_matcher(words)), limit)

    def find(self, wnid: str) -> FoundLabel | None:
        """The class or group with a WordNet id; None where it does not exist."""
        return self._by_wnid.get(wnid)

    def named(self, label: str) -> FoundLabel | None:
        """The class, else the group, of that very name, in any case; synonyms do not count."""
        return self._by_name.get(label_key(label))

    def _ranked(self, text: str, matches: Callable[[_Name], bool]) -> dict[int, None]:
        words = set(text.split())
        hits = [name for name in self._names if matches(name)]
        hits.sort(
            key=lambda name: (
                name.text != text,
                not words.issubset(name.words),
                not name.text.startswith(text),
                name.is_synonym,
                len(name.text),
                name.text,
            )
        )
        return dict.fromkeys(name.index for name in hits)

    def _typo_matcher(self, words: tuple[str, ...]) -> Callable[[_Name], bool]:
        near: dict[str, set[str]] = {}

        def matches(name: _Name) -> bool:
            # Once for each word of the query, not for each name.
            for word in words:
                if word not in near:
                    near[word] = {known for known in self._words if _is_near(word, known)}
            return all(any(known in near[word] for known in name.words) for word in words)

        return matches

    def _take(self, indices: Iterable[int], limit: int) -> list[FoundLabel]:
        chosen = list(dict.fromkeys(indices))[:limit]
        return [FoundLabel(self._labels.entries[index], index) for index in chosen]

    @cached_property
    def _names(self) -> tuple[_Name, ...]:
        names = []
        for index, entry in enumerate(self._labels.entries):
            for number, text in enumerate((entry.label, *entry.synonyms)):
                folded = _fold(text)
                names.append(_Name(index, number > 0, folded, tuple(folded.split())))
        return tuple(names)

    @cached_property
    def _words(self) -> frozenset[str]:
        return frozenset(word for name in self._names for word in name.words)

    @cached_property
    def _all(self) -> tuple[FoundLabel, ...]:
        classes = (FoundLabel(entry, index) for index, entry in enumerate(self._labels.entries))
        return (*(FoundLabel(group, None) for group in self._labels.groups), *classes)

    @cached_property
    def _by_wnid(self) -> dict[str, FoundLabel]:
        return {found.entry.wnid: found for found in self._all if found.entry.wnid is not None}

    @cached_property
    def _by_name(self) -> dict[str, FoundLabel]:
        return {label_key(found.entry.label): found for found in self._all}


def _fold(text: str) -> str:
    """Lower case, without accents, and nothing between the words but one space."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    kept = (letter for letter in plain if not unicodedata.combining(letter))
    return " ".join("".join(c if c.isalnum() else " " for c in kept if c != "'").split())


def _begins_words(words: tuple[str, ...], name: _Name) -> bool:
    return all(any(known.startswith(word) for known in name.words) for word in words)


def _is_near(word: str, known: str) -> bool:
    """True if a word is, or begins, another one, but for a typo or two."""
    if len(word) < _LEAST_FOR_TYPOS:
        return known.startswith(word)
    allowed = 2 if len(word) >= _LEAST_FOR_TWO_TYPOS else 1
    if len(known) < len(word) - allowed:
        return False
    return _typos(word, known[: len(word) + allowed], allowed) <= allowed


def _typos(word: str, known: str, allowed: int) -> int:
    """How many letters to insert, drop, change or swap to get the nearest beginning of `known`.

    The distance of optimal string alignment; more than `allowed` is just more.
    """
    before, above = list[int](), list(range(len(known) + 1))
    for row, letter in enumerate(word, start=1):
        line = [row]
        for column, other in enumerate(known, start=1):
            cost = min(
                above[column] + 1, line[column - 1] + 1, above[column - 1] + (letter != other)
            )
            is_swapped = (
                row > 1 and column > 1 and letter == known[column - 2] and word[row - 2] == other
            )
            line.append(min(cost, before[column - 2] + 1) if is_swapped else cost)
        if min(line) > allowed:
            return allowed + 1
        before, above = above, line
    return min(above)
