"""The models present on this machine: one verified folder each."""

import hashlib
import logging
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import urlsplit

import platformdirs

from whatsit.engines.onnx_file import MAX_WEIGHTS_BYTES, describe_onnx, parse_onnx, read_weights
from whatsit.engines.onnx_merge import merge_onnx
from whatsit.errors import (
    InvalidModelCard,
    ModelError,
    ModelUnavailable,
    SettingsError,
    StoreUnusable,
    UnknownModel,
    WeightsRejected,
)
from whatsit.files import (
    copy_plain,
    exclusive,
    is_there,
    make_private_folder,
    open_plain,
    store_failures,
)
from whatsit.labels.label_set import LabelSet
from whatsit.labels.load import MAX_LABELS_BYTES, load_labels
from whatsit.model_card import CARD_FILE, ModelCard, read_card, write_card
from whatsit.models.catalogue import (
    BUNDLED_MODEL,
    CatalogueEntry,
    Progress,
    bundled_card,
    bundled_folder,
    catalogue,
)

_log = logging.getLogger(__name__)

LIVE = "live"
"""Stands for whatever model is live (see `whatsit.models.live`), so no stored one can have it."""

_Found = TypeVar("_Found")

Trial = Callable[["ModelFolder"], None]
"""Raises where a model that was read without a complaint is still not to be stored."""


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
            return open_folder(bundled_folder(), trusted=True)
        raise UnknownModel(name, self.present_names())

    def pull(self, name: str, progress: Progress | None = None) -> ModelFolder:
        """Download a model of the catalogue into the store, unless it is there and sound.

        Args:
            name: A name of the catalogue.
            progress: Told about every chunk.

        Raises:
            UnknownModel: The catalogue has no such model.
            ModelUnavailable: It can't be had from any of its addresses now.
            StoreUnusable: The store can't be written.
        """
        # The HTTP client takes long to load, and most starts download nothing.
        from whatsit.models.download import DOWNLOAD_SECONDS, download

        entry = self._require_entry(name)
        downloads = self._root / ".downloads"
        with self._changing():
            make_private_folder(downloads)
            with exclusive(downloads / f"{name}.lock", DOWNLOAD_SECONDS):
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
                with self._incoming() as incoming:
                    weights.rename(incoming.folder / entry.card.weights.file)
                    write_card(incoming.folder, entry.card)
                    incoming.publish(name)
        return self.open(name)

    def add(
        self, source: Path, name: str | None = None, *, trial: Trial | None = None
    ) -> ModelFolder:
        """Copy a model folder into the store, after checking the copy.

        Weights that lie in several files are stored as one, so that its digest covers them all.

        Args:
            source: Folder with a card, weights and, unless bundled, labels: plain files all.
            name: Another name to store it under. A model of that name is replaced.
            trial: Looks at the copy before anybody else can open it.

        Raises:
            InvalidModelCard: Its card or labels are wrong.
            WeightsRejected: Its weights are missing, or not those of its card.
            StoreUnusable: The store can't be written.
        """
        # What is wrong is told before anything is copied.
        card = read_card(source)
        if name is not None:
            card = card.renamed(name)
        _require_storable(card)
        weights = source / card.weights.file
        _require_promised(weights_digest(weights), card)
        load_labels(card.output.labels, source)
        with self._changing(), self._incoming() as incoming:
            copy = incoming.folder / card.weights.file
            if _copy_weights(weights, copy) == "merged":
                card = card.with_weights(weights_digest(copy))
            _copy_labels(source / card.output.labels, incoming.folder / card.output.labels)
            write_card(incoming.folder, card)
            incoming.require(trial)
            incoming.publish(card.name)
        return self.open(card.name)

    def add_weights(
        self,
        weights: Path,
        describe: Callable[[Path], ModelCard],
        labels: Path | None = None,
        *,
        trial: Trial | None = None,
    ) -> ModelFolder:
        """Store a bare ONNX file as a model.

        Args:
            weights: The file, or a link to it; weights that lie beside it are stored with it.
            describe: Makes the card, given the copy that will be stored.
            labels: What its card calls the labels, as a file or a link to one.
            trial: Looks at the model before anybody else can open it.

        Raises:
            InvalidModelCard: The card or the labels are wrong.
            WeightsRejected: The file can't be used.
            StoreUnusable: The store can't be written.
        """
        with self._changing(), self._incoming() as incoming:
            copy = incoming.folder / "model.onnx"
            _copy_weights(weights, copy, follow=True)
            card = describe(copy)
            _require_storable(card)
            if labels is not None:
                _copy_labels(labels, incoming.folder / card.output.labels, follow=True)
            write_card(incoming.folder, card)
            incoming.require(trial)
            incoming.publish(card.name)
        return self.open(card.name)

    def replace_card(self, name: str, card: ModelCard) -> None:
        """Give a stored model another card for the same weights.

        Raises:
            UnknownModel: It is not in the store.
            StoreUnusable: The store can't be written.
        """
        if (folder := self._find(name)) is None:
            raise UnknownModel(name, self.names())
        with self._changing(), self._workshop() as workshop:
            write_card(workshop, card)
            (workshop / CARD_FILE).replace(folder / CARD_FILE)

    def remove(self, name: str) -> None:
        """Delete a stored model.

        Raises:
            UnknownModel: It is not in the store.
            StoreUnusable: The store can't be written.
        """
        if self._find(name) is None:
            raise UnknownModel(name, self.names())
        with self._changing(), self._workshop() as workshop, exclusive(self._root / ".lock"):
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

    def _changing(self) -> AbstractContextManager[None]:
        return store_failures(self._root.parent)

    @contextmanager
    def _workshop(self) -> Iterator[Path]:
        """A hidden folder on the disk of the store; what is left in it goes with it."""
        make_private_folder(self._root)
        with tempfile.TemporaryDirectory(dir=self._root, prefix=".incoming-") as folder:
            yield Path(folder)

    @contextmanager
    def _incoming(self) -> Iterator["_Incoming"]:
        """A fresh folder that becomes a model once it is published, and is gone otherwise."""
        with self._workshop() as workshop:
            folder = workshop / "new"
            folder.mkdir()
            yield _Incoming(folder, lambda name: self._publish(name, folder, workshop))

    def _publish(self, name: str, folder: Path, workshop: Path) -> None:
        entry, versions, version = self._root / name, self._versions(name), secrets.token_hex(8)
        link = workshop / "link"
        link.symlink_to(Path(".versions", name, version))  # relative: the store may be moved
        with exclusive(self._root / ".lock"):
            make_private_folder(versions)
            folder.rename(versions / version)
            # Somebody may be reading what is replaced now, hardly what was replaced before.
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


@dataclass(frozen=True, slots=True)
class _Incoming:
    """A model folder that is being put together.

    Attributes:
        folder: Where.
        publish: Makes it the model of a name.
    """

    folder: Path
    publish: Callable[[str], None]

    def require(self, trial: Trial | None) -> None:
        """Refuse what can't be opened, or fails the trial."""
        model = open_folder(self.folder)
        if trial is not None:
            trial(model)


def _is_in_place(folder: Path) -> bool:
    """Whether a folder that was found is still there, so that all that was read of it is its own.

    Folders leave their place whole, before they are deleted; a plain one may make way for a link.
    """
    return folder.is_dir() and not folder.is_symlink()


def open_folder(folder: Path, *, trusted: bool = False) -> ModelFolder:
    """Read a model folder and check its weights against its card.

    Card, weights and labels are plain files of this folder: a link could make a server show a
    file of its user to everybody who asks for the labels.

    Args:
        folder: The folder.
        trusted: Whether it comes with whatsit; package managers may have put links into it.

    Raises:
        InvalidModelCard: Its card or labels are wrong.
        WeightsRejected: Its weights are missing, not those of its card, or not all in one file.
    """
    card = read_card(folder, trusted=trusted)
    weights = folder / card.weights.file
    content = read_weights(weights, follow=trusted)
    _require_promised(hashlib.sha256(content).hexdigest(), card)
    if not trusted and (data_files := parse_onnx(content, weights.name).data_files):
        raise WeightsRejected(
            f"The weights of {card.name!r} lie in {data_files[0]!r} too, which their digest does "
            "not cover. Store them as one file: whatsit models add FOLDER"
        )
    return ModelFolder(card, load_labels(card.output.labels, folder, trusted=trusted), weights)


def _require_promised(digest: str, card: ModelCard) -> None:
    if digest != card.weights.sha256:
        raise WeightsRejected(
            f"The weights of {card.name!r} are not those its card promises "
            f"(SHA-256 {digest[:12]}…, promised {card.weights.sha256[:12]}…). Get them again."
        )


def weights_digest(weights: Path) -> str:
    """SHA-256 of a weights file, 64 hex digits.

    Raises:
        WeightsRejected: The file can't be read.
    """
    try:
        with open_plain(weights, max_bytes=MAX_WEIGHTS_BYTES) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(weights, error) from error


def _copy_weights(
    source: Path, target: Path, *, follow: bool = False
) -> Literal["copied", "merged"]:
    """Copy weights, as one file where they lie in several."""
    try:
        copy_plain(source, target, MAX_WEIGHTS_BYTES, follow=follow)
    except OSError as error:
        if error.filename == str(target):
            raise
        raise _unreadable(source, error) from error
    if not describe_onnx(target, source.name).data_files:
        return "copied"
    target.unlink()
    merge_onnx(source, target, follow=follow)
    return "merged"


def _copy_labels(source: Path, target: Path, *, follow: bool = False) -> None:
    if not is_there(source):  # a bundled set
        return
    try:
        copy_plain(source, target, MAX_LABELS_BYTES, follow=follow)
    except OSError as error:
        if error.filename == str(target):
            raise
        raise InvalidModelCard(
            f"The labels file {source.name!r} can't be read: {error.strerror}."
        ) from error


def _require_storable(card: ModelCard) -> None:
    if card.name == LIVE:
        raise InvalidModelCard(
            "'live' stands for the model that was promoted. Store this one under another name."
        )


def _unreadable(weights: Path, error: OSError) -> WeightsRejected:
    return WeightsRejected(f"The weights file {weights.name!r} can't be read: {error.strerror}.")


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
    except StoreUnusable as error:
        _log.info("%s", error)
        reason = "can't be written to the store"
    return ResolvedModel(
        store.open(BUNDLED_MODEL),
        name,
        note=f"{name} is not on this machine and {reason}, so {BUNDLED_MODEL} "
        f"answers. To get it later: whatsit models pull {name}",
    )
