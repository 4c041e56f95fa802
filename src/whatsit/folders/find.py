"""Find the files to answer, and name them in the output."""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from whatsit.clock import format_time
from whatsit.errors import InputError
from whatsit.printable import UNSAFE, escape

STANDARD_INPUT = Path("-")
"""Stands for standard input; a file of that name is ``./-``."""

PICTURE_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "bmp", "dib", "tif", "tiff"),
        *("heic", "heif", "hif", "avif"),
    )
)
"""Suffixes of the formats that whatsit reads; other files in a folder are skipped."""

STREWN_NAMES = frozenset(
    {
        # macOS, and archives that it has made
        *("__macosx", "icon\r", "network trash folder", "temporary items"),
        # Windows
        *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "$recycle.bin"),
        *("recycler", "system volume information"),
        # network storage: Synology, QNAP and others
        *("@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "@tmp"),
        # Linux, and photo programs
        *("lost+found", "picasa.ini", "zbthumbnail.info"),
    }
)
"""Names of files and folders that systems and programs leave beside pictures, folded to small
letters. The page has the same list, in ``ask/intake/strewn.js``."""

_HANDED_OVER = ("/dev/fd/", "/dev/stdin", "/proc/self/fd/")


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file to answer.

    Attributes:
        path: Where it is.
        size_bytes: As long as it was when it was found; None where it could not be looked at.
        modified: When it was changed last, UTC, to the nanosecond.
        error: The reason why it can't be read, where that is known already.
        is_input: True for standard input, whose path is ``-``.
    """

    path: Path
    size_bytes: int | None = None
    modified: str | None = None
    error: InputError | None = None
    is_input: bool = False


def find_files(paths: Iterable[Path | str]) -> Iterator[FoundFile]:
    """The files that `paths` name: files as they are, folders with all pictures below them.

    In a folder, a file with the suffix of a picture is one. Files and folders that `is_strewn`
    names, folders that are symbolic links, pipes and devices are skipped. Each folder is sorted.
    A file that `paths` names itself is always answered; ``-`` as a text is standard input.
    """
    for path in paths:
        if path == str(STANDARD_INPUT):
            yield FoundFile(STANDARD_INPUT, is_input=True)
        elif os.path.isdir(path):  # noqa: PTH112 - the other one raises where it may not look
            yield from _walk(Path(path))
        else:
            yield _look_at(Path(path))


def is_strewn(name: str) -> bool:
    """True for files that systems leave in folders: names that begin with a dot, and more.

    Example:
        >>> [name for name in ("._IMG.jpg", "@eaDir", "THUMBS.DB", "IMG.jpg") if is_strewn(name)]
        ['._IMG.jpg', '@eaDir', 'THUMBS.DB']
    """
    return name.startswith(".") or name.casefold() in STREWN_NAMES


def read_found(found: FoundFile, max_bytes: int) -> bytes:
    """See `read_file`; reads standard input to its end, once."""
    if found.error is not None:
        raise found.error
    if not found.is_input:
        return read_file(found.path, max_bytes)
    try:
        with open(0, "rb", closefd=False) as file:
            return file.read(max_bytes + 1)
    except OSError as error:
        raise _unreadable("standard input", error) from error


def read_file(path: Path, max_bytes: int) -> bytes:
    """The bytes of a file; of one that is too long, one byte more than the limit.

    Raises:
        InputError: It can't be read, or is not a file: a pipe, a device, a socket. Files that the
            shell passes (``<(...)``, ``/dev/stdin``) are read.
    """
    try:
        with open(path, "rb", opener=_open_file) as file:
            return file.read(max_bytes + 1)
    except OSError as error:
        raise _unreadable("file", error) from error


def _open_file(path: str, flags: int) -> int:
    # Opening a pipe without a writer would wait for ever.
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    try:
        kind = _kind(os.fstat(descriptor).st_mode)
        if kind is not None and not path.startswith(_HANDED_OVER):
            raise InputError(f"This is {kind}, not a file.")
        os.set_blocking(descriptor, True)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def show_path(path: Path) -> str:
    r"""A path as one line of text that harms no terminal and no table, whatever it is made of.

    Backslashes, control characters and bytes that are not UTF-8 stand as ``\\``, ``\n``, ``\xff``
    and the like, so that two paths never look alike.

    Example:
        >>> show_path(Path(os.fsdecode(b"two\nlines \xff.jpg")))
        'two\\nlines \\xff.jpg'
    """
    return UNSAFE.sub(escape, str(path))


def _walk(folder: Path) -> Iterator[FoundFile]:
    # `os.walk` of Python 3.11 goes down by recursion, which ends at some thousand levels.
    refused: list[FoundFile] = []
    waiting = [folder]
    while waiting:
        parent = waiting.pop()
        try:
            with os.scandir(parent) as listed:
                entries = sorted(listed, key=lambda entry: entry.name)
        except OSError as error:
            refused.append(FoundFile(parent, error=_unreadable("folder", error)))
            continue
        inner = []
        for entry in entries:
            path = parent / entry.name
            if is_strewn(entry.name):
                continue
            if _is_folder(entry):
                if not entry.is_symlink():
                    inner.append(path)
            elif path.suffix.lower() in PICTURE_SUFFIXES:
                found = _look_at(path)
                if found.error is not None or found.size_bytes is not None:
                    yield found
        waiting += reversed(inner)
    yield from refused


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


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
    try:
        return f"{format_time(seconds).removesuffix('Z')}.{rest:09d}Z"
    except (ValueError, OverflowError, OSError):
        return f"@{seconds}.{rest:09d}"  # a year beyond 9999, from a damaged disk or archive


def _kind(mode: int) -> str | None:
    """Name its kind, if it is not a file."""
    if stat.S_ISREG(mode):
        return None
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def _unreadable(what: str, error: OSError) -> InputError:
    return InputError(f"The {what} can't be read: {error.strerror}.")
