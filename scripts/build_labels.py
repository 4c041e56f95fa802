"""Build the label set ``imagenet-1k`` from WordNet 3.0 and the decisions kept beside this script.

ImageNet's class ids are WordNet 3.0 noun offsets: ``n02088364`` is the synset at byte 2088364 of
``data.noun``. That file gives each class its words, its definition and its hypernyms. Three files
in ``scripts/labels`` add what WordNet cannot know:

* ``imagenet-1k-wnids.txt``: the classes in output order;
* ``names.toml``: everyday names, further synonyms, better definitions;
* ``levels.toml``: the levels of the hierarchy, and the classes placed by hand.

Written are the label set that the package ships and the tables of ``docs/reference/labels.md``.
On Debian the database comes with ``apt-get install wordnet-base``.
"""

import argparse
import json
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
DECISIONS = REPOSITORY / "scripts" / "labels"
LABEL_SET = REPOSITORY / "src" / "whatsit" / "data" / "labels" / "imagenet-1k.json"
REVIEW_PAGE = REPOSITORY / "docs" / "reference" / "labels.md"

NUM_CLASSES = 1000


class LabelsRejected(Exception):
    """WordNet and the decisions do not fit together; the message says where."""


@dataclass(frozen=True, slots=True)
class Synset:
    """One meaning in WordNet: its words, its hypernyms and its gloss."""

    wnid: str
    words: tuple[str, ...]
    hypernyms: tuple[str, ...]
    gloss: str

    @property
    def definition(self) -> str:
        """The gloss without its examples and without a leading note such as ``(trademark)``."""
        text = re.split(r'[;:,]?\s*"', self.gloss, maxsplit=1)[0]
        text = re.sub(r"^\([^)]*\)\s*", "", text)
        return text.replace("`", "'").rstrip(" ;")


@dataclass(frozen=True, slots=True)
class Decision:
    """The entry of `names.toml` about one class; see the head of that file."""

    name: str | None = None
    article: str | None = None
    synonyms: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    definition: str | None = None
    definition_from: str | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Level:
    """One inner node of the hierarchy; `depth` counts steps from the root.

    `is_synset` says whether it is called otherwise than its synset, but is just that;
    `own_definition` describes it where the synset does not.
    """

    wnid: str
    name: str
    article: str
    parent: str | None
    depth: int
    is_synset: bool = False
    own_definition: str | None = None


@dataclass(frozen=True, slots=True)
class Placement:
    """A class that hangs where WordNet would not hang it."""

    parent: str
    why: str


@dataclass(frozen=True, slots=True)
class LabelClass:
    """One class as it is shipped."""

    index: int
    wnid: str
    name: str
    article: str
    synonyms: tuple[str, ...]
    definition: str
    parent: str


@dataclass(frozen=True)
class Hierarchy:
    """The kept levels by wnid, parents first, and the classes placed by hand."""

    levels: Mapping[str, Level]
    placed: Mapping[str, Placement] = field(default_factory=dict)

    def path(self, wnid: str) -> list[Level]:
        """The level and those above it, root first."""
        levels: list[Level] = []
        above: str | None = wnid
        while above is not None:
            levels.append(self.levels[above])
            above = self.levels[above].parent
        return levels[::-1]


def read_synsets(data_noun: Path) -> dict[str, Synset]:
    """Read all noun synsets, by wnid.

    The layout of a line is in WordNet's wndb(5WN): offset, file number, type, a hexadecimal count
    of words, the words, a decimal count of pointers, the pointers, ``|``, the gloss.
    """
    synsets: dict[str, Synset] = {}
    with data_noun.open(encoding="latin-1") as lines:
        for line in lines:
            if line.startswith("  "):  # the licence
                continue
            body, _, gloss = line.partition(" | ")
            fields = body.split(" ")
            num_words = int(fields[3], 16)
            words = fields[4 : 4 + 2 * num_words : 2]
            first = 4 + 2 * num_words + 1
            pointers = [
                fields[p : p + 4] for p in range(first, first + 4 * int(fields[first - 1]), 4)
            ]
            wnid = f"n{fields[0]}"
            synsets[wnid] = Synset(
                wnid,
                tuple(word.replace("_", " ") for word in words),
                tuple(f"n{offset}" for symbol, offset, *_ in pointers if symbol in {"@", "@i"}),
                gloss.strip(),
            )
    return synsets


def read_notice(data_noun: Path) -> str:
    """The copyright notice at the head of a WordNet file, which every copy must carry."""
    with data_noun.open(encoding="latin-1") as lines:
        head = [line[2:].strip().partition(" ")[2] for line in lines if line.startswith("  ")]
    return " ".join(" ".join(head).split())


def read_wnids(path: Path) -> list[str]:
    """Read the class ids in output order.

    Raises:
        LabelsRejected: There are not 1,000 of them, or they are not in ascending order.
    """
    wnids = path.read_text(encoding="utf-8").split()
    if len(wnids) != NUM_CLASSES or wnids != sorted(set(wnids)):
        raise LabelsRejected(f"{path.name} must list {NUM_CLASSES} wnids in ascending order.")
    return wnids


def read_decisions(path: Path) -> dict[str, Decision]:
    """Read `names.toml`, by wnid.

    Raises:
        LabelsRejected: A name or a definition lacks its reason.
    """
    decisions: dict[str, Decision] = {}
    for wnid, entry in tomllib.loads(path.read_text(encoding="utf-8")).items():
        fields: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()
        }
        decision = Decision(**fields)
        if decision.why is None and (
            decision.name or decision.definition or decision.definition_from
        ):
            raise LabelsRejected(f"{path.name}: {wnid} has no reason (why).")
        decisions[wnid] = decision
    return decisions


def read_hierarchy(path: Path) -> Hierarchy:
    """Read `levels.toml`.

    Raises:
        LabelsRejected: A parent does not stand above its child in the file, or a class is placed
            twice.
    """
    document: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    by_name: dict[str, Level] = {}
    for entry in document["levels"]:
        name: str = entry["name"]
        above = _require_level(by_name, entry["parent"], name) if "parent" in entry else None
        by_name[name] = Level(
            entry["wnid"],
            name,
            entry.get("article", guess_article(name)),
            above.wnid if above else None,
            above.depth + 1 if above else 0,
            entry.get("same", False),
            entry.get("definition"),
        )
    placed: dict[str, Placement] = {}
    for entry in document["placed"]:
        placement = Placement(_require_level(by_name, entry["parent"], "placed").wnid, entry["why"])
        for wnid in entry["classes"]:
            if wnid in placed:
                raise LabelsRejected(f"{path.name}: {wnid} is placed twice.")
            placed[wnid] = placement
    return Hierarchy({level.wnid: level for level in by_name.values()}, placed)


def _require_level(by_name: Mapping[str, Level], name: str, child: str) -> Level:
    if name not in by_name:
        raise LabelsRejected(f"levels.toml: {child!r} wants the unknown parent {name!r}.")
    return by_name[name]


def guess_article(name: str) -> str:
    """The indefinite article by the first letter; the decisions hold the exceptions."""
    return "an" if name[0].lower() in "aeiou" else "a"


def nearest_level(wnid: str, synsets: Mapping[str, Synset], hierarchy: Hierarchy) -> str:
    """The kept level fewest hypernym steps above a class.

    Of equally near ones the deeper wins, then the one that WordNet lists first.

    Raises:
        LabelsRejected: No level lies above the class.
    """
    front, seen = [wnid], {wnid}
    while front:
        above = [h for below in front for h in synsets[below].hypernyms if h not in seen]
        front = list(dict.fromkeys(above))
        seen.update(front)
        if found := [h for h in front if h in hierarchy.levels]:
            return max(found, key=lambda h: hierarchy.levels[h].depth)
    raise LabelsRejected(f"No level lies above {wnid}.")


def build_class(
    index: int,
    wnid: str,
    synsets: Mapping[str, Synset],
    decision: Decision,
    hierarchy: Hierarchy,
) -> LabelClass:
    """Join WordNet and the decisions about one class.

    Raises:
        LabelsRejected: A decision changes nothing, so it can go; or it drops an unknown word.
    """
    words = synsets[wnid].words
    name = decision.name or words[0]
    if decision.name == words[0]:
        raise LabelsRejected(f"names.toml: {wnid} is called {name!r} anyway.")
    if unknown := set(decision.drop) - set(words):
        raise LabelsRejected(f"names.toml: {wnid} drops {unknown}, which WordNet does not list.")
    article = guess_article(name) if decision.article is None else decision.article

    parent = nearest_level(wnid, synsets, hierarchy)
    if placement := hierarchy.placed.get(wnid):
        if placement.parent == parent:
            raise LabelsRejected(f"levels.toml: {wnid} is placed where WordNet places it.")
        parent = placement.parent

    source = synsets[decision.definition_from or wnid]
    return LabelClass(
        index,
        wnid,
        name,
        article,
        tuple(_synonyms(name, words, decision)),
        decision.definition or source.definition,
        parent,
    )


def _synonyms(name: str, words: Sequence[str], decision: Decision) -> Iterator[str]:
    seen = {name.casefold(), *(word.casefold() for word in decision.drop)}
    for word in (*words, *decision.synonyms):
        if word.casefold() not in seen:
            seen.add(word.casefold())
            yield word


def describe_level(level: Level, synsets: Mapping[str, Synset]) -> tuple[tuple[str, ...], str]:
    """The synonyms and the definition of a level.

    Raises:
        LabelsRejected: Its name differs from its synset and no entry says what it is; or an entry
            does, although the name is the same.
    """
    synset = synsets[level.wnid]
    is_named_so = level.name.casefold() in {word.casefold() for word in synset.words}
    if is_named_so + level.is_synset + (level.own_definition is not None) != 1:
        raise LabelsRejected(
            f"levels.toml: {level.name!r} needs `same` or `definition` if its synset has another "
            "name, and neither if it has this one."
        )
    if level.own_definition is not None:
        return (), level.own_definition
    return tuple(_synonyms(level.name, synset.words, Decision())), synset.definition


def require_distinct_names(names: Iterable[str]) -> None:
    """Refuse two names that differ at most in case.

    Raises:
        LabelsRejected: Names the clash.
    """
    counts = Counter(name.casefold() for name in names)
    if clashes := sorted(name for name, count in counts.items() if count > 1):
        raise LabelsRejected(f"Used for more than one class or level: {', '.join(clashes)}.")


def render_label_set(
    classes: Sequence[LabelClass],
    levels: Mapping[str, Level],
    synsets: Mapping[str, Synset],
    notice: str,
) -> str:
    """The label set as JSON, one level or class a line so that a change shows as a line."""
    nodes = []
    for level in levels.values():
        synonyms, definition = describe_level(level, synsets)
        nodes.append(
            {
                "wnid": level.wnid,
                "name": level.name,
                "article": level.article,
                "synonyms": list(synonyms),
                "definition": definition,
                "parent": level.parent,
            }
        )
    entries = [
        {
            "index": c.index,
            "wnid": c.wnid,
            "name": c.name,
            "article": c.article,
            "synonyms": list(c.synonyms),
            "definition": c.definition,
            "parent": c.parent,
        }
        for c in classes
    ]
    head = {
        "name": "imagenet-1k",
        "source": "ILSVRC-2012 classes; words, definitions and hypernyms from WordNet 3.0; "
        "everyday names and levels by scripts/build_labels.py",
        "licence": "WordNet 3.0 licence",
        "notice": notice,
    }
    lines = [f"{_json(key)}: {_json(value)}" for key, value in head.items()]
    lines += [
        f"{_json(key)}: [\n" + ",\n".join(_json(row) for row in rows) + "\n]"
        for key, rows in (("nodes", nodes), ("classes", entries))
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def name_table(
    classes: Sequence[LabelClass],
    synsets: Mapping[str, Synset],
    decisions: Mapping[str, Decision],
) -> str:
    """The names changed by hand, as a Markdown table."""
    rows = [
        (str(c.index), synsets[c.wnid].words[0], c.name, decisions[c.wnid].why or "")
        for c in classes
        if c.wnid in decisions and decisions[c.wnid].name
    ]
    return _table(("index", "WordNet's first word", "our name", "why"), rows)


def definition_table(classes: Sequence[LabelClass], decisions: Mapping[str, Decision]) -> str:
    """The definitions that are not the gloss of the class, as a Markdown table."""
    rows = []
    for c in classes:
        decision = decisions.get(c.wnid, Decision())
        if decision.definition or decision.definition_from:
            source = decision.definition_from or "ours"
            rows.append((str(c.index), c.name, c.definition, source, decision.why or ""))
    return _table(("index", "name", "definition", "from", "why"), rows)


def placement_table(classes: Sequence[LabelClass], hierarchy: Hierarchy) -> str:
    """The classes placed by hand, by level, as a Markdown table."""
    members: dict[Placement, list[str]] = {}
    for c in classes:
        if placement := hierarchy.placed.get(c.wnid):
            members.setdefault(placement, []).append(c.name)
    rows = [
        (level.name, ", ".join(names), placement.why)
        for level in hierarchy.levels.values()
        for placement, names in members.items()
        if placement.parent == level.wnid
    ]
    return _table(("level", "classes", "why"), rows)


def tree_list(classes: Sequence[LabelClass], hierarchy: Hierarchy) -> str:
    """The levels down to the second, with the number of classes under each, as a Markdown list."""
    counts = Counter(level.wnid for c in classes for level in hierarchy.path(c.parent))
    return "\n".join(
        f"{'  ' * level.depth}- {level.name} ({counts[level.wnid]})"
        for level in hierarchy.levels.values()
        if level.depth <= 2
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def fill_page(page: str, blocks: Mapping[str, str]) -> str:
    """Put each block between its pair of marker comments.

    Raises:
        LabelsRejected: The page lacks a pair.
    """
    for name, block in blocks.items():
        start = f"<!-- generated by scripts/build_labels.py: {name} -->"
        end = f"<!-- end of {name} -->"
        if page.count(start) != 1 or page.count(end) != 1:
            raise LabelsRejected(f"{REVIEW_PAGE.name} must have one pair of markers for {name!r}.")
        before, _, rest = page.partition(start)
        after = rest.partition(end)[2]
        page = f"{before}{start}\n\n{block}\n\n{end}{after}"
    return page


def build(wordnet: Path) -> None:
    """Write the label set and the tables of the review page."""
    synsets = read_synsets(wordnet / "data.noun")
    wnids = read_wnids(DECISIONS / "imagenet-1k-wnids.txt")
    decisions = read_decisions(DECISIONS / "names.toml")
    hierarchy = read_hierarchy(DECISIONS / "levels.toml")
    known = set(wnids)
    if stray := (set(decisions) | set(hierarchy.placed)) - known:
        raise LabelsRejected(f"Decisions about unknown classes: {', '.join(sorted(stray))}.")
    if stray := {w for w in hierarchy.levels if w in known or w not in synsets}:
        raise LabelsRejected(f"Levels that are classes or no synsets: {', '.join(sorted(stray))}.")

    classes = [
        build_class(index, wnid, synsets, decisions.get(wnid, Decision()), hierarchy)
        for index, wnid in enumerate(wnids)
    ]
    levels = hierarchy.levels
    require_distinct_names([*(c.name for c in classes), *(lv.name for lv in levels.values())])

    notice = read_notice(wordnet / "data.noun")
    LABEL_SET.parent.mkdir(parents=True, exist_ok=True)
    LABEL_SET.write_text(render_label_set(classes, levels, synsets, notice), encoding="utf-8")
    blocks = {
        "tree": tree_list(classes, hierarchy),
        "names": name_table(classes, synsets, decisions),
        "definitions": definition_table(classes, decisions),
        "placements": placement_table(classes, hierarchy),
    }
    page = REVIEW_PAGE.read_text(encoding="utf-8")
    REVIEW_PAGE.write_text(fill_page(page, blocks), encoding="utf-8")
    print(f"{len(classes)} classes, {len(levels)} levels")


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Build the label set imagenet-1k.")
    parser.add_argument(
        "--wordnet",
        type=Path,
        default=Path("/usr/share/wordnet"),
        metavar="DIR",
        help="folder of WordNet 3.0's data.noun (default: %(default)s)",
    )
    try:
        build(parser.parse_args().wordnet)
    except (LabelsRejected, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
