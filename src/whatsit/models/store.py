"""The models present on this machine: one verified folder each."""

import hashlib
import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from whatsit.errors import ModelUnavailable, UnknownModel, WeightsRejected
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

_log = logging.getLogger(__name__)


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
    """Where models and state live unless somebody says otherwise; nothing is made there yet."""
    return platformdirs.user_data_path("whatsit")


class ModelStore:
    """Model folders below one root. Nothing appears there half-written.

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
        if name in self.names():
            return read_card(self._root / name)
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
        if name in self.names():
            return open_folder(self._root / name)
        if name == BUNDLED_MODEL:
            return open_folder(bundled_folder())
        raise UnknownModel(name, self.present_names())

    def pull(self, name: str, progress: Progress | None = None) -> ModelFolder:
        """Download a model of the catalogue into the store.

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
        with self._incoming(card.name) as folder:
            shutil.copyfile(model.weights, folder / card.weights.file)
            if (source / card.output.labels).is_file():
                shutil.copyfile(source / card.output.labels, folder / card.output.labels)
            write_card(folder, card)
        return self.open(card.name)

    def remove(self, name: str) -> None:
        """Delete a stored model.

        Raises:
            UnknownModel: It is not in the store.
        """
        if name not in self.names():
            raise UnknownModel(name, self.names())
        shutil.rmtree(self._root / name)

    def _require_entry(self, name: str) -> CatalogueEntry:
        try:
            return catalogue()[name]
        except KeyError:
            raise UnknownModel(name, self.known_names()) from None

    @contextmanager
    def _incoming(self, name: str) -> Iterator[Path]:
        """A fresh folder that takes the place of model `name` once the block succeeds."""
        self._root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._root, prefix=".incoming-") as temporary:
            folder = Path(temporary) / "new"
            folder.mkdir()
            yield folder
            target = self._root / name
            if target.exists():
                target.rename(Path(temporary) / "old")
            folder.rename(target)


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
