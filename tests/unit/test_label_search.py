"""A class is found by what people type."""

import time
from pathlib import Path

import pytest

from whatsit.labels.label_set import LabelEntry, LabelSet
from whatsit.labels.load import load_labels
from whatsit.labels.search import LabelSearch

IMAGENET = LabelSearch(load_labels("imagenet-1k", Path("no-such-folder")))
PETS = LabelSearch(
    LabelSet(
        "pets",
        (
            LabelEntry("tabby cat", "n1", "a", ("moggy",)),
            LabelEntry("catfish", "n2", "a"),
            LabelEntry("bobcat", "n3", "a", ("lynx cat",)),
            LabelEntry("Émile's dog", "n4", "an", ("hound dog",), "a dog"),
        ),
        (LabelEntry("pet", "n9", "a", ("companion",), "an animal at home"),),
        (-1, 0, 0, 0, 0),
    )
)


def labels_for(query: str, limit: int = 20, search: LabelSearch = PETS) -> list[str]:
    return [found.entry.label for found in search.search(query, limit)]


def test_beginnings_of_words_come_before_what_lies_within_them():
    assert labels_for("cat") == ["tabby cat", "bobcat", "catfish"]
    assert labels_for("ca", 2) == ["catfish", "tabby cat"]
    assert labels_for("at") == ["bobcat", "catfish", "tabby cat"]


@pytest.mark.parametrize("query", ["MOGGY", "mog", "  moggy ", "moggy!"])
def test_a_synonym_finds_its_class(query):
    assert labels_for(query) == ["tabby cat"]


@pytest.mark.parametrize("query", ["emile", "Emiles dog", "dog émile", "hound"])
def test_accents_apostrophes_and_order_do_not_matter(query):
    assert labels_for(query) == ["Émile's dog"]


def test_the_whole_name_comes_first():
    assert labels_for("beagle", search=IMAGENET)[0] == "beagle"
    assert labels_for("taxi", search=IMAGENET)[0] == "taxi"
    assert labels_for("corn", search=IMAGENET)[0] == "corn"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("begle", "beagle"),
        ("beaglle", "beagle"),
        ("baegle", "beagle"),
        ("beogle", "beagle"),
        ("dalmation", "Dalmatian"),
        ("golden retreiver", "golden retriever"),
        ("chiuahua", "Chihuahua"),
        ("brocoli", "broccoli"),
    ],
)
def test_small_typos_are_forgiven(typed, meant):
    assert meant in labels_for(typed, 3, IMAGENET)


def test_what_was_typed_is_no_typo_of_something_else():
    assert "Petri dish" in labels_for("petr", search=IMAGENET)
    assert "Petri dish" not in labels_for("retr", search=IMAGENET)


def test_whole_words_come_before_words_that_only_begin_so():
    assert labels_for("bus", 1, IMAGENET) == ["school bus"]


@pytest.mark.parametrize("query", ["zzz", "xylograph", "begl3 zz", "ca7"])
def test_what_nothing_is_like_finds_nothing(query):
    assert labels_for(query, search=IMAGENET) == []


def test_groups_are_not_offered_but_known():
    assert labels_for("pet") == []
    group = PETS.find("n9")
    assert group is not None
    assert (group.entry.label, group.index, group.entry.definition) == (
        "pet",
        None,
        "an animal at home",
    )


def test_a_name_is_known_in_any_case_and_a_synonym_is_no_name():
    found = PETS.named("Tabby CAT")
    assert found is not None
    assert (found.entry.wnid, found.index) == ("n1", 0)
    assert PETS.named("moggy") is None


def test_nothing_asked_lists_the_classes_by_name():
    assert labels_for("", 3) == ["bobcat", "catfish", "Émile's dog"]


def test_no_more_than_asked_for():
    assert len(labels_for("a", 7, IMAGENET)) == 7


def test_every_class_of_imagenet_is_found_by_each_of_its_names():
    labels = load_labels("imagenet-1k", Path("no-such-folder"))
    for entry in labels.entries[::9]:
        for name in (entry.label, *entry.synonyms):
            found = [hit.entry.label for hit in IMAGENET.search(name, 50)]
            assert entry.label in found[:6], name


def test_every_entry_of_the_bundled_set_is_defined():
    labels = load_labels("imagenet-1k", Path("no-such-folder"))
    bare = [e.label for e in (*labels.entries, *labels.groups) if not e.definition]

    assert bare == []
    assert "moggy" not in {word for entry in labels.groups for word in entry.synonyms}
    assert any(entry.synonyms for entry in labels.groups)


def test_a_hard_query_comes_to_an_end():
    IMAGENET.search("warm", 20)
    start = time.perf_counter()
    assert IMAGENET.search("quixoticaly wombattt phenomenonal", 20) == []

    assert time.perf_counter() - start < 20
