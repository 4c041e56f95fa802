"""Labelled pictures become a manifest, or are refused by name."""

import io
import json
import random
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from tests.support.datasets import bitmaps, write_folders
from whatsit.errors import DatasetRejected, InvalidParameter
from whatsit.feedback.export import COLUMNS
from whatsit.pipeline.manifest import MANIFEST_FILE, Manifest, read_manifest, read_picture
from whatsit.pipeline.prepare import prepare
from whatsit.pipeline.report import read_report


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two classes of ten pictures."""
    classes = {"tulip": bitmaps(10), "rose": bitmaps(10, start=10)}
    return write_folders(tmp_path / "data", classes, "bmp")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def labels(manifest: Manifest) -> list[str]:
    return [entry.label for entry in manifest.classes]


def splits(manifest: Manifest) -> dict[str, str]:
    return {picture.sha256: picture.split for picture in manifest.pictures}


def per_class(manifest: Manifest) -> Counter[tuple[str, str]]:
    return Counter(
        (manifest.classes[picture.class_index].label, picture.split)
        for picture in manifest.pictures
    )


def png(bitmap: bytes) -> bytes:
    encoded = io.BytesIO()
    Image.open(io.BytesIO(bitmap)).save(encoded, "PNG")
    return encoded.getvalue()


def table(data: Path, *rows: str, name: str = "labels.csv", header: str = "file,label,split"):
    data.mkdir(exist_ok=True)
    (data / name).write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


# Layouts


def test_a_folder_for_each_class_is_divided_class_by_class(data, out):
    manifest = prepare(data, out, validation_ratio=0.2, test_ratio=0.3)

    assert labels(manifest) == ["rose", "tulip"]
    assert per_class(manifest) == {
        (label, split): count
        for label in ("rose", "tulip")
        for split, count in (("train", 5), ("validation", 2), ("test", 3))
    }


def test_even_small_classes_have_a_picture_in_every_split(tmp_path, out):
    data = write_folders(tmp_path / "d", {"a": bitmaps(3), "b": bitmaps(3, start=3)}, "bmp")

    assert set(per_class(prepare(data, out)).values()) == {1}


def test_the_division_depends_on_pictures_and_seed_not_on_names_or_their_order(data, out):
    before = splits(prepare(data, out))
    files = list(data.rglob("*.bmp"))
    random.Random(1).shuffle(files)
    for number, file in enumerate(files):
        file.rename(file.with_name(f"{number:02}.bmp"))

    after = prepare(data, out)

    assert splits(after) == before
    assert splits(prepare(data, out, seed=1)) != before


def test_two_runs_write_the_same_manifest_and_the_same_facts(data, out, tmp_path):
    prepare(data, out)
    prepare(data, tmp_path / "again")

    again = tmp_path / "again"
    assert (again / MANIFEST_FILE).read_bytes() == (out / MANIFEST_FILE).read_bytes()
    reports = [read_report(folder, "prepare") for folder in (out, again)]
    for report in reports:
        del report["arguments"], report["seconds"]
        assert str(tmp_path) not in json.dumps(report)
    assert reports[0] == reports[1]


def test_what_systems_strew_is_neither_a_class_nor_a_picture(data, out):
    before = prepare(data, out)
    some_class = next(entry for entry in data.iterdir() if entry.is_dir())
    for strewn in ("@eaDir", "#recycle", "__MACOSX", ".Trash-1000", "System Volume Information"):
        for folder in (data / strewn, some_class / strewn):
            folder.mkdir()
            (folder / "a.png").write_bytes(b"no picture")
    for name in ("._a.png", "Thumbs.db", "desktop.ini", ".DS_Store"):
        (data / name).write_bytes(b"no picture")
        (some_class / name).write_bytes(b"no picture")

    assert prepare(data, out) == before


@pytest.mark.parametrize("name", ["val", "validation", "Validation"])
def test_splits_that_the_folders_name_are_kept(tmp_path, out, name):
    names = {"train": 6, name: 3, "test": 2}
    starts = iter(range(0, 1000, 50))
    data = write_folders(
        tmp_path / "data",
        {
            f"{split}/{label}": bitmaps(n, next(starts))
            for split, n in names.items()
            for label in "ab"
        },
        "bmp",
    )

    assert prepare(data, out).counts() == {"train": 12, "validation": 6, "test": 4}


def test_validation_pictures_are_taken_from_those_for_training(tmp_path, out):
    classes = {
        **{"train/a": bitmaps(20), "train/b": bitmaps(20, 20)},
        **{"test/a": bitmaps(5, 40), "test/b": bitmaps(5, 45)},
    }
    data = write_folders(tmp_path / "data", classes, "bmp")

    manifest = prepare(data, out)

    assert manifest.counts() == {"train": 34, "validation": 6, "test": 10}
    taken = manifest.pictures_of("validation")
    assert all(picture.file.startswith("train/") for picture in taken)


def test_a_folder_named_by_a_wordnet_id_has_the_label_of_that_class(tmp_path, out):
    classes = {"n01440764": bitmaps(4), "n99999999": bitmaps(4, 4), "My own": bitmaps(4, 8)}
    manifest = prepare(write_folders(tmp_path / "data", classes, "bmp"), out)

    named = [(entry.label, entry.wnid) for entry in manifest.classes]
    assert named == [("tench", "n01440764"), ("n99999999", "n99999999"), ("My own", None)]


def test_a_table_names_labels_ids_and_splits(data, out):
    files = sorted(file.relative_to(data).as_posix() for file in data.rglob("*.bmp"))
    rows = [
        f"{file},,n01440764,{('train', 'val', 'test')[n % 3]}" for n, file in enumerate(files[:9])
    ]
    rows += [f"{file}, great  white ,," for file in files[9:12]]
    rows += [f"{file},Great white,,test" for file in files[12:14]]
    rows += [f"{file},great white,,validation" for file in files[14:16]]
    table(data, *rows, header="file,label,wnid,split")

    manifest = prepare(data, out)

    assert [(e.label, e.wnid) for e in manifest.classes] == [
        ("tench", "n01440764"),
        ("Great white", None),
    ]
    # A row without a split is for training where others have one.
    assert per_class(manifest) == {
        **{("tench", split): 3 for split in ("train", "validation", "test")},
        **{("Great white", "train"): 3, ("Great white", "test"): 2},
        ("Great white", "validation"): 2,
    }


def test_exported_corrections_become_classes_and_the_others_are_counted(tmp_path, out):
    classes = {"n07920052": bitmaps(4), "own-my-cat-1": bitmaps(3, 4), "n02206856": bitmaps(3, 7)}
    data = write_folders(tmp_path / "data", classes, "bmp")
    names = {"n07920052": ("espresso", "n07920052"), "own-my-cat-1": ("my cat", "")}
    # Said before the model knew the word; it is the model's label, so it is that class.
    names["n02206856"] = ("BEE", "")
    rows = [
        ",".join((file.stem, f"{file.parent.name}/{file.name}", *names[file.parent.name], "other"))
        for file in sorted(data.rglob("*.bmp"))
    ]
    rows += ["aa,,espresso,n07920052,right", "bb,,,,none", "cc,unknown/cc.jpg,,,right"]
    table(
        data,
        *(f"{row},2026-01-31T10:34:29.067Z,,," for row in rows),
        name="feedback.csv",
        header=",".join(COLUMNS),
    )

    manifest = prepare(data, out)

    assert [(e.label, e.wnid) for e in manifest.classes] == [
        ("BEE", "n02206856"),
        ("espresso", "n07920052"),
        ("my cat", None),
    ]
    report = read_report(out, "prepare")
    assert report["layout"] == "feedback"
    assert report["skipped"] == {"none_of_these": 1, "without_label": 1, "without_picture": 1}


def test_a_formula_of_an_export_is_the_label_again(tmp_path, out):
    data = write_folders(tmp_path / "data", {"a": bitmaps(3), "b": bitmaps(3, 3)}, "bmp")
    names = {"a": "'=1+1", "b": "''tis"}
    rows = [
        f"{file.stem},{file.parent.name}/{file.name},{names[file.parent.name]},,other,,,,"
        for file in sorted(data.rglob("*.bmp"))
    ]
    table(data, *rows, name="feedback.csv", header=",".join(COLUMNS))

    assert labels(prepare(data, out)) == ["'tis", "=1+1"]


def test_two_spellings_of_one_letter_are_one_class(tmp_path, out):
    """File systems and archives write the same name in either way."""
    classes = {
        "Zaunk\u00f6nig": bitmaps(3),
        "Zaunko\u0308nig": bitmaps(3, 3),
        "owl": bitmaps(3, 6),
    }

    manifest = prepare(write_folders(tmp_path / "data", classes, "bmp"), out)

    assert labels(manifest) == ["owl", "Zaunk\u00f6nig"]
    assert sum(count for (label, _), count in per_class(manifest).items() if label != "owl") == 6


def test_a_label_that_controls_a_terminal_is_refused(tmp_path, out):
    data = write_folders(tmp_path / "data", {"owl\x1b[31m": bitmaps(3), "b": bitmaps(3, 3)}, "bmp")

    with pytest.raises(DatasetRejected, match=r"owl\\x1b\[31m") as caught:
        prepare(data, out)
    assert "\x1b" not in caught.value.detail


def test_files_that_are_no_pictures_by_name_are_passed_over(data, out):
    (data / "tulip" / "notes.txt").write_text("from the garden")
    (data / "tulip" / ".hidden.bmp").write_bytes(b"")

    assert len(prepare(data, out).pictures) == 20


# Duplicates


@pytest.mark.parametrize("again", [bytes, png], ids=["same bytes", "saved in another format"])
def test_a_picture_twice_in_one_class_is_kept_once_and_reported(data, out, again):
    (data / "tulip" / "copy.png").write_bytes(again(bitmaps(1)[0]))

    manifest = prepare(data, out)

    assert len(manifest.pictures) == 20
    (entry,) = read_report(out, "prepare")["duplicates"]
    assert "tulip/copy.png" in [entry["kept"], *entry["left_out"]]
    assert len(entry["left_out"]) == 1


@pytest.mark.parametrize("again", [bytes, png], ids=["same bytes", "saved in another format"])
def test_a_picture_with_two_labels_is_refused_with_both(data, out, again):
    (data / "rose" / "copy.png").write_bytes(again(bitmaps(1)[0]))

    with pytest.raises(DatasetRejected, match=r"two labels: 'rose/copy.png', 'tulip/.*rose, tulip"):
        prepare(data, out)


@pytest.mark.parametrize("again", [bytes, png], ids=["same bytes", "saved in another format"])
def test_a_picture_in_two_splits_is_refused_by_name(tmp_path, out, again):
    classes = {"train/a": bitmaps(9), "train/b": bitmaps(9, 9)}
    data = write_folders(tmp_path / "data", classes, "bmp")
    for label, first in (("a", 0), ("b", 9)):
        write_folders(data, {f"test/{label}": bitmaps(2, 50 + first)}, "bmp")
    (data / "test" / "a" / "leak.png").write_bytes(again(bitmaps(1)[0]))

    with pytest.raises(
        DatasetRejected, match=r"two splits: 'test/a/leak.png', 'train/a/.*test, train"
    ):
        prepare(data, out)


# Refusals


def test_unreadable_pictures_are_refused_by_name_with_the_reason(data, out):
    (data / "rose" / "cut.bmp").write_bytes(bitmaps(1)[0][:500])
    (data / "tulip" / "words.jpg").write_text("this is text")

    with pytest.raises(DatasetRejected) as caught:
        prepare(data, out)

    assert "2 pictures can't be used" in caught.value.detail
    assert "'rose/cut.bmp': The picture is damaged" in caught.value.detail
    assert "'tulip/words.jpg': " in caught.value.detail
    assert not (out / MANIFEST_FILE).exists()


def test_a_long_list_of_bad_pictures_is_cut_short(data, out):
    for number in range(14):
        (data / "rose" / f"bad{number:02}.jpg").write_bytes(b"bad")

    with pytest.raises(DatasetRejected, match=r"'rose/bad09.jpg'.*; and 4 more") as caught:
        prepare(data, out)
    assert "bad10" not in caught.value.detail


def test_an_empty_class_is_refused_by_name(data, out):
    (data / "violet").mkdir()

    with pytest.raises(DatasetRejected, match="no pictures in 'violet'"):
        prepare(data, out)


def test_one_class_is_not_enough(tmp_path, out):
    data = write_folders(tmp_path / "data", {"rose": bitmaps(9)}, "bmp")

    with pytest.raises(DatasetRejected, match="one class only"):
        prepare(data, out)


def test_a_class_too_small_for_its_splits_is_refused_by_name(data, out):
    write_folders(data, {"violet": bitmaps(2, 30)}, "bmp")

    with pytest.raises(DatasetRejected, match=r"'violet' \(2\).*needs 3 or more"):
        prepare(data, out)


def test_a_class_that_a_given_split_lacks_is_refused_by_name(tmp_path, out):
    classes = {"train/a": bitmaps(9), "train/b": bitmaps(9, 9), "test/a": bitmaps(3, 20)}
    data = write_folders(tmp_path / "data", classes, "bmp")

    with pytest.raises(DatasetRejected, match="'test' has no picture of 'b'"):
        prepare(data, out)


def test_a_folder_beside_the_splits_is_refused_by_name(tmp_path, out):
    classes = {"train/a": bitmaps(9), "train/b": bitmaps(9, 9), "dev/a": bitmaps(3, 20)}
    data = write_folders(tmp_path / "data", classes, "bmp")

    with pytest.raises(DatasetRejected, match=r"'dev', which is not a split"):
        prepare(data, out)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("{file},rose,dev", "Line 2 of labels.csv has the split 'dev'"),
        ("{file},,train", "Line 2 of labels.csv has neither a label nor a wnid"),
        ("../secret.jpg,rose,", "'../secret.jpg', which is not below its folder"),
        ("/etc/hostname,rose,", "'/etc/hostname', which is not below its folder"),
        (",rose,", "not below its folder"),
        ("none.jpg,rose,", "'none.jpg': The file can't be read: No such file"),
    ],
)
def test_a_wrong_row_of_a_table_is_refused(data, out, row, sentence):
    first, *others = sorted(file.relative_to(data).as_posix() for file in data.rglob("*.bmp"))
    table(data, row.format(file=first), *(f"{file},tulip," for file in others))

    with pytest.raises(DatasetRejected) as caught:
        prepare(data, out)
    assert sentence in caught.value.detail


@pytest.mark.parametrize(
    ("header", "row", "sentence"),
    [
        ("name,label", "a.jpg,rose", "no column 'file'"),
        ("file,class", "a.jpg,rose", "no column 'label' or 'wnid'"),
        ("file,wnid", "a.jpg,tench", "the wnid 'tench'; one looks like n01440764"),
        ("file,label,wnid", "a.jpg,crane,n02012849\nb.jpg,Crane,n03126707", "label 'crane' stands"),
        ("file,label,wnid", "a.jpg,x,n02012849\nb.jpg,y,n02012849", "has the labels 'x', 'y'"),
        ("file,label", "", "no labelled pictures"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path, out, header, row, sentence):
    table(tmp_path / "data", row, header=header)

    with pytest.raises(DatasetRejected) as caught:
        prepare(tmp_path / "data", out)
    assert sentence in caught.value.detail


def test_feedback_without_a_single_picture_says_how_to_export_them(tmp_path, out):
    row = "aa,,espresso,n07920052,right,2026-01-31T10:34:29.067Z,,,"
    table(tmp_path / "data", row, name="feedback.csv", header=",".join(COLUMNS))

    with pytest.raises(DatasetRejected, match=r"1 without picture.*--format folders"):
        prepare(tmp_path / "data", out)


def test_two_tables_or_no_pictures_or_no_folder_are_refused(data, out, tmp_path):
    table(data, "a.jpg,rose,")
    table(data, name="feedback.csv", header=",".join(COLUMNS))
    with pytest.raises(DatasetRejected, match="keep one of them"):
        prepare(data, out)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetRejected, match="no labelled pictures"):
        prepare(tmp_path / "empty", out)
    with pytest.raises(DatasetRejected, match="'nowhere' does not exist"):
        prepare(tmp_path / "nowhere", out)


@pytest.mark.parametrize(("validation", "test"), [(0, 0.2), (0.15, 1), (0.6, 0.4), (-1, 0.2)])
def test_ratios_must_leave_something_for_every_split(data, out, validation, test):
    with pytest.raises(InvalidParameter, match="ratio"):
        prepare(data, out, validation_ratio=validation, test_ratio=test)


# The manifest


def test_a_manifest_is_read_as_it_was_written(data, out):
    manifest = prepare(data, out)

    assert read_manifest(out) == manifest
    assert (
        read_picture(data, manifest.pictures[0]) == (data / manifest.pictures[0].file).read_bytes()
    )


def test_a_picture_that_changed_after_it_was_prepared_is_refused(data, out):
    picture = prepare(data, out).pictures[0]
    (data / picture.file).write_bytes(bitmaps(1, 99)[0])
    with pytest.raises(DatasetRejected, match="has changed since"):
        read_picture(data, picture)
    (data / picture.file).unlink()
    with pytest.raises(DatasetRejected, match="can't be read"):
        read_picture(data, picture)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("schema", 2),
        ("data_sha256", "0" * 64),
        ("classes", []),
        ("classes", None),
        ("pictures", [{"file": "a.jpg", "sha256": "a", "class_index": 2, "split": "test"}]),
        ("pictures", [{"file": "a.jpg", "sha256": "a", "class_index": 0, "split": "dev"}]),
    ],
)
def test_a_manifest_changed_by_hand_is_refused(data, out, key, value):
    prepare(data, out)
    facts = json.loads((out / MANIFEST_FILE).read_text())
    (out / MANIFEST_FILE).write_text(json.dumps({**facts, key: value}))

    with pytest.raises(DatasetRejected, match="damaged"):
        read_manifest(out)


@pytest.mark.parametrize("file", ["../../secret.jpg", "/etc/hostname", ""])
def test_a_manifest_names_no_file_outside_the_data(data, out, file):
    prepare(data, out)
    facts = json.loads((out / MANIFEST_FILE).read_text())
    facts["pictures"][0]["file"] = file
    (out / MANIFEST_FILE).write_text(json.dumps(facts))

    with pytest.raises(DatasetRejected, match="damaged"):
        read_manifest(out)


def test_a_missing_manifest_says_how_to_make_one(out):
    with pytest.raises(DatasetRejected, match="whatsit pipeline prepare"):
        read_manifest(out)
