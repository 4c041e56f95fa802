"""The networks of ``keras.applications``: found by name, built, with what is known of each."""

import sys
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

from whatsit.errors import ModelUnavailable, SettingsError
from whatsit.models.importers.require_extra import load_keras

PREFIX = "keras:"
"""Marks the name of an architecture of Keras: ``keras:ResNet50``."""

RANDOM, IMAGENET = "random", "imagenet"

DEFAULT_SIZE = 224

_LICENCES = {
    "ResNet": "MIT",
    "VGG": "CC-BY-4.0",
    "Xception": "MIT",
    "Inception": "Apache-2.0",
    "MobileNet": "Apache-2.0",
    "DenseNet": "BSD-3-Clause",
    "NASNet": "Apache-2.0",
    "EfficientNet": "Apache-2.0",
    "ConvNeXt": "MIT",
}
"""Of the ImageNet weights, by the authors that Keras names for them."""


@dataclass(frozen=True)
class Architecture:
    """A family of networks in ``keras.applications``.

    Attributes:
        name: As Keras spells it, such as ``ResNet50``.
        build: Makes one, as Keras documents it.
        preprocess: Its ``preprocess_input``.
    """

    name: str
    build: Any
    preprocess: Any

    @property
    def slug(self) -> str:
        """The name as a model can have it."""
        return self.name.lower()

    def licence(self, weights: str) -> str:
        """Licence of its weights; empty for random ones and the user's own."""
        if weights != IMAGENET:
            return ""
        return next(
            (licence for start, licence in _LICENCES.items() if self.name.startswith(start)), ""
        )


def find_architecture(name: str) -> Architecture:
    """The architecture of that name, whatever the case of its letters.

    Args:
        name: Such as ``ResNet50``, with or without `PREFIX`.

    Raises:
        SettingsError: Keras has none of that name, or the extra is missing.
    """
    applications = load_keras().applications
    known = {
        entry.casefold(): entry
        for entry in dir(applications)
        if entry[0].isupper() and callable(getattr(applications, entry))
    }
    wanted = name.removeprefix(PREFIX)
    if (found := known.get(wanted.casefold())) is None:
        raise SettingsError(
            f"Keras has no architecture {wanted!r}. Known: {', '.join(sorted(known.values()))}."
        )
    build = getattr(applications, found)
    # Each module of Keras has the preprocessing of all its networks.
    return Architecture(found, build, sys.modules[build.__module__].preprocess_input)


def build_network(architecture: Architecture, *, weights: str | Path, **options: Any) -> Any:
    """A Keras model of an architecture.

    Args:
        architecture: Which.
        weights: ``imagenet``, ``random``, or a weights file for the very same network.
        options: More for Keras, such as ``include_top``.

    Raises:
        ModelUnavailable: The weights can't be downloaded now.
        SettingsError: The weights file does not fit.
    """
    if str(weights) == RANDOM:
        return architecture.build(weights=None, **options)
    if str(weights) == IMAGENET:
        try:
            return architecture.build(weights=IMAGENET, **options)
        except Exception as error:
            if not _is_failed_download(error):
                raise
            raise ModelUnavailable(
                f"Keras can't download its weights of {architecture.name} now. Try again with "
                "network, or without its weights: --weights random, or a weights file."
            ) from error
    file = Path(weights)
    if not file.is_file():
        raise SettingsError(
            f"The weights {file.name!r} are neither a file nor {IMAGENET!r} nor {RANDOM!r}."
        )
    try:
        return architecture.build(weights=str(file), **options)
    except (OSError, ValueError, KeyError) as error:
        raise SettingsError(
            f"The weights {file.name!r} are not those of {architecture.name}."
        ) from error


def _is_failed_download(error: Exception) -> bool:
    # Keras reports most of them as a bare Exception, and a damaged file as a ValueError.
    return isinstance(error, OSError | HTTPException) or any(
        words in str(error) for words in ("URL fetch failure", "corrupted file")
    )
