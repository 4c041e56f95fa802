"""The pictures that people agreed to have kept: one file each, named by its digest."""

import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from whatsit.models.lock import exclusive

PICTURE_FOLDER = "feedback-pictures"

_NAME = re.compile(r"[0-9a-f]{64}")


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
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with exclusive(self.folder / ".lock"):
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
        draft = self.folder / f".{sha256}.{secrets.token_hex(4)}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(image_bytes)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(target)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        return True

    def read(self, sha256: str) -> bytes | None:
        """The bytes of a picture; None where it is not here, or is not what its name says."""
        try:
            image_bytes = (self.folder / sha256).read_bytes()
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
