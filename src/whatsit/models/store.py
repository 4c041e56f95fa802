"""The models on this machine."""

import logging
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from whatsit.errors import InvalidModelCard, ModelError, UnknownModel
from whatsit.files import exclusive, make_private_folder
from whatsit.labels.load import load_labels
from whatsit.model_card import CARD_FILE, ModelCard, read_card, write_card
from whatsit.models.catalogue import (
    BUNDLED_MODEL,
    CatalogueEntry,
    Progress,
    bundled_card,
    bundled_folder,
    catalogue,
)
from whatsit.models.copying import copy_labels, copy_weights
from whatsit.models.entries import Entries
from whatsit.models.folder import ModelFolder, open_folder, require_promised, weights_digest

_log = logging.getLogger(__name__)

LIVE = "live"
"""Stands for whatever model is live (see `whatsit.models.live`), so no stored one can have it."""

Trial = Callable[[ModelFolder], None]
"""Raises where a model that was read without a complaint is still not to be stored."""


class ModelStore:
    """The models below one root; see `whatsit.models.entries` for how they are replaced.

    Args:
        home: The models go into its folder ``models``, made when something is first stored.
    """

    def __init__(self, home: Path) -> None:
        self._root = home / "models"
        self._entries = Entries(self._root)

    def names(self) -> tuple[str, ...]:
        """Models in the store, sorted."""
        return self._entries.names()

    def card(self, name: str) -> ModelCard:
        """The card of any known model: stored, bundled, or in the catalogue.

        Raises:
            UnknownModel: No model has that name.
            InvalidModelCard: Its card is wrong.
        """
        if (card := self._entries.read(name, read_card)) is not None:
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
        if (model := self._entries.read(name, open_folder)) is not None:
            return model
        if name == BUNDLED_MODEL:
            return open_folder(bundled_folder(), trusted=True)
        raise UnknownModel(name, self.present_names())

    def pull(self, name: str, progress: Progress | None = None) -> ModelFolder:
        """Download a model of the catalogue into the store, unless it is there and sound.

        Args:
            name: A name of the catalogue.
            progress: Called for every chunk.

        Raises:
            UnknownModel: The model is not in the catalogue.
            ModelUnavailable: None of its addresses gives it now.
            StoreUnusable: The store can't be written.
        """
        # The HTTP client takes long to load, and most starts download nothing.
        from whatsit.models.download import DOWNLOAD_SECONDS, download

        entry = self._require_entry(name)
        downloads = self._root / ".downloads"
        with self._entries.changing():
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
                with self._entries.incoming() as incoming:
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
            trial: Looks at the copy before anyone else can open it.

        Raises:
            InvalidModelCard: Its card or labels are wrong.
            WeightsRejected: Its weights are missing, or not those of its card.
            StoreUnusable: The store can't be written.
        """
        # A mistake is reported before anything is copied.
        card = read_card(source)
        if name is not None:
            card = card.renamed(name)
        _require_storable(card)
        weights = source / card.weights.file
        require_promised(weights_digest(weights), card)
        load_labels(card.output.labels, source)
        with self._entries.changing(), self._entries.incoming() as incoming:
            copy = incoming.folder / card.weights.file
            if copy_weights(weights, copy) == "merged":
                card = card.with_weights(weights_digest(copy))
            copy_labels(source / card.output.labels, incoming.folder / card.output.labels)
            write_card(incoming.folder, card)
            _require_sound(incoming.folder, trial)
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
            labels: The labels that its card names, as a file or a link to one.
            trial: Looks at the model before anyone else can open it.

        Raises:
            InvalidModelCard: The card or the labels are wrong.
            WeightsRejected: The file can't be used.
            StoreUnusable: The store can't be written.
        """
        with self._entries.changing(), self._entries.incoming() as incoming:
            copy = incoming.folder / "model.onnx"
            copy_weights(weights, copy, follow=True)
            card = describe(copy)
            _require_storable(card)
            if labels is not None:
                copy_labels(labels, incoming.folder / card.output.labels, follow=True)
            write_card(incoming.folder, card)
            _require_sound(incoming.folder, trial)
            incoming.publish(card.name)
        return self.open(card.name)

    def replace_card(self, name: str, card: ModelCard) -> None:
        """Give a stored model another card for the same weights.

        Raises:
            UnknownModel: It is not in the store.
            StoreUnusable: The store can't be written.
        """
        if (folder := self._entries.find(name)) is None:
            raise UnknownModel(name, self.names())
        with self._entries.changing():
            self._entries.write_beside(folder, CARD_FILE, lambda place: write_card(place, card))

    def remove(self, name: str) -> None:
        """Delete a stored model.

        Raises:
            UnknownModel: It is not in the store.
            StoreUnusable: The store can't be written.
        """
        if self._entries.find(name) is None:
            raise UnknownModel(name, self.names())
        with self._entries.changing():
            self._entries.remove(name)

    def _require_entry(self, name: str) -> CatalogueEntry:
        try:
            return catalogue()[name]
        except KeyError:
            raise UnknownModel(name, self.known_names()) from None

    def _sound(self, name: str) -> ModelFolder | None:
        try:
            return self._entries.read(name, open_folder)
        except ModelError:
            return None


def _require_storable(card: ModelCard) -> None:
    if card.name == LIVE:
        raise InvalidModelCard(
            "'live' stands for the model that was promoted. Store this one under another name."
        )


def _require_sound(folder: Path, trial: Trial | None) -> None:
    """Refuse what can't be opened, or fails the trial."""
    model = open_folder(folder)
    if trial is not None:
        trial(model)
