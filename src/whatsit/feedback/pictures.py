"""The pictures that people agreed to have kept: one file each, named by its digest."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from whatsit.files import exclusive, make_private_folder, read_plain, replace_file
from whatsit.picture import Picture

PICTURE_FOLDER = "feedback-pictures"

MAX_KEPT_PICTURES = 100_000
"""However small they are: a folder of more is slow to list and to back up."""

_NAME = re.compile(r"[0-9a-f]{64}")
_LOCK_SECONDS = 5.0
"""A request waits while the lock is held, with a thread of the server."""
_MAX_PICTURE_BYTES = 500_000_000
"""No server takes longer ones; see `whatsit.settings.Settings.max_upload_bytes`."""
_BLOCK_BYTES = 4096
"""The least that a file takes on nearly every file system."""
_STAT_BLOCK_BYTES = 512
"""The unit in which the system reports what a file takes; see stat(2)."""


class KeptPictures:
    """The pictures of one store.

    Every method but `read` may fail with `OSError`.

    Args:
        store: Folder of the folder `PICTURE_FOLDER`, which is made when something is first kept.
        max_bytes: The most that all of them take on the disk; pictures beyond it are not kept.
        max_pictures: How many there may be.
    """

    def __init__(self, store: Path, max_bytes: int, max_pictures: int = MAX_KEPT_PICTURES) -> None:
        self.folder = store / PICTURE_FOLDER
        self._max_bytes = max_bytes
        self._max_pictures = max_pictures
        self._taken: _Taken | None = None

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold while adding or deleting pictures together with their corrections.

        Among all processes of the store, one does so at a time.
        """
        make_private_folder(self.folder)
        with exclusive(self.folder / ".lock", _LOCK_SECONDS):
            yield

    def keep(self, sha256: str, image_bytes: bytes) -> bool:
        """Write a picture, as a whole or not at all; call it within `changing`.

        Returns:
            True if it is stored now; False where it would exceed a limit.
        """
        target = self.folder / sha256
        if target.exists():
            return True
        taken = self._count()
        size = -(-len(image_bytes) // _BLOCK_BYTES) * _BLOCK_BYTES
        if taken.pictures >= self._max_pictures or taken.bytes + size > self._max_bytes:
            return False
        replace_file(target, image_bytes)
        self._taken = _Taken(
            taken.pictures + 1, taken.bytes + _on_disk(target.stat()), self._stamp()
        )
        return True

    def has(self, sha256: str) -> bool:
        """True if a picture is here."""
        return (self.folder / sha256).is_file()

    def read(self, sha256: str) -> bytes | None:
        """The bytes of a picture; None where it is not here, or does not match its name."""
        try:
            image_bytes = read_plain(self.folder / sha256, _MAX_PICTURE_BYTES)
        except OSError:
            return None
        return image_bytes if Picture.of(image_bytes).sha256 == sha256 else None

    def forget(self, sha256: str) -> None:
        """Delete a picture, if it is here; call it within `changing`."""
        self._taken = None
        (self.folder / sha256).unlink(missing_ok=True)

    def names(self) -> frozenset[str]:
        """Digests of the pictures that are here."""
        if not self.folder.is_dir():
            return frozenset()
        return frozenset(
            entry.name for entry in os.scandir(self.folder) if _NAME.fullmatch(entry.name)
        )

    def _count(self) -> "_Taken":
        # Looking at each file takes long where there are many; every change of the folder,
        # also by another process, changes its time.
        stamp = self._stamp()
        if self._taken is None or self._taken.stamp != stamp:
            pictures = size = 0
            for entry in os.scandir(self.folder):
                pictures += _NAME.fullmatch(entry.name) is not None
                size += _on_disk(entry.stat(follow_symlinks=False))
            self._taken = _Taken(pictures, size, stamp)
        return self._taken

    def _stamp(self) -> int:
        return self.folder.stat().st_mtime_ns


@dataclass(frozen=True, slots=True)
class _Taken:
    """The content of the folder, as of a time of its last change."""

    pictures: int
    bytes: int
    stamp: int


def _on_disk(status: os.stat_result) -> int:
    # Some file systems report the blocks only later, or hold small files in none.
    size = -(-status.st_size // _BLOCK_BYTES) * _BLOCK_BYTES
    return max(size, getattr(status, "st_blocks", 0) * _STAT_BLOCK_BYTES)
