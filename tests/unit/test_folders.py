"""Which files are found, what is written about them, and what a second run makes of it."""

import csv
import io
import json
import os
import re
import socket
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.conftest import ROOT
from whatsit.errors import InferenceFailed, InputError, SettingsError, WhatsitError
from whatsit.folders.classify import show_answers
from whatsit.folders.find import (
    STANDARD_INPUT,
    STREWN_NAMES,
    FoundFile,
    find_files,
    is_strewn,
    read_file,
    show_path,
)
from whatsit.folders.output import open_output
from whatsit.folders.rows import COLUMNS, CsvRows, FileKey, JsonLines, RowFormat, format_for, key_of
from whatsit.prediction import Reply
from whatsit.testing import fake_classifier, plain_picture

FORMATS = [CsvRows(), JsonLines()]
REFUSED = InputError("No.")


@pytest.fixture
def reply() -> Reply:
    prediction = fake_classifier().classify(plain_picture("red"))
    return Reply(prediction, prediction.top[:2], "miss", {"total": 1.0})


@pytest.fixture(params=FORMATS, ids=["csv", "jsonl"])
def rows(request) -> RowFormat:
    chosen: RowFormat = request.param
    return chosen


def found(path: str | bytes, size_bytes: int = 5) -> FoundFile:
    return FoundFile(Path(os.fsdecode(path)), size_bytes, "2026-05-01T12:00:00.000000001Z")


def unreadable() -> WhatsitError:
    from whatsit.errors import ImageUnreadable

    return ImageUnreadable("It is cut short.")


# Finding


def test_a_folder_gives_its_pictures_in_order_and_nothing_hidden(tmp_path):
    for name in ("b.JPG", "a.png", "notes.txt", ".hidden.jpg", "deep/er/c.heic", ".git/d.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "z.jpg").symlink_to(tmp_path / "b.JPG")

    names = [str(each.path.relative_to(tmp_path)) for each in find_files([tmp_path])]

    assert names == ["a.png", "b.JPG", "z.jpg", "deep/er/c.heic"]


STREWN_FILES = ("._a.png", "Thumbs.db", ".DS_Store", "desktop.ini", "ehthumbs.db", "Icon\r")
STREWN_FOLDERS = ("@eaDir", "#recycle", ".Trash-1000", ".thumbnails", "__MACOSX", "$RECYCLE.BIN")


def test_what_systems_strew_is_passed_over_but_asked_for_by_its_name(tmp_path):
    for name in ("a.png", "b/c.png", *(f"{folder}/a.png" for folder in STREWN_FOLDERS)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    for name in STREWN_FILES:
        (tmp_path / name).write_text("x")

    names = [each.path.relative_to(tmp_path).as_posix() for each in find_files([tmp_path])]
    assert names == ["a.png", "b/c.png"]
    (named,) = find_files([tmp_path / "@eaDir"])
    assert named.path.name == "a.png"
    assert all(map(is_strewn, (*STREWN_FILES, *STREWN_FOLDERS, "THUMBS.DB")))
    assert {name.casefold() for name in STREWN_NAMES} == STREWN_NAMES


def test_the_page_passes_over_the_same_names():
    script = Path("src/whatsit/web/ui/assets/ask/intake/strewn.js")
    listed = re.search(r"STREWN_NAMES = (\[.*?\]);", (ROOT / script).read_text(), re.DOTALL)

    assert listed is not None
    names = json.loads(re.sub(r",\s*\]", "]", listed[1]))
    assert sorted(names) == sorted(STREWN_NAMES)


def test_what_is_no_file_is_told_and_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(tmp_path / "door.jpg"))
        for path, words in (
            (tmp_path / "pipe.jpg", "This is a pipe"),
            (tmp_path / "door.jpg", "No such device"),
            (Path("/dev/zero"), "This is a device"),
            (tmp_path, "This is a folder"),
            (tmp_path / ("x" * 300), "File name too long"),
        ):
            with pytest.raises(InputError, match=words):
                read_file(path, 10)


def test_what_the_shell_hands_over_is_read():
    ours, theirs = os.pipe()
    os.write(theirs, b"12345")
    os.close(theirs)

    assert read_file(Path(f"/dev/fd/{ours}"), 10) == b"12345"
    os.close(ours)


@pytest.mark.parametrize("seconds", [2**40, -(2**40)])
def test_a_time_that_no_calendar_has_stops_nothing(seconds):
    if not os.path.ismount("/dev/shm"):
        pytest.skip("Most file systems have no such times; the one in memory is missing.")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        picture = Path(folder, "a.png")
        picture.write_text("x")
        os.utime(picture, (seconds, seconds))
        (each,) = find_files([folder])

    assert (each.error, each.modified) == (None, f"@{seconds}.000000000")


def test_folders_nested_a_thousand_deep_are_walked(tmp_path):
    deepest = tmp_path.joinpath(*["d"] * 1_200)
    try:
        subprocess.run(["mkdir", "-p", str(deepest)], check=True)
        (deepest / "a.png").write_text("x")
        assert len(list(find_files([tmp_path]))) == 1
    finally:
        subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)


def test_a_file_that_is_named_counts_whatever_it_is_called(tmp_path):
    (tmp_path / ".odd.name").write_text("12345")
    (each,) = find_files([tmp_path / ".odd.name"])

    assert (each.size_bytes, each.error) == (5, None)
    assert each.modified is not None
    assert len(each.modified) == len("2026-05-01T12:00:00.000000001Z")


def test_what_can_not_be_looked_at_is_found_with_the_reason(tmp_path):
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "gone")
    found_files = list(find_files([tmp_path, tmp_path / "missing.jpg"]))

    assert [each.path.name for each in found_files] == ["broken.jpg", "missing.jpg"]
    assert all("No such file" in str(each.error) for each in found_files)


@pytest.mark.skipif(os.geteuid() == 0, reason="Root may read everything.")
def test_a_locked_folder_is_found_with_the_reason(tmp_path):
    (tmp_path / "locked").mkdir(mode=0)
    (each,) = find_files([tmp_path])

    assert "The folder can't be read" in str(each.error)


def test_of_a_file_that_is_too_long_one_byte_too_many_is_read(tmp_path):
    (tmp_path / "long").write_bytes(b"x" * 100)

    assert len(read_file(tmp_path / "long", 10)) == 11


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"plain.jpg", "plain.jpg"),
        ("gr\u00fc\u00df.jpg".encode(), "gr\u00fc\u00df.jpg"),
        (b"two\nlines\r\t.jpg", r"two\nlines\r\t.jpg"),
        (b"back\\slash", r"back\\slash"),
        (b"no \xff utf-8", r"no \xff utf-8"),
        (b"\x1b[2J", r"\x1b[2J"),
        ("\u2028\u202e\x85".encode(), r"\u2028\u202e\u0085"),
        (b"\\xff", r"\\xff"),
    ],
)
def test_a_path_is_shown_on_one_line_that_harms_nothing(name, shown):
    assert show_path(Path(os.fsdecode(name))) == shown
    shown.encode()


# Writing


def test_a_row_tells_all_there_is(reply):
    line = CsvRows().write(found("a.png"), reply)
    (row,) = csv.DictReader([CsvRows.head.decode(), line.decode()])

    assert row == {
        "path": "a.png",
        "label": "red thing",
        "score": str(round(reply.prediction.answer.score, 6)),
        "certainty": "sure",
        "text": reply.prediction.answer.text,
        "level": "class",
        "wnid": "",
        "top": f"red thing ({reply.top[0].score:.4f}); green thing ({reply.top[1].score:.4f})",
        "width": "32",
        "height": "24",
        "format": "PNG",
        "sha256": reply.prediction.image.sha256,
        "cache": "miss",
        "error": "",
        "code": "",
        "size_bytes": "5",
        "modified": "2026-05-01T12:00:00.000000001Z",
    }


def test_a_json_line_tells_the_same_with_all_labels(reply):
    document = json.loads(JsonLines().write(found("a.png"), reply))

    assert tuple(document) == COLUMNS
    assert [entry["index"] for entry in document["top"]] == [0, 1]
    assert [entry["score"] for entry in document["top"]] == [
        round(entry.score, 6) for entry in reply.top
    ]
    assert (document["label"], document["error"], document["wnid"]) == ("red thing", None, None)


def test_an_error_is_a_row_with_its_sentence_and_its_code(rows):
    line = rows.write(found("a.png"), unreadable())

    assert b"It is cut short." in line
    assert b"image_unreadable" in line


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "'"])
def test_no_cell_is_a_formula(start, reply):
    answer = replace(reply.prediction.answer, text=f"{start}1+1", label=f"{start}cmd")
    armed = replace(reply, prediction=replace(reply.prediction, answer=answer))
    line = CsvRows().write(found(f"{start}a.png"), armed).decode()
    (row,) = csv.DictReader([CsvRows.head.decode(), line])

    assert [row[name][:2] for name in ("path", "text", "label")] == [f"'{start}"] * 3
    kept = CsvRows().read(line.encode())
    assert kept is not None
    assert kept.key.path == f"{start}a.png"


@pytest.mark.parametrize(
    "name", [b"two\nlines.png", b'quote".png', b"comma,.png", b"\xff.png", b"\r", b"'", b"\\n"]
)
def test_every_row_is_one_line_that_is_read_back(name, rows, reply):
    for result in (reply, unreadable()):
        line = rows.write(found(name), result)
        kept = rows.read(line)

        assert line.count(b"\n") == 1
        assert b"\r" not in line
        assert kept is not None
        assert kept.key == key_of(found(name))
        assert kept.failed == (result is not reply)


def test_words_of_a_server_stay_on_their_line_too(rows, reply):
    image = replace(reply.prediction.image, format="PNG\nx", sha256="\r\n")
    told = replace(reply, prediction=replace(reply.prediction, image=image))

    assert rows.write(found("a.png"), told).count(b"\n") == 1


def test_only_what_lies_in_the_picture_is_final(rows):
    kept = [
        rows.read(rows.write(found("a"), error))
        for error in (unreadable(), InferenceFailed("x"), InputError("No permission."))
    ]

    assert [row.is_final for row in kept if row] == [True, False, False]


@pytest.mark.parametrize("line", [b"\n", b"{}\n", b'"a","b"\n', b'"a\n', b"[1]\n", b"\xff\n"])
def test_what_is_no_row_is_none(line, rows):
    assert rows.read(line) is None


def test_the_suffix_decides_how_it_is_written():
    assert isinstance(format_for(Path("a.CSV"), as_json=False), CsvRows)
    assert isinstance(format_for(Path("a.jsonl"), as_json=False), JsonLines)
    assert isinstance(format_for(Path("-"), as_json=False), CsvRows)
    assert isinstance(format_for(Path("-"), as_json=True), JsonLines)
    with pytest.raises(SettingsError, match=r"\.csv or \.jsonl"):
        format_for(Path("a.txt"), as_json=False)


# Going on


def write(out: Path, rows: RowFormat, files: list[FoundFile], result: Reply | WhatsitError) -> None:
    with open_output(out, rows, {}, resume=out.exists()) as output:
        for each in files:
            output.append(rows.write(each, result))


def kept_paths(out: Path, rows: RowFormat, files: list[FoundFile]) -> list[str]:
    keys: dict[str, FileKey] = {key_of(each).path: key_of(each) for each in files}
    with open_output(out, rows, keys, resume=True) as output:
        return [path for path, key in keys.items() if output.result_of(key)]


def paths_in(out: Path, rows: RowFormat) -> list[str]:
    lines = (
        out.read_bytes().removeprefix(rows.mark).removeprefix(rows.head).splitlines(keepends=True)
    )
    return [kept.key.path for line in lines if (kept := rows.read(line))]


def test_whole_rows_stay_and_a_halved_one_goes(tmp_path, rows, reply):
    out, files = tmp_path / "out", [found("a"), found("b"), found("c")]
    write(out, rows, files, reply)
    out.write_bytes(out.read_bytes()[:-20])
    out.chmod(0o640)

    assert kept_paths(out, rows, files) == ["a", "b"]
    assert paths_in(out, rows) == ["a", "b"]
    assert out.read_bytes().endswith(b"\n")
    assert out.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [out]


def test_a_file_that_was_halved_in_its_first_line_begins_again(tmp_path, rows, reply):
    out = tmp_path / "out"
    whole = rows.mark + (rows.head or rows.write(found("a"), reply))
    unmarked = whole.removeprefix(rows.mark)
    for begun in (*(whole[:length] for length in (1, 2, 15, len(whole) - 1)), unmarked[:15]):
        out.write_bytes(begun)
        write(out, rows, [found("a")], reply)

        assert out.read_bytes() == rows.mark + rows.head + rows.write(found("a"), reply)


def test_a_table_opens_in_a_spreadsheet_as_it_is(tmp_path, reply):
    out = tmp_path / "out"
    write(out, CsvRows(), [found("gr\u00fc\u00df.jpg")], reply)

    assert out.read_bytes().startswith("\ufeffpath,".encode())
    with out.open(encoding="utf-8-sig", newline="") as file:
        assert next(csv.DictReader(file))["path"] == "gr\u00fc\u00df.jpg"


def test_a_table_without_the_mark_of_an_earlier_version_goes_on(tmp_path, reply):
    rows, out = CsvRows(), tmp_path / "out"
    old = rows.head + rows.write(found("a"), reply)
    out.write_bytes(old + b'"halved')

    write(out, rows, [found("b")], reply)
    assert out.read_bytes() == old + rows.write(found("b"), reply)


def test_rows_on_standard_output_have_no_mark(capfdbinary, reply):
    with open_output(Path("-"), CsvRows(), {}, resume=False) as output:
        output.append(CsvRows().write(found("a"), reply))

    assert capfdbinary.readouterr().out.startswith(b"path,label,")


def test_what_was_on_standard_input_is_never_taken_for_the_same_again(tmp_path, rows, reply):
    out, there = tmp_path / "out", FoundFile(STANDARD_INPUT, is_input=True)
    write(out, rows, [there], reply)

    assert kept_paths(out, rows, [there]) == []
    assert paths_in(out, rows) == []


def test_json_loses_no_letter_where_the_terminal_has_few(monkeypatch, tmp_path, reply):
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, "ascii", write_through=True))
    answers = SimpleNamespace(threads=1, max_bytes=10_000, classify=lambda *_: reply, hurry=None)
    picture = tmp_path / "\u718a.png"
    picture.write_bytes(plain_picture("red"))

    assert show_answers((picture,), answers, top_k=2, as_json=True, why=None) == []
    assert json.loads(written.getvalue())["path"] == str(picture)


def test_a_file_that_has_changed_is_asked_for_again(tmp_path, rows, reply):
    out = tmp_path / "out"
    write(out, rows, [found("a"), found("b")], reply)

    assert kept_paths(out, rows, [found("a", size_bytes=6), found("b")]) == ["b"]
    assert paths_in(out, rows) == ["b"]


def test_rows_of_files_that_nobody_asks_for_stay(tmp_path, rows, reply):
    out = tmp_path / "out"
    write(out, rows, [found("a"), found("b")], reply)

    assert kept_paths(out, rows, [found("b")]) == ["b"]
    assert paths_in(out, rows) == ["a", "b"]


def test_a_failure_that_may_pass_is_asked_for_again(tmp_path, rows, reply):
    out = tmp_path / "out"
    write(out, rows, [found("a")], InferenceFailed("x"))
    write(out, rows, [found("b")], unreadable())
    write(out, rows, [found("c")], reply)

    assert kept_paths(out, rows, [found("a"), found("b"), found("c")]) == ["b", "c"]
    assert paths_in(out, rows) == ["b", "c"]


def test_nothing_is_written_over_without_being_told_to(tmp_path, rows, reply):
    out = tmp_path / "out"
    write(out, rows, [found("a")], reply)
    before = out.read_bytes()

    with (
        pytest.raises(SettingsError, match="--resume"),
        open_output(out, rows, {}, resume=False),
    ):
        pass
    assert out.read_bytes() == before


@pytest.mark.parametrize(
    "content", ["my precious notes\n", "path,label\na,b\n", '{"a": 1}\n', "{x"]
)
def test_what_somebody_else_wrote_is_left_alone(tmp_path, rows, content):
    out = tmp_path / "out"
    out.write_text(content)

    with (
        pytest.raises(SettingsError, match="not from whatsit"),
        open_output(out, rows, {}, resume=True),
    ):
        pass
    assert out.read_text() == content
    assert list(tmp_path.iterdir()) == [out]


def test_an_empty_file_and_a_link_are_written_to(tmp_path, rows, reply):
    (tmp_path / "real").touch()
    (tmp_path / "out").symlink_to(tmp_path / "real")
    write(tmp_path / "out", rows, [found("a")], reply)
    (tmp_path / "real").write_bytes((tmp_path / "real").read_bytes()[:-3])
    write(tmp_path / "out", rows, [found("b")], reply)

    assert (tmp_path / "out").is_symlink()
    assert paths_in(tmp_path / "real", rows) == ["b"]


@pytest.mark.parametrize("name", ["missing/out.csv", "."])
def test_a_place_that_can_not_be_written_is_a_sentence(tmp_path, name, rows):
    with (
        pytest.raises(SettingsError, match="can't be written"),
        open_output(tmp_path / name, rows, {}, resume=True),
    ):
        pass


def test_a_full_disk_is_a_sentence(rows):
    with (
        pytest.raises(SettingsError, match="No space left"),
        open_output(Path("/dev/full"), rows, {}, resume=True) as output,
    ):
        output.append(rows.write(found("a"), REFUSED))
