"""The file that rows are written to, one whole row at a time."""

import os
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from whatsit.errors import SettingsError
from whatsit.files import replacing
from whatsit.folders.find import show_path
from whatsit.folders.rows import FileKey, KeptRow, RowFormat


class Output:
    """Takes rows. Each is written with one call, so whatever stops the program, none is halved.

    Args:
        descriptor: Of the open file; appends.
        name: For people.
        kept: The rows of an earlier run.
    """

    def __init__(self, descriptor: int, name: str, kept: Mapping[str, KeptRow]) -> None:
        self._descriptor = descriptor
        self._name = name
        self._kept = kept

    def result_of(self, key: FileKey) -> KeptRow | None:
        """The row that describes the current state of the file; None where there is none."""
        kept = self._kept.get(key.path)
        return kept if kept is not None and _settles(kept, key) else None

    def append(self, line: bytes) -> None:
        """Write a row.

        Raises:
            SettingsError: It can't be written.
        """
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            raise _unwritable(self._name, error) from error


@contextmanager
def open_output(
    out: Path, rows: RowFormat, keys: Mapping[str, FileKey], *, resume: bool
) -> Iterator[Output]:
    """The file `out`, or standard output for ``-``, ready for rows.

    Args:
        out: Where to write.
        rows: How.
        keys: The files to answer, by their paths as they stand in rows.
        resume: Continue an existing file: whole rows stay, unless their picture has changed since
            or its failure may pass. Otherwise a file that is not empty is refused.

    Raises:
        SettingsError: It can't be written, or something else is in it.
    """
    if str(out) == "-":
        output = Output(sys.stdout.fileno(), "Standard output", {})
        output.append(rows.head)
        yield output
        return
    name, target = show_path(out), out.resolve()
    try:
        kept: dict[str, KeptRow] = {}
        is_new = not target.exists() or target.stat().st_size == 0
        if not is_new:
            if not resume:
                raise SettingsError(
                    f"{name} exists already. Continue it (--resume) or name another file."
                )
            kept = _tidy(target, name, rows, keys)
        file = target.open("ab", buffering=0)
    except OSError as error:
        raise _unwritable(name, error) from error
    with file:
        output = Output(file.fileno(), name, kept)
        if is_new:
            output.append(rows.mark + rows.head)
        yield output


def _tidy(
    target: Path, name: str, rows: RowFormat, keys: Mapping[str, FileKey]
) -> dict[str, KeptRow]:
    """Leave only rows in the file that count; returns them by path."""
    kept: dict[str, KeptRow] = {}
    dropped: set[int] = set()
    with target.open("rb") as old:
        _take_head(old, name, rows)
        for number, line in enumerate(old):
            row = rows.read(line) if line.endswith(b"\n") else None
            if row is None or not _counts(row, keys) or row.key.path in kept:
                dropped.add(number)
            else:
                kept[row.key.path] = row
    if dropped:
        with target.open("rb") as old, replacing(target) as new:
            os.fchmod(new.fileno(), stat.S_IMODE(os.fstat(old.fileno()).st_mode))
            new.write(_take_head(old, name, rows))
            new.writelines(line for number, line in enumerate(old) if number not in dropped)
    return kept


def _take_head(old: BinaryIO, name: str, rows: RowFormat) -> bytes:
    """Read over the head, with or without its mark; return the one that the file is to have."""
    # Without a head, the first line must be a row; a halved one is all that such a file holds.
    first = old.readline()
    whole = rows.mark + rows.head
    if first in (whole, rows.head) and first:
        return first
    if first.endswith(b"\n"):
        is_ours = not rows.head and bool(rows.read(first))
    else:
        start = rows.head or b'{"path": '
        is_ours = any(begin.startswith(first[: len(begin)]) for begin in (rows.mark + start, start))
    if not is_ours:
        raise SettingsError(f"{name} contains text that is not from whatsit. Name another file.")
    old.seek(0)
    return whole


def _counts(row: KeptRow, keys: Mapping[str, FileKey]) -> bool:
    # Rows about files that this run does not answer stay as they are.
    key = keys.get(row.key.path)
    return key is None or _settles(row, key)


def _settles(row: KeptRow, key: FileKey) -> bool:
    # Standard input and the like have no size, so a later run can't recognise them.
    return row.is_final and row.key == key and key.size_bytes != ""


def _unwritable(name: str, error: OSError) -> SettingsError:
    return SettingsError(f"{name} can't be written: {error.strerror}.")
