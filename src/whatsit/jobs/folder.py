"""Which files are to be answered, and how they are named in what is written."""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from whatsit.errors import InputError
from whatsit.printable import UNSAFE, escape

PICTURE_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "bmp", "dib", "tif", "tiff"),
        *("heic", "heif", "hif", "avif"),
    )
)
"""Of the formats that are read here; whatever else lies in a folder is passed over."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file to answer.

    Attributes:
        path: Where it is.
        size_bytes: As long as it was when it was found; None where it could not be looked at.
        modified: When it was changed last, UTC, to the nanosecond.
        error: Why it can't be read, where that is known already.
    """

    path: Path
    size_bytes: int | None = None
    modified: str | None = None
    error: InputError | None = None


def find_files(paths: Iterable[Path]) -> Iterator[FoundFile]:
    """The files that `paths` name: files as they are, folders with all pictures below them.

    In a folder a picture is what has the suffix of one. Names that begin with a dot are passed
    over, and so are folders that are symbolic links, pipes and devices. Each folder is sorted.
    """
    for path in paths:
        if os.path.isdir(path):  # noqa: PTH112 - the other one raises where it may not look
            yield from _walk(path)
        else:
            yield _look_at(path)


def read_file(path: Path, max_bytes: int) -> bytes:
    """The bytes of a file; of one that is too long, one byte more than the limit.

    Raises:
        InputError: It can't be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(max_bytes + 1)
    except OSError as error:
        raise _unreadable("file", error) from error


def show_path(path: Path) -> str:
    r"""A path as one line of text that harms no terminal and no table, whatever it is made of.

    Backslashes, control characters and bytes that are no UTF-8 stand as ``\\``, ``\n``, ``\xff``
    and the like, so that two paths never look alike.

    Example:
        >>> show_path(Path(os.fsdecode(b"two\nlines \xff.jpg")))
        'two\\nlines \\xff.jpg'
    """
    return UNSAFE.sub(escape, str(path))


def _walk(folder: Path) -> Iterator[FoundFile]:
    refused: list[OSError] = []
    for parent, folders, names in os.walk(folder, onerror=refused.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            if not name.startswith(".") and path.suffix.lower() in PICTURE_SUFFIXES:
                found = _look_at(path)
                if found.error is not None or found.size_bytes is not None:
                    yield found
    for error in refused:
        yield FoundFile(Path(error.filename), error=_unreadable("folder", error))


def _look_at(path: Path) -> FoundFile:
    try:
        facts = path.stat()
    except OSError as error:
        return FoundFile(path, error=_unreadable("file", error))
    if not stat.S_ISREG(facts.st_mode):
        return FoundFile(path)
    return FoundFile(path, facts.st_size, _to_text(facts.st_mtime_ns))


def _to_text(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def _unreadable(what: str, error: OSError) -> InputError:
    return InputError(f"The {what} can't be read: {error.strerror}.")
