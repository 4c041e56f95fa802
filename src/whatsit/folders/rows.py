"""The output for one picture: a row of a CSV file, or a line of JSON."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from whatsit.documents import describe_answer, describe_image, describe_label
from whatsit.errors import SettingsError, WhatsitError
from whatsit.folders.find import FoundFile, show_path
from whatsit.prediction import Reply
from whatsit.printable import arm, disarm, make_printable, make_printable_json

Cell: TypeAlias = str | int | float | None

COLUMNS = (
    "path",
    "label",
    "score",
    "certainty",
    "text",
    "level",
    "wnid",
    "top",
    "width",
    "height",
    "format",
    "sha256",
    "cache",
    "error",
    "code",
    "size_bytes",
    "modified",
)

_ANSWER_COLUMNS = ("label", "score", "certainty", "text", "level", "wnid")
_FINAL_CODES = frozenset(
    {"image_unreadable", "image_unsupported", "image_too_large", "image_too_many_pixels"}
)


@dataclass(frozen=True, slots=True)
class FileKey:
    """Identifies the version of a file that a row describes; texts, as they stand in the row."""

    path: str
    size_bytes: str
    modified: str


@dataclass(frozen=True, slots=True)
class KeptRow:
    """The facts of a row that an earlier run wrote.

    Attributes:
        key: The version of the file that it describes.
        failed: True if it reports an error.
        is_final: True if a new attempt would give the same result.
    """

    key: FileKey
    failed: bool
    is_final: bool


class RowFormat(Protocol):
    """A way to write rows, each on a line of its own."""

    mark: bytes
    """Bytes before the head of a file, for programs that have to guess its encoding."""
    head: bytes
    """The first line of the file; empty for none."""

    def write(self, found: FoundFile, result: Reply | WhatsitError) -> bytes:
        """The row of a file, with its line end."""
        ...

    def read(self, line: bytes) -> KeptRow | None:
        """Parse a line; None where it is not a row."""
        ...


def key_of(found: FoundFile) -> FileKey:
    """The version of a file that its row will name."""
    size = "" if found.size_bytes is None else str(found.size_bytes)
    return FileKey(show_path(found.path), size, found.modified or "")


class JsonLines:
    """One JSON document a line."""

    mark = b""
    head = b""

    def write(self, found: FoundFile, result: Reply | WhatsitError) -> bytes:
        """See `RowFormat.write`."""
        document: dict[str, object] = {**_cells(found, result)}
        document["top"] = (
            [] if isinstance(result, WhatsitError) else [*map(describe_label, result.top)]
        )
        return make_printable_json(json.dumps(document, ensure_ascii=False)).encode() + b"\n"

    def read(self, line: bytes) -> KeptRow | None:
        """See `RowFormat.read`."""
        try:
            document = json.loads(line)
        except ValueError:
            return None
        if not isinstance(document, dict) or set(document) != set(COLUMNS):
            return None
        cells = ["" if document[name] is None else str(document[name]) for name in COLUMNS]
        return _kept(cells)


class CsvRows:
    """Rows for spreadsheets: text in quotes, and no cell that they would take as a formula.

    Such text gets an apostrophe before it, as does text that begins with one.
    """

    mark = b"\xef\xbb\xbf"  # without it Excel takes UTF-8 for the code page of the machine
    head = (",".join(COLUMNS) + "\n").encode()

    def write(self, found: FoundFile, result: Reply | WhatsitError) -> bytes:
        """See `RowFormat.write`."""
        line = io.StringIO(newline="")
        csv.writer(line, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n").writerow(
            disarm(cell) if isinstance(cell, str) else cell
            for cell in _cells(found, result).values()
        )
        return line.getvalue().encode()

    def read(self, line: bytes) -> KeptRow | None:
        """See `RowFormat.read`."""
        try:
            (cells,) = csv.reader([line.decode()], strict=True)
        except (ValueError, csv.Error):
            return None
        if len(cells) != len(COLUMNS) or line == self.head:
            return None
        return _kept([arm(cell) for cell in cells])


def format_for(out: Path, *, as_json: bool) -> RowFormat:
    """How to write to `out`: by its suffix; to standard output (``-``) as CSV or as JSON.

    Raises:
        SettingsError: The suffix stands for neither.
    """
    formats: dict[str, RowFormat] = {".csv": CsvRows(), ".jsonl": JsonLines()}
    suffix = out.suffix.lower()
    if str(out) == "-":
        suffix = ".jsonl" if as_json else ".csv"
    if suffix not in formats:
        raise SettingsError(f"{show_path(out)} must end with .csv or .jsonl; - is standard output.")
    return formats[suffix]


def _cells(found: FoundFile, result: Reply | WhatsitError) -> dict[str, Cell]:
    cells = _raw_cells(found, result)
    # The words of a server are as untrusted as the names of files.
    return {
        name: make_printable(cell) if isinstance(cell, str) else cell
        for name, cell in cells.items()
    }


def _raw_cells(found: FoundFile, result: Reply | WhatsitError) -> dict[str, Cell]:
    cells: dict[str, Cell] = dict.fromkeys(COLUMNS)
    key = key_of(found)
    cells |= {"path": key.path, "size_bytes": found.size_bytes, "modified": found.modified}
    if isinstance(result, WhatsitError):
        return cells | {"error": result.detail, "code": result.code}
    answer: dict[str, Any] = describe_answer(result.prediction.answer)
    image: dict[str, Any] = describe_image(result.prediction.image)
    top = "; ".join(f"{entry.label} ({entry.score:.4f})" for entry in result.top)
    cells |= {name: answer[name] for name in _ANSWER_COLUMNS}
    return cells | image | {"top": top, "cache": result.cache}


def _kept(cells: Sequence[str]) -> KeptRow:
    named = dict(zip(COLUMNS, cells, strict=True))
    failed = bool(named["error"])
    key = FileKey(named["path"], named["size_bytes"], named["modified"])
    return KeptRow(key, failed, not failed or named["code"] in _FINAL_CODES)
