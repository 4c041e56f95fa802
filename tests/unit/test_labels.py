"""Every class of a model has a name of its own, and its place."""

from pathlib import Path

import pytest

from whatsit.errors import InvalidModelCard
from whatsit.labels.label_set import LabelEntry, LabelSet
from whatsit.labels.load import load_labels


def write_labels(folder: Path, *lines: str) -> Path:
    (folder / "labels.txt").write_text("\n".join(lines), encoding="utf-8")
    return folder


# The bundled set


@pytest.fixture(scope="module")
def imagenet() -> LabelSet:
    return load_labels("imagenet-1k", Path("no-such-folder"))


def test_the_bundled_set_names_1000_classes_differently(imagenet):
    assert len(imagenet) == 1000
    assert len({entry.label.casefold() for entry in imagenet.entries}) == 1000


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (0, LabelEntry("tench", "n01440764", "a")),
        (162, LabelEntry("beagle", "n02088364", "a")),
        (937, LabelEntry("broccoli", "n07714990", "")),
    ],
)
def test_the_bundled_set_stands_in_the_order_of_imagenet(imagenet, index, expected):
    assert imagenet.entries[index] == expected


def test_a_file_of_the_folder_wins_over_a_bundled_set(tmp_path):
    (tmp_path / "imagenet-1k").write_text("owl\ncrow\n", encoding="utf-8")

    assert [entry.label for entry in load_labels("imagenet-1k", tmp_path).entries] == [
        "owl",
        "crow",
    ]


# Files


def test_a_file_has_one_label_a_line_in_output_order(tmp_path):
    labels = load_labels("labels.txt", write_labels(tmp_path, "wren", " owl ", "jay, blue", ""))

    assert labels == LabelSet(
        "labels.txt",
        (
            LabelEntry("wren", None, "a"),
            LabelEntry("owl", None, "an"),
            LabelEntry("jay, blue", None, "a"),
        ),
    )


def test_a_file_may_use_any_script_and_either_line_ending(tmp_path):
    (tmp_path / "labels.txt").write_bytes("Zaunkönig\r\n猫\r\n".encode())

    names = [entry.label for entry in load_labels("labels.txt", tmp_path).entries]

    assert names == ["Zaunkönig", "猫"]


def test_the_mark_that_windows_puts_before_a_text_is_no_part_of_a_label(tmp_path):
    (tmp_path / "labels.txt").write_bytes(b"\xef\xbb\xbfowl\r\nwren\r\n")

    assert load_labels("labels.txt", tmp_path).entries[0] == LabelEntry("owl", None, "an")


@pytest.mark.parametrize(("lines", "number"), [(("owl", " ", "wren"), 2), (("", "owl"), 1)])
def test_an_empty_line_would_shift_the_classes_and_is_refused(tmp_path, lines, number):
    with pytest.raises(InvalidModelCard, match=rf"^Line {number} of .*'labels\.txt' is empty"):
        load_labels("labels.txt", write_labels(tmp_path, *lines))


@pytest.mark.parametrize("end", ["", "\n", "\n\n \n"])
def test_empty_lines_at_the_end_do_not_count(tmp_path, end):
    (tmp_path / "labels.txt").write_text(f"owl\nwren{end}", encoding="utf-8")

    assert len(load_labels("labels.txt", tmp_path)) == 2


@pytest.mark.parametrize("twin", ["owl", "OWL", " Owl "])
def test_two_classes_of_one_name_are_refused(tmp_path, twin):
    folder = write_labels(tmp_path, "owl", "wren", twin)

    with pytest.raises(InvalidModelCard, match=r"(?i)'labels\.txt' name two classes 'owl'"):
        load_labels("labels.txt", folder)


def test_a_set_that_is_nowhere_is_refused_by_its_name(tmp_path):
    with pytest.raises(InvalidModelCard, match="'birds' are neither") as caught:
        load_labels("birds", tmp_path)

    assert str(tmp_path) not in caught.value.detail


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_a_file_without_labels_is_refused(tmp_path, content):
    (tmp_path / "labels.txt").write_bytes(content)

    with pytest.raises(InvalidModelCard, match="are empty"):
        load_labels("labels.txt", tmp_path)


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "labels.txt").write_bytes(b"\xff\xfeo\0w\0l\0")

    with pytest.raises(InvalidModelCard, match=r"'labels\.txt' can't be read"):
        load_labels("labels.txt", tmp_path)


# Phrase and digest


@pytest.mark.parametrize(("article", "phrase"), [("a", "a hen"), ("an", "an hen"), ("", "hen")])
def test_a_phrase_starts_with_the_article_if_there_is_one(article, phrase):
    assert LabelEntry("hen", None, article).phrase == phrase


BIRDS = (LabelEntry("owl", "n1", "an"), LabelEntry("wren", None, "a"))


@pytest.mark.parametrize(
    "entries",
    [
        (LabelEntry("Owl", "n1", "an"), BIRDS[1]),
        (LabelEntry("owl", "n2", "an"), BIRDS[1]),
        (LabelEntry("owl", None, "an"), BIRDS[1]),
        (LabelEntry("owl", "n1", ""), BIRDS[1]),
        (BIRDS[1], BIRDS[0]),
        (BIRDS[0],),
        (*BIRDS, LabelEntry("jay")),
    ],
    ids=["name", "wnid", "no-wnid", "article", "order", "fewer", "more"],
)
def test_the_digest_changes_with(entries):
    assert LabelSet("birds", entries).digest != LabelSet("birds", BIRDS).digest


def test_the_digest_changes_with_every_group_and_where_it_stands():
    bird, fowl = LabelEntry("bird", None, "a"), LabelEntry("fowl", None, "")
    trees = [
        ((), ()),
        ((bird,), (-1, 0, 0)),
        ((fowl,), (-1, 0, 0)),
        ((bird,), (-1, 0, -1)),
    ]

    assert len({LabelSet("birds", BIRDS, *tree).digest for tree in trees}) == len(trees)


def test_the_digest_does_not_depend_on_the_name_of_the_set():
    assert LabelSet("birds", BIRDS).digest == LabelSet("fowl", BIRDS).digest


# What people and strangers write


@pytest.mark.parametrize(
    "character", ["\x00", "\x07", "\x1b", "\x7f", "\x85", "\x9b", "\u2028", "\u202e", "\u2066"]
)
def test_a_label_that_controls_a_terminal_is_refused_with_its_line(tmp_path, character):
    folder = write_labels(tmp_path, "owl", f"wr{character}en")

    with pytest.raises(InvalidModelCard, match=rf"^Line 2 of .*U\+{ord(character):04X}") as caught:
        load_labels("labels.txt", folder)
    assert character not in caught.value.detail


def test_a_control_character_behind_a_backslash_is_seen_too(tmp_path):
    with pytest.raises(InvalidModelCard, match=r"U\+001B"):
        load_labels("labels.txt", write_labels(tmp_path, "owl \\ \x1b[31m", "wren"))


def test_labels_keep_what_scripts_need(tmp_path):
    written = ("می‌خواهم", "👩‍🚀", "back\\slash", "a b", "\u200f\u05d0\u05d1")

    labels = load_labels("labels.txt", write_labels(tmp_path, *written))

    assert tuple(entry.label for entry in labels.entries) == written


def test_blanks_of_all_kinds_are_one_space(tmp_path):
    labels = load_labels("labels.txt", write_labels(tmp_path, "snowy\t\u00a0 owl", "wren"))

    assert labels.entries[0].label == "snowy owl"


@pytest.mark.parametrize(
    "twin", ["Zaunko\u0308nig", "ZAUNKO\u0308NIG", "ZAUNK\u00d6NIG"], ids=ascii
)
def test_two_spellings_of_one_letter_are_one_class(tmp_path, twin):
    with pytest.raises(InvalidModelCard, match="name two classes"):
        load_labels("labels.txt", write_labels(tmp_path, "Zaunk\u00f6nig", twin))


def test_the_same_words_spelt_in_two_ways_have_one_digest(tmp_path):
    (tmp_path / "other").mkdir()
    one = load_labels("labels.txt", write_labels(tmp_path, "Zaunk\u00f6nig", "owl"))
    other = load_labels("labels.txt", write_labels(tmp_path / "other", "Zaunko\u0308nig", "owl"))

    assert one.digest == other.digest


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("owl\nZaunkönig\n".encode("latin-1"), r"line 2.*UTF-8.*iconv -f LATIN1 -t UTF-8"),
        ("owl\n".encode("utf-16"), r"UTF-16.*Save it as UTF-8.*iconv -f UTF-16 -t UTF-8"),
        (b"\xfe\xff\0o\0w\0l", r"UTF-16.*Save it as UTF-8"),
        ("Zaunkönig\n".encode("utf-16-le"), r"UTF-8|U\+0000"),
    ],
    ids=["latin-1", "UTF-16", "UTF-16 BE", "UTF-16 without a mark"],
)
def test_another_encoding_is_refused_with_the_right_one(tmp_path, content, complaint):
    (tmp_path / "labels.txt").write_bytes(content)

    with pytest.raises(InvalidModelCard, match=complaint):
        load_labels("labels.txt", tmp_path)


def test_a_bundled_set_is_not_looked_for_in_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "imagenet-1k").write_text("owl\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    assert len(load_labels("imagenet-1k")) == 1000
