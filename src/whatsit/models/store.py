"""The models present on this machine: one verified folder each."""

import hashlib
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import platformdirs

from whatsit.errors import (
    InvalidModelCard,
    ModelError,
    ModelUnavailable,
    SettingsError,
    UnknownModel,
    WeightsRejected,
)
from whatsit.labels import LabelSet, load_labels
from whatsit.model_card import CARD_FILE, ModelCard, read_card, write_card
from whatsit.models.catalogue import (
    BUNDLED_MODEL,
    CatalogueEntry,
    Progress,
    bundled_card,
    bundled_folder,
    catalogue,
)
from whatsit.models.lock import exclusive

_log = logging.getLogger(__name__)

LIVE = "live"
"""Stands for whatever model is live (see `whatsit.models.live`), so no stored one can have it."""

_Found = TypeVar("_Found")


@dataclass(frozen=True)
class ModelFolder:
    """A model that is ready to be loaded: its weights are those its card promises."""

    card: ModelCard
    labels: LabelSet
    weights: Path


@dataclass(frozen=True)
class ResolvedModel:
    """The model to serve with.

    Attributes:
        folder: The model.
        requested: The name that was asked for.
        note: Why it is another one than requested, as a sentence; None where it is that one.
    """

    folder: ModelFolder
    requested: str
    note: str | None = None


def default_home() -> Path:
    """Where models and state live unless somebody says otherwise; nothing is made there yet.

    Raises:
        SettingsError: The user has no home folder, so there is no such place.
    """
    try:
        return platformdirs.user_data_path("whatsit")
    except RuntimeError as error:
        raise SettingsError(
            "This user has no home folder (HOME). Say in WHATSIT_STORE which folder to use."
        ) from error


class ModelStore:
    """Model folders below one root. Nothing appears there half-written.

    A stored model is a link into ``.versions``; replacing the model swaps the link, so that a
    reader, who follows it once, has the old model or the new one and never some of each. A plain
    folder that somebody put there is a model too.

    Args:
        home: The models go into its folder ``models``, made when something is first stored.
    """

    def __init__(self, home: Path) -> None:
        self._root = home / "models"

    def names(self) -> tuple[str, ...]:
        """Models in the store, sorted."""
        if not self._root.is_dir():
            return ()
        return tuple(sorted(card.parent.name for card in self._root.glob(f"[!.]*/{CARD_FILE}")))

    def card(self, name: str) -> ModelCard:
        """The card of any known model: stored, bundled, or in the catalogue.

        Raises:
            UnknownModel: No model has that name.
            InvalidModelCard: Its card is wrong.
        """
        if (card := self._read(name, read_card)) is not None:
            return card
        if name == BUNDLED_MODEL:
            return bundled_card()
        return self._require_entry(name).card

    def present_names(self) -> tuple[str, ...]:
        """Models that can be opened without a download: stored or bundled, sorted."""
        return tuple(sorted({*self.names(), BUNDLED_MODEL}))

    def known_names(self) -> tuple[str, ...]:
        """Every model that could be served: stored, bundled, or in the catalogue."""
        return tuple(sorted({*self.present_names(), *catalogue()}))

    def open(self, name: str) -> ModelFolder:
        """Verify and return a model that is present.

        Raises:
            UnknownModel: It is neither stored nor bundled.
            InvalidModelCard: Its card or labels are wrong.
            WeightsRejected: Its weights are missing, or not those of its card.
        """
        if (model := self._read(name, open_folder)) is not None:
            return model
        if name == BUNDLED_MODEL:
            return open_folder(bundled_folder())
        raise UnknownModel(name, self.present_names())

    def pull(self, name: str, progress: Progress | None = None) -> ModelFolder:
        """Download a model of the catalogue into the store, unless it is there and sound.

        Args:
            name: A name of the catalogue.
            progress: Told about every chunk.

        Raises:
            UnknownModel: The catalogue has no such model.
            ModelUnavailable: It can't be had from any of its addresses now.
        """
        # The HTTP client takes long to load, and most starts download nothing.
        from whatsit.models.download import download

        entry = self._require_entry(name)
        downloads = self._root / ".downloads"
        downloads.mkdir(parents=True, exist_ok=True)
        with exclusive(downloads / f"{name}.lock"):
            # Another process may have stored it while this one waited.
            if (present := self._sound(name)) is not None and present.card == entry.card:
                return present
            _log.info(
                "%s is not on this machine yet: fetching it (%.0f MB), first from %s.",
                *(name, entry.size_bytes / 1e6, urlsplit(entry.urls[0]).hostname),
            )
            weights = download(
                entry.urls,
                downloads / f"{entry.card.weights.sha256}.onnx",
                sha256=entry.card.weights.sha256,
                size_bytes=entry.size_bytes,
                progress=progress,
            )
            with self._incoming(name) as folder:
                weights.rename(folder / entry.card.weights.file)
                write_card(folder, entry.card)
        return self.open(name)

    def add(self, source: Path, name: str | None = None) -> ModelFolder:
        """Copy a model folder into the store, after checking it.

        Args:
            source: Folder with a card, weights and, unless bundled, labels.
            name: Another name to store it under. A model of that name is replaced.

        Raises:
            InvalidModelCard: Its card or labels are wrong.
            WeightsRejected: Its weights are missing, or not those of its card.
        """
        model = open_folder(source)
        card = model.card if name is None else model.card.renamed(name)
        if card.name == LIVE:
            raise InvalidModelCard(
                "'live' stands for the model that was promoted. Store this one under another name."
            )
        with self._incoming(card.name) as folder:
            shutil.copyfile(model.weights, folder / card.weights.file)
            if (source / card.output.labels).is_file():
                shutil.copyfile(source / card.output.labels, folder / card.output.labels)
            write_card(folder, card)
        return self.open(card.name)

    def replace_card(self, name: str, card: ModelCard) -> None:
        """Give a stored model another card for the same weights.

        Raises:
            UnknownModel: It is not in the store.
        """
        if (folder := self._find(name)) is None:
            raise UnknownModel(name, self.names())
        with self._workshop() as workshop:
            write_card(workshop, card)
            (workshop / CARD_FILE).replace(folder / CARD_FILE)

    def remove(self, name: str) -> None:
        """Delete a stored model.

        Raises:
            UnknownModel: It is not in the store.
        """
        if self._find(name) is None:
            raise UnknownModel(name, self.names())
        with self._workshop() as workshop, exclusive(self._root / ".lock"):
            (self._root / name).rename(workshop / "entry")
            if (versions := self._versions(name)).is_dir():
                versions.rename(workshop / "versions")

    def _require_entry(self, name: str) -> CatalogueEntry:
        try:
            return catalogue()[name]
        except KeyError:
            raise UnknownModel(name, self.known_names()) from None

    def _find(self, name: str) -> Path | None:
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

    def _read(self, name: str, read: Callable[[Path], _Found]) -> _Found | None:
        """What `read` makes of the folder of `name`; None where it is not stored."""
        while (folder := self._find(name)) is not None:
            try:
                found = read(folder)
            except ModelError:
                if _is_in_place(folder):
                    raise
            else:
                if _is_in_place(folder):
                    return found
        return None

    def _sound(self, name: str) -> ModelFolder | None:
        try:
            return self._read(name, open_folder)
        except ModelError:
            return None

    def _versions(self, name: str) -> Path:
        return self._root / ".versions" / name

    @contextmanager
    def _workshop(self) -> Iterator[Path]:
        """A hidden folder on the disk of the store; what is left in it goes with it."""
        self._root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._root, prefix=".incoming-") as folder:
            yield Path(folder)

    @contextmanager
    def _incoming(self, name: str) -> Iterator[Path]:
        """A fresh folder that takes the place of model `name` once the block succeeds."""
        with self._workshop() as workshop:
            folder = workshop / "new"
            folder.mkdir()
            yield folder
            with exclusive(self._root / ".lock"):
                self._publish(name, folder, workshop)

    def _publish(self, name: str, folder: Path, workshop: Path) -> None:
        entry, versions, version = self._root / name, self._versions(name), secrets.token_hex(8)
        versions.mkdir(parents=True, exist_ok=True)
        folder.rename(versions / version)
        link = workshop / "link"
        link.symlink_to(Path(".versions", name, version))  # relative: the store may be moved
        # Somebody may be reading what is replaced now, hardly what was replaced the time before.
        keep = {version}
        if entry.is_symlink():
            keep.add(entry.readlink().name)
        elif entry.exists():
            # A plain folder can't be swapped for a link in one step, so it is missing for a moment.
            entry.rename(workshop / "plain")
        link.replace(entry)
        for outdated in versions.iterdir():
            if outdated.name not in keep:
                outdated.rename(workshop / outdated.name)


def _is_in_place(folder: Path) -> bool:
    """Whether a folder that was found is still there, so that all that was read of it is its own.

    Folders leave their place whole, before they are deleted; a plain one may make way for a link.
    """
    return folder.is_dir() and not folder.is_symlink()


def open_folder(folder: Path) -> ModelFolder:
    """Read a model folder and check its weights against its card.

    Raises:
        InvalidModelCard: Its card or labels are wrong.
        WeightsRejected: Its weights are missing, or not those of its card.
    """
    card = read_card(folder)
    weights = folder / card.weights.file
    digest = weights_digest(weights)
    if digest != card.weights.sha256:
        raise WeightsRejected(
            f"The weights of {card.name!r} are not those its card promises "
            f"(SHA-256 {digest[:12]}…, promised {card.weights.sha256[:12]}…). Get them again."
        )
    return ModelFolder(card, load_labels(card.output.labels, folder), weights)


def weights_digest(weights: Path) -> str:
    """SHA-256 of a weights file, 64 hex digits.

    Raises:
        WeightsRejected: The file can't be read.
    """
    try:
        with weights.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsRejected(f"The weights file {weights.name!r} can't be read.") from error


def resolve_model(
    store: ModelStore, name: str, *, progress: Progress | None = None
) -> ResolvedModel:
    """Find the model to serve with: stored, bundled or pulled; else the bundled one, and say so.

    Args:
        store: Where to look first, and where a pulled model goes.
        name: What was asked for.
        progress: Told about every chunk of a download.

    Raises:
        UnknownModel: Nothing has that name.
        InvalidModelCard: The stored model's card is wrong.
        WeightsRejected: The stored model's weights are not those of its card.
    """
    if name in store.names() or name == BUNDLED_MODEL:
        return ResolvedModel(store.open(name), name)
    try:
        return ResolvedModel(store.pull(name, progress), name)
    except ModelUnavailable as error:
        _log.info("%s", error)
        reason = "can't be downloaded now"
    except OSError as error:
        _log.info("The store can't be written: %s", error.strerror)
        reason = "can't be written to the store"
    return ResolvedModel(
        store.open(BUNDLED_MODEL),
        name,
        note=f"{name} is not on this machine and {reason}, so {BUNDLED_MODEL} "
        f"answers. To get it later: whatsit models pull {name}",
    )
