"""The shipped label set: names a person can read, in a hierarchy that holds together."""

import json
from collections import Counter
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

WNID_LIST = Path(__file__).resolve().parents[2] / "scripts" / "labels" / "imagenet-1k-wnids.txt"

# Spoken with another first sound than the first letter suggests.
ARTICLE_EXCEPTIONS = {
    "European garden spider": "a",
    "European polecat": "a",
    "hourglass": "an",
    "one-piece swimsuit": "a",
    "unicycle": "a",
}

# Plural and mass nouns; every other name takes an article.
NO_ARTICLE = {
    *("bedding", "binoculars", "bread", "broccoli", "carbonara", "chain mail", "chocolate sauce"),
    *("consommé", "corn", "dark glasses", "dough", "eggnog", "face powder", "food or drink"),
    *("guacamole", "hair spray", "hay", "ice cream", "jeans", "maize", "mashed potato", "pajamas"),
    *("parallel bars", "printed or written matter", "rapeseed", "red wine"),
    *("sports or play equipment", "sunglasses", "sunscreen", "swim trunks", "toilet paper"),
    *("velvet", "wool"),
}

# Its pictures show shells, stairs and springs: no level is true of them all.
UNDER_THE_ROOT = {"spiral"}


@pytest.fixture(scope="module")
def label_set() -> dict[str, Any]:
    path = resources.files("whatsit") / "data" / "labels" / "imagenet-1k.json"
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


@pytest.fixture(scope="module")
def classes(label_set) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = label_set["classes"]
    return entries


@pytest.fixture(scope="module")
def nodes(label_set) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = label_set["nodes"]
    return entries


@pytest.fixture(scope="module")
def path_of(classes, nodes):
    """Give the names above a class, root first, by the name of the class."""
    by_wnid = {node["wnid"]: node for node in nodes}
    start = {entry["name"]: entry["parent"] for entry in classes}

    def path(name: str) -> list[str]:
        names: list[str] = []
        above = start[name]
        while above is not None:
            names.append(by_wnid[above]["name"])
            assert len(names) <= len(nodes), f"{name} hangs on a circle"
            above = by_wnid[above]["parent"]
        return names[::-1]

    return path


def test_every_class_stands_at_the_rank_of_its_wnid(classes):
    wnids = [entry["wnid"] for entry in classes]

    assert len(wnids) == 1000
    assert wnids == sorted(set(wnids))
    assert [entry["index"] for entry in classes] == list(range(1000))


def test_the_classes_are_those_of_the_list_in_the_repository(classes):
    listed = WNID_LIST.read_text(encoding="utf-8").split()

    assert [entry["wnid"] for entry in classes] == listed


def test_no_two_classes_or_levels_share_a_name_in_any_case(classes, nodes):
    counts = Counter(entry["name"].casefold() for entry in [*classes, *nodes])

    assert [name for name, count in counts.items() if count > 1] == []


def test_no_two_classes_or_levels_share_a_wnid(classes, nodes):
    counts = Counter(entry["wnid"] for entry in [*classes, *nodes])

    assert [wnid for wnid, count in counts.items() if count > 1] == []


def test_a_name_is_plain_words(classes, nodes):
    odd = [
        name
        for name in (entry["name"] for entry in [*classes, *nodes])
        if not name or name != " ".join(name.split()) or set(name) & set('_()[]"`|')
    ]

    assert odd == []


def test_the_first_level_is_the_only_root(nodes):
    roots = [node["name"] for node in nodes if node["parent"] is None]

    assert roots == ["thing"]
    assert nodes[0]["name"] == "thing"


def test_a_parent_stands_before_its_children(nodes):
    seen: set[str | None] = {None}
    for node in nodes:
        assert node["parent"] in seen, node["name"]
        seen.add(node["wnid"])


def test_every_class_reaches_the_root(classes, path_of):
    assert {path_of(entry["name"])[0] for entry in classes} == {"thing"}


def test_a_class_has_one_to_five_levels_between_itself_and_the_root(classes, path_of):
    depths = {entry["name"]: len(path_of(entry["name"])) - 1 for entry in classes}

    assert {name for name, depth in depths.items() if depth == 0} == UNDER_THE_ROOT
    assert max(depths.values()) == 5


def test_the_root_has_few_enough_children_to_list(nodes):
    assert 8 <= sum(node["parent"] == nodes[0]["wnid"] for node in nodes) <= 15


def test_a_level_joins_at_least_two_children(classes, nodes):
    children = Counter(entry["parent"] for entry in [*classes, *nodes])

    assert [node["name"] for node in nodes if children[node["wnid"]] < 2] == []


def test_an_article_is_missing_for_plural_and_mass_nouns_only(classes, nodes):
    bare = {entry["name"] for entry in [*classes, *nodes] if entry["article"] == ""}

    assert bare == NO_ARTICLE


def test_an_article_suits_the_first_sound(classes, nodes):
    wrong = []
    for entry in [*classes, *nodes]:
        name = entry["name"]
        by_letter = "an" if name[0].lower() in "aeiou" else "a"
        expected = "" if name in NO_ARTICLE else ARTICLE_EXCEPTIONS.get(name, by_letter)
        if entry["article"] != expected:
            wrong.append((entry["article"], name))

    assert wrong == []


def test_every_exception_to_the_article_rule_is_in_use(classes):
    assert set(ARTICLE_EXCEPTIONS) <= {entry["name"] for entry in classes}


def test_every_definition_is_one_line_without_examples(classes, nodes):
    odd = [
        entry["name"]
        for entry in [*classes, *nodes]
        if not entry["definition"].strip() or set(entry["definition"]) & set('\n"`')
    ]

    assert odd == []


def test_synonyms_repeat_neither_the_name_nor_each_other(classes, nodes):
    for entry in [*classes, *nodes]:
        words = [word.casefold() for word in (entry["name"], *entry["synonyms"])]
        assert len(words) == len(set(words)), entry["name"]
        assert not any("_" in word for word in words), entry["name"]


@pytest.mark.parametrize(
    ("wnid", "name"),
    [
        ("n02012849", "crane bird"),
        ("n03126707", "construction crane"),
        ("n03710637", "bodysuit"),
        ("n03710721", "one-piece swimsuit"),
        ("n03773504", "missile"),
        ("n04008634", "projectile"),
        ("n04355933", "dark glasses"),
        ("n04356056", "sunglasses"),
        ("n02963159", "cardigan"),
        ("n02113186", "Cardigan Welsh corgi"),
        ("n12144580", "corn"),
        ("n13133613", "ear of corn"),
        ("n03642806", "laptop"),
        ("n03832673", "notebook computer"),
        ("n02808440", "bathtub"),
        ("n04493381", "tub"),
        ("n02088364", "beagle"),
        ("n01847000", "male duck"),
        ("n02108089", "boxer dog"),
        ("n03976657", "pole"),
    ],
)
def test_names_known_by_hand(classes, wnid, name):
    assert [entry["name"] for entry in classes if entry["wnid"] == wnid] == [name]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("beagle", "thing > animal > mammal > canine > dog > hound"),
        ("Siamese cat", "thing > animal > mammal > feline > domestic cat"),
        ("banana", "thing > food or drink > fruit"),
        ("taxi", "thing > vehicle > motor vehicle > car"),
        ("grand piano", "thing > musical instrument > keyboard instrument > piano"),
        ("sunglasses", "thing > item of clothing or accessory > pair of glasses"),
        ("dark glasses", "thing > item of clothing or accessory > pair of glasses"),
        ("missile", "thing > tool, machine or device > weapon > missile or projectile"),
        ("projectile", "thing > tool, machine or device > weapon > missile or projectile"),
        ("volcano", "thing > natural formation > landform"),
    ],
)
def test_paths_known_by_hand(path_of, name, path):
    assert " > ".join(path_of(name)) == path


def test_the_notice_that_the_wordnet_licence_asks_for_is_carried(label_set):
    assert "WordNet 3.0 Copyright 2006 by Princeton University" in label_set["notice"]
    assert "THIS SOFTWARE AND DATABASE IS PROVIDED" in label_set["notice"]
