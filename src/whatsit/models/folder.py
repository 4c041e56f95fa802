"""A folder with a model, verified: its weights are those that its card promises."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from whatsit.engines.onnx_file import MAX_WEIGHTS_BYTES, parse_onnx, read_weights
from whatsit.errors import WeightsRejected
from whatsit.files import open_plain
from whatsit.labels.label_set import LabelSet
from whatsit.labels.load import load_labels
from whatsit.model_card import ModelCard, read_card


@dataclass(frozen=True)
class ModelFolder:
    """A model that is ready to be loaded.

    Attributes:
        card: Its card.
        labels: The names of its classes.
        weights: Its weights file, whose digest is the one on the card.
    """

    card: ModelCard
    labels: LabelSet
    weights: Path


def open_folder(folder: Path, *, trusted: bool = False) -> ModelFolder:
    """Read a model folder and check its weights against its card.

    Card, weights and labels are plain files of this folder: a link could make a server show a
    file of its user to everyone who asks for the labels.

    Args:
        folder: The folder.
        trusted: True if it comes with whatsit; package managers may have put links into it.

    Raises:
        InvalidModelCard: Its card or labels are wrong.
        WeightsRejected: Its weights are missing, not those of its card, or not all in one file.
    """
    card = read_card(folder, trusted=trusted)
    weights = folder / card.weights.file
    content = read_weights(weights, follow=trusted)
    require_promised(hashlib.sha256(content).hexdigest(), card)
    if not trusted and (data_files := parse_onnx(content, weights.name).data_files):
        raise WeightsRejected(
            f"The weights of {card.name!r} lie in {data_files[0]!r} too, which their digest does "
            "not cover. Store them as one file: whatsit models add FOLDER"
        )
    return ModelFolder(card, load_labels(card.output.labels, folder, trusted=trusted), weights)


def require_promised(digest: str, card: ModelCard) -> None:
    """Refuse weights that are not those of a card.

    Args:
        digest: SHA-256 of the weights, 64 hex digits.
        card: Promises another one, or this one.

    Raises:
        WeightsRejected: They are not.
    """
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
        raise unreadable_weights(weights, error) from error


def unreadable_weights(weights: Path, error: OSError) -> WeightsRejected:
    """The error for a weights file that the system does not give."""
    return WeightsRejected(f"The weights file {weights.name!r} can't be read: {error.strerror}.")
