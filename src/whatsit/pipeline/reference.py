"""Measure the reference that a model's traffic is compared with; see `whatsit.drift`."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from whatsit.classifier import Classifier
from whatsit.drift.reference import describe_reference
from whatsit.drift.signals import describe_signals
from whatsit.errors import DatasetRejected, InputError
from whatsit.folders.find import find_files
from whatsit.model_card import ModelCard, Reference, build_card
from whatsit.picture import Picture

MIN_PICTURES = 100
"""With fewer, chance alone makes an index of 0.1 and more, however many pictures come later."""


def measure_reference(
    classifier: Classifier, pictures: Iterable[bytes], dataset: str = ""
) -> Reference:
    """Sum up what a model sees and says of pictures like those it will be asked about.

    No labels are needed. Pictures that occur twice count once.

    Args:
        classifier: The model.
        pictures: Image bytes, as they are sent: at another size they would give another result.
        dataset: Description of these pictures, for the card.

    Raises:
        DatasetRejected: One can't be answered, or there are fewer than 100.
    """
    seen: set[str] = set()
    described: list[dict[str, float]] = []
    for number, image_bytes in enumerate(pictures, start=1):
        picture = Picture.of(image_bytes)
        if picture.sha256 in seen:
            continue
        seen.add(picture.sha256)
        try:
            computed = classifier.compute(*classifier.prepare(picture))
        except InputError as error:
            raise DatasetRejected(f"Picture {number} can't be used: {error}") from error
        described.append(
            describe_signals(computed.prediction, computed.familiarity, computed.statistics)
        )
    if len(described) < MIN_PICTURES:
        raise DatasetRejected(
            f"There are {len(described)} different pictures; a reference needs {MIN_PICTURES}."
        )
    return describe_reference(described, dataset)


def read_pictures(folder: Path) -> Iterator[bytes]:
    """The pictures of a folder and those below it; see `whatsit.folders.find.find_files`.

    Raises:
        DatasetRejected: A file can't be read.
    """
    for found in find_files([folder]):
        try:
            yield found.path.read_bytes()
        except OSError as error:
            raise DatasetRejected(f"{found.path.name} can't be read: {error.strerror}.") from error


def apply_reference(card: ModelCard, reference: Reference) -> ModelCard:
    """The card with a reference; the model's fingerprint stays the same."""
    facts = card.model_dump(by_alias=True)
    facts["reference"] = reference.model_dump(mode="json")
    return build_card(facts, origin="reference")
