"""The entries of a store: each is replaced whole, while others read it."""

import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from whatsit.errors import ModelError
from whatsit.files import exclusive, make_private_folder, store_failures
from whatsit.model_card import CARD_FILE

_T = TypeVar("_T")


class Entries:
    """Folders with a card below one root, by name. Nothing appears there half-written.

    An entry is a link into ``.versions``; replacing it swaps the link, so that a reader, who
    follows it once, has the old folder or the new one and never some of each. A plain folder that
    a person put there is an entry too.

    Args:
        root: The folder, made when something is first stored.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        if not self._root.is_dir():
            return ()
        return tuple(sorted(card.parent.name for card in self._root.glob(f"[!.]*/{CARD_FILE}")))

    def find(self, name: str) -> Path | None:
        """The folder that `name` stands for now, free of links; None where it is not stored."""
        # Asked by its name, for a listing can miss an entry that is just being replaced.
        if not name or name.startswith(".") or "/" in name or "\0" in name:
            return None
        entry = self._root / name
        try:
            while True:
                folder = entry.resolve()
                if os.path.isfile(folder / CARD_FILE):  # noqa: PTH113 - no error for a long name
                    return folder
                if entry.resolve() == folder:  # otherwise it has just been replaced
                    return None
        except FileNotFoundError:  # removed between two looks at the link
            return None

    def read(self, name: str, read: Callable[[Path], _T]) -> _T | None:
        """The result of `read` for the folder of `name`; None where it is not stored."""
        while (folder := self.find(name)) is not None:
            try:
                value = read(folder)
            except ModelError:
                if _is_in_place(folder):
                    raise
            else:
                if _is_in_place(folder):
                    return value
        return None

    def changing(self) -> AbstractContextManager[None]:
        """Turns what a disk says during the block into a sentence.

        Raises:
            StoreUnusable: The block raised `OSError`.
        """
        return store_failures(self._root.parent)

    def write_beside(self, folder: Path, file: str, write: Callable[[Path], None]) -> None:
        """Replace one file of a stored folder.

        Args:
            folder: As `find` gave it.
            file: Its name in there.
            write: Writes it into the folder that it is given.
        """
        with self._workshop() as workshop:
            write(workshop)
            (workshop / file).replace(folder / file)

    def remove(self, name: str) -> None:
        """Delete an entry."""
        with self._workshop() as workshop, exclusive(self._root / ".lock"):
            (self._root / name).rename(workshop / "entry")
            if (versions := self._versions(name)).is_dir():
                versions.rename(workshop / "versions")

    @contextmanager
    def _workshop(self) -> Iterator[Path]:
        """A hidden folder on the disk of the store; what is left in it goes with it."""
        make_private_folder(self._root)
        with tempfile.TemporaryDirectory(dir=self._root, prefix=".incoming-") as folder:
            yield Path(folder)

    @contextmanager
    def incoming(self) -> Iterator["Incoming"]:
        """A fresh folder that becomes an entry once it is published, and is deleted otherwise."""
        with self._workshop() as workshop:
            folder = workshop / "new"
            folder.mkdir()
            yield Incoming(folder, lambda name: self._publish(name, folder, workshop))

    def _publish(self, name: str, folder: Path, workshop: Path) -> None:
        entry, versions, version = self._root / name, self._versions(name), secrets.token_hex(8)
        link = workshop / "link"
        link.symlink_to(Path(".versions", name, version))  # relative: the store may be moved
        with exclusive(self._root / ".lock"):
            make_private_folder(versions)
            folder.rename(versions / version)
            # A reader may still have what is replaced now, hardly what was replaced before.
            keep = {version}
            if entry.is_symlink():
                keep.add(entry.readlink().name)
            elif entry.exists():
                # A plain folder can't be swapped for a link in one step, so it is missing for a
                # moment.
                entry.rename(workshop / "plain")
            link.replace(entry)
            for outdated in versions.iterdir():
                if outdated.name not in keep:
                    outdated.rename(workshop / outdated.name)

    def _versions(self, name: str) -> Path:
        return self._root / ".versions" / name


@dataclass(frozen=True, slots=True)
class Incoming:
    """A folder that is being put together.

    Attributes:
        folder: Where.
        publish: Makes it the entry of a name.
    """

    folder: Path
    publish: Callable[[str], None]


def _is_in_place(folder: Path) -> bool:
    """True if a folder that was found is still there, so that all that was read of it is its own.

    Folders leave their place whole, before they are deleted; a plain one may make way for a link.
    """
    return folder.is_dir() and not folder.is_symlink()
