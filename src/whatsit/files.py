"""Files that other users of the machine may have prepared: opened, locked and written safely.

A refusal is an `OSError` whose `strerror` completes "NAME can't be read: ...".
"""

import errno
import fcntl
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from whatsit.errors import StoreUnusable

LOCK_SECONDS = 10.0
"""How long to wait for a lock. The work under one takes milliseconds."""

_LOOK_SECONDS = 0.02
_PRIVATE_FILE = 0o600
READABLE_FILE = 0o644
_PRIVATE_FOLDER = 0o700
_LINK = "it is a symbolic link, which is not followed"
_ODD = "it is not a regular file"


def open_plain(path: Path, *, max_bytes: int | None = None, follow: bool = False) -> BufferedReader:
    """Open a regular file for reading.

    Pipes and devices are refused without a wait for their other end. So is a hard link to another
    user's file: the one who made it could make others read that file to them.

    Args:
        path: The file.
        max_bytes: A longer file is refused.
        follow: True if the last part of the path may be a symbolic link.

    Raises:
        OSError: It is something else, too long, or can't be opened.
    """
    descriptor = _open(path, os.O_RDONLY | (0 if follow else os.O_NOFOLLOW))
    file = os.fdopen(descriptor, "rb")
    if max_bytes is not None and os.fstat(descriptor).st_size > max_bytes:
        file.close()
        raise _too_long(path, max_bytes)
    return file


def read_plain(path: Path, max_bytes: int, *, follow: bool = False) -> bytes:
    """The bytes of a file that `open_plain` opens."""
    with open_plain(path, max_bytes=max_bytes, follow=follow) as file:
        # Bytes that are added from now on belong to another version of it.
        return file.read(os.fstat(file.fileno()).st_size)


def copy_plain(source: Path, target: Path, max_bytes: int, *, follow: bool = False) -> None:
    """Copy a file that `open_plain` opens to a new file.

    Raises:
        OSError: The source is refused, or `target` is there already or can't be written;
            ``filename`` says which.
    """
    with (
        open_plain(source, max_bytes=max_bytes, follow=follow) as old,
        target.open("xb") as new,
    ):
        try:
            shutil.copyfileobj(old, new, 1 << 20)
        except OSError as error:
            error.filename = str(target)
            raise


def is_there(path: Path) -> bool:
    """True if anything has that name, be it a link that leads nowhere."""
    return os.path.lexists(path)


def make_private_folder(folder: Path) -> None:
    """Make a folder, and those above it, that its owner alone can look into.

    An existing folder stays as it is. A folder that root makes belongs to the owner of the folder
    around it, or the service could not use it.
    """
    if folder.is_dir():
        return
    make_private_folder(folder.parent)
    try:
        folder.mkdir(mode=_PRIVATE_FOLDER)
    except FileExistsError:
        if not folder.is_dir():
            raise
        return
    if os.geteuid() == 0:
        owner = folder.parent.stat()
        os.chown(folder, owner.st_uid, owner.st_gid, follow_symlinks=False)


def make_private_file(path: Path) -> None:
    """Make an empty file that its owner alone can read, unless there is a file of that name.

    Raises:
        OSError: Something else has that name, or nothing can be made there.
    """
    os.close(_open_own(path, _PRIVATE_FILE))


def open_to_change(path: Path, mode: int = READABLE_FILE) -> BinaryIO:
    """Open a file for reading and writing as it is, and make it if it is missing.

    Args:
        path: The file.
        mode: Permissions of a new one, less those that the process's mask removes.

    Raises:
        OSError: Something else has that name, or nothing can be made there.
    """
    return os.fdopen(_open_own(path, mode), "r+b")


def replace_file(
    path: Path, content: bytes, mode: int = _PRIVATE_FILE, *, durable: bool = True
) -> None:
    """Write a file in the place of another, whole or not at all.

    Args:
        path: The file; its folder exists.
        content: Of the new one.
        mode: Its permissions, less those that the process's mask removes; owner only by default.
        durable: True if it must outlive a crash of the machine, which takes a wait for the disk.
    """
    with replacing(path, mode, durable=durable) as file:
        file.write(content)


@contextmanager
def replacing(path: Path, mode: int = _PRIVATE_FILE, *, durable: bool = True) -> Iterator[BinaryIO]:
    """Write a file that takes the place of another when the block ends; never if it fails.

    Args:
        path: As for `replace_file`, like all others.
        mode: Its permissions.
        durable: True if it must outlive a crash of the machine.

    Yields:
        The new file, empty.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = _create(draft, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


@contextmanager
def store_failures(store: Path) -> Iterator[None]:
    """Turn an error of the disk about a store into a sentence for its operator.

    Raises:
        StoreUnusable: The block raised `OSError`.
    """
    try:
        yield
    except OSError as error:
        raise StoreUnusable(
            f"{store} can't be written: {error.strerror}. "
            "Run this as the user that whatsit runs as."
        ) from error


@contextmanager
def exclusive(lock: Path, timeout_seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Hold a lock during the block: one holder at a time, among threads and processes.

    Only its owner can open the file, so no other user of the machine can hold it. It stays
    behind: deleting it would let two in at once.

    Args:
        lock: The file; its folder exists.
        timeout_seconds: How long to wait for another holder.

    Raises:
        TimeoutError: Another holder did not release it in time.
        OSError: It can't be made, or something else has that name.
    """
    descriptor = _open_lock(lock)
    try:
        _wait(descriptor, lock, timeout_seconds)
        yield
    finally:
        os.close(descriptor)


def try_exclusive(lock: Path) -> int | None:
    """Hold a lock as `exclusive` does, until the descriptor is closed or the process has died.

    Returns:
        The descriptor to close; None where another holder has it.
    """
    descriptor = _open_lock(lock)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _wait(descriptor: int, lock: Path, timeout_seconds: float) -> None:
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise TimeoutError(
                    errno.ETIMEDOUT,
                    f"another program has held {lock.name} for {timeout_seconds:g} s",
                    str(lock),
                ) from None
            time.sleep(_LOOK_SECONDS)
        else:
            return


def _open_lock(path: Path) -> int:
    descriptor = _open_own(path, _PRIVATE_FILE)
    facts = os.fstat(descriptor)
    # Every user could open, and so hold, the locks of earlier versions. Root changes nothing:
    # the file may have got this name from another place.
    if facts.st_uid == os.geteuid() != 0 and facts.st_mode & 0o077:
        os.fchmod(descriptor, _PRIVATE_FILE)
    return descriptor


def _open_own(path: Path, mode: int) -> int:
    """A descriptor of a file of ours, new or not; an existing file keeps its content."""
    while True:
        try:
            return _create(path, mode)
        except FileExistsError:
            pass
        try:
            return _open(path, os.O_RDWR | os.O_NOFOLLOW)
        except FileNotFoundError:  # deleted between the two looks
            continue


def _open(path: Path, flags: int) -> int:
    """A descriptor of a regular file; see `open_plain`."""
    try:
        # Opening a pipe would wait for its other end otherwise.
        descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ELOOP and flags & os.O_NOFOLLOW:
            raise _refusal(_LINK, path) from error
        if error.errno in (errno.ENXIO, errno.ENODEV, errno.EISDIR):
            raise _refusal(_ODD, path) from error
        raise
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise _refusal(_ODD, path)
        if facts.st_nlink > 1 and facts.st_uid != path.parent.stat().st_uid:
            raise _refusal("it is a hard link to a file of another user", path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _create(path: Path, mode: int) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, mode)
    try:
        if os.geteuid() == 0:
            # Made by root, say through `docker exec`, it would be closed to the service. Only
            # a file made just now changes its owner: an older one may belong to another user.
            owner = path.parent.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _refusal(reason: str, path: Path) -> OSError:
    return OSError(errno.EINVAL, reason, str(path))


def _too_long(path: Path, max_bytes: int) -> OSError:
    limit = f"{max_bytes / 1e6:,g} MB" if max_bytes >= 1_000_000 else f"{max_bytes:,} bytes"
    return OSError(errno.EFBIG, f"it is longer than {limit}", str(path))
