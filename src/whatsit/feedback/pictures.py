"""The pictures that people agreed to have kept: one file each, named by its digest."""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from whatsit.files import exclusive, make_private_folder, read_plain, replace_file

PICTURE_FOLDER = "feedback-pictures"

_NAME = re.compile(r"[0-9a-f]{64}")
_LOCK_SECONDS = 5.0
"""A request waits while the lock is held, with a thread of the server."""
_MAX_PICTURE_BYTES = 500_000_000
"""No server takes longer ones; see `whatsit.settings.Settings.max_upload_bytes`."""


class KeptPictures:
    """The pictures of one store.

    Every method but `read` may fail with `OSError`.

    Args:
        store: Folder of the folder `PICTURE_FOLDER`, which is made when something is first kept.
        max_bytes: Of all of them together; what does not fit is not kept.
    """

    def __init__(self, store: Path, max_bytes: int) -> None:
        self.folder = store / PICTURE_FOLDER
        self._max_bytes = max_bytes

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold during what adds or deletes pictures along with what is known of them.

        Among all processes of the store, one does so at a time.
        """
        make_private_folder(self.folder)
        with exclusive(self.folder / ".lock", _LOCK_SECONDS):
            yield

    def keep(self, sha256: str, image_bytes: bytes) -> bool:
        """Write a picture, as a whole or not at all; call it within `changing`.

        Returns:
            Whether it is there now; False where it would be too much.
        """
        target = self.folder / sha256
        if target.exists():
            return True
        taken = sum(entry.stat().st_size for entry in os.scandir(self.folder))
        if taken + len(image_bytes) > self._max_bytes:
            return False
        replace_file(target, image_bytes)
        return True

    def read(self, sha256: str) -> bytes | None:
        """The bytes of a picture; None where it is not here, or is not what its name says."""
        try:
            image_bytes = read_plain(self.folder / sha256, _MAX_PICTURE_BYTES)
        except OSError:
            return None
        return image_bytes if hashlib.sha256(image_bytes).hexdigest() == sha256 else None

    def forget(self, sha256: str) -> None:
        """Delete a picture, if it is here; call it within `changing`."""
        (self.folder / sha256).unlink(missing_ok=True)

    def names(self) -> frozenset[str]:
        """Digests of the pictures that are here."""
        if not self.folder.is_dir():
            return frozenset()
        return frozenset(
            entry.name for entry in os.scandir(self.folder) if _NAME.fullmatch(entry.name)
        )
