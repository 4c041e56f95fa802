"""Any network of ``keras.applications`` -> a model folder, its preprocessing included.

The preprocessing of a network does not come from a table: Keras' own ``preprocess_input`` runs on
a few colours, which gives the facts of the card, and then on real pictures, which proves them.
"""

import sys
import tempfile
import warnings
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from whatsit.data import example_pictures
from whatsit.engines.exact import ExactModel
from whatsit.errors import InvalidModelCard, ModelUnavailable, SettingsError
from whatsit.images.decode import decode_image
from whatsit.images.preprocess import BatchNCHW, fit_image, to_batch
from whatsit.model_card import InputSpec, ModelCard, build_card, write_card
from whatsit.models.bare_onnx import IMAGENET_LABELS
from whatsit.models.importers.require_extra import load_keras
from whatsit.models.store import ModelFolder, ModelStore, weights_digest

PREFIX = "keras:"
"""Marks the name of an architecture of Keras: ``keras:ResNet50``."""

RANDOM, IMAGENET = "random", "imagenet"

DEFAULT_SIZE = 224

MAX_DIFFERENCE = 1e-4
"""How far logits of two runtimes in float32 may lie apart, as a share of the largest, or of one.
They add in another order; ten times what was seen."""

_MAX_PIXEL_DIFFERENCE = 1e-5
"""How far normalised pixels may lie apart, as a share of their range: float32 has seven digits."""

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

_SEED = 0


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
        """Licence of its weights; empty where they are random, or your own."""
        if weights != IMAGENET:
            return ""
        return next(
            (found for start, found in _LICENCES.items() if self.name.startswith(start)), ""
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


def describe_input(architecture: Architecture, size: int) -> InputSpec:
    """The facts on a card about the input of an architecture, checked on real pictures.

    Args:
        architecture: Which.
        size: Side of the square input, pixels.

    Raises:
        InvalidModelCard: Its preprocessing is more than an order of channels and a scale and an
            offset for each.
    """
    # Black, then each channel alone at its brightest.
    colours = np.zeros((4, 1, 1, 3), dtype=np.float32)
    colours[1:, 0, 0] = 255 * np.eye(3)
    seen = np.asarray(architecture.preprocess(colours.copy()), dtype=np.float64)[:, 0, 0]
    gains = (seen[1:] - seen[0]).T / 255  # [output channel, input channel]
    swapped = abs(gains[0, 2]) > abs(gains[0, 0])
    gain = gains[::-1].diagonal()[::-1] if swapped else gains.diagonal()
    if (gain <= 0).any():
        raise InvalidModelCard(f"The preprocessing of {architecture.name} can't be put on a card.")
    spec = InputSpec(
        name="input",
        size=size,
        resize_shorter_side=round(size * 256 / 224),
        channel_order="BGR" if swapped else "RGB",
        mean=_triple(-seen[0] / gain),
        std=_triple(1 / gain),
    )
    difference = _pixel_difference(architecture, spec)
    if difference > _MAX_PIXEL_DIFFERENCE:
        raise InvalidModelCard(
            f"The preprocessing of {architecture.name} can't be put on a card: real pictures "
            f"come out different by {difference:.1g} of their range."
        )
    return spec


def export_onnx(network: Any, target: Path) -> None:
    """Write a Keras model, which takes (N, size, size, 3), as ONNX that takes (N, 3, size, size).

    A few seconds for a small network, a minute for a large one.
    """
    keras = load_keras()
    *_, height, width, channels = network.input_shape
    batch = keras.Input((channels, height, width), name="input")
    wrapped = keras.Model(batch, network(keras.layers.Permute((2, 3, 1))(batch)))
    wrapped(np.zeros((1, channels, height, width), dtype=np.float32))
    with warnings.catch_warnings():
        # Of the exporter and of TensorFlow, about each other.
        warnings.simplefilter("ignore")
        wrapped.export(str(target), format="onnx", verbose=False)


def require_same_logits(
    expected: npt.NDArray[np.float32], found: npt.NDArray[np.float32], what: str
) -> float:
    """The largest difference between the logits of two forms of a model.

    Args:
        expected: Shape (N, num_classes), from Keras.
        found: The same, from ONNX.
        what: The model, for the sentence.

    Raises:
        InvalidModelCard: It is more than `MAX_DIFFERENCE`, or not a number.
    """
    difference = float(np.abs(expected - found).max())
    limit = MAX_DIFFERENCE * max(1.0, float(np.abs(expected).max()))
    if not difference <= limit:
        raise InvalidModelCard(
            f"{what} as ONNX does not give the logits that Keras gives: they differ by "
            f"{difference:.2g}, and the limit is {limit:.2g}."
        )
    return difference


def import_keras(
    architecture: str,
    store: ModelStore,
    *,
    weights: str = IMAGENET,
    name: str | None = None,
    licence: str | None = None,
) -> ModelFolder:
    """Put a network of Keras into the store, with the 1,000 classes of ImageNet.

    Args:
        architecture: Such as ``ResNet50``.
        store: Where it goes.
        weights: ``imagenet``, ``random``, or a weights file with the network's top.
        name: To store it under; the architecture's in small letters by default, with ``-random``
            if it is.
        licence: Of the weights; for those of Keras it is known.

    Raises:
        SettingsError: The architecture is unknown, or the weights file does not fit.
        ModelUnavailable: The weights can't be downloaded now.
        InvalidModelCard: The exported model does not do what Keras does.
    """
    keras = load_keras()
    found = find_architecture(architecture)
    keras.utils.set_random_seed(_SEED)
    network = build_network(found, weights=weights, classifier_activation=None)
    spec = describe_input(found, network.input_shape[1])
    with tempfile.TemporaryDirectory(prefix="whatsit-") as temporary:
        folder = Path(temporary)
        export_onnx(network, folder / "model.onnx")
        pixels = [_example(image_bytes, spec) for image_bytes in example_pictures().values()]
        expected = network.predict_on_batch(found.preprocess(np.stack(pixels).astype(np.float32)))
        batch = np.concatenate([to_batch(one, spec) for one in pixels])
        difference = require_same_logits(
            np.asarray(expected), ExactModel(folder / "model.onnx").infer(batch), found.name
        )
        card = _card_of(found, spec, folder, weights, name, licence, difference)
        write_card(folder, card)
        return store.add(folder)


def _card_of(
    architecture: Architecture,
    spec: InputSpec,
    folder: Path,
    weights: str,
    name: str | None,
    licence: str | None,
    difference: float,
) -> ModelCard:
    is_random = weights == RANDOM
    tag = "in1k" if weights == IMAGENET else RANDOM if is_random else "own"
    keras = load_keras()
    provenance: dict[str, Any] = {
        "keras": keras.__version__,
        "weights": weights if weights in (IMAGENET, RANDOM) else "a file",
        "logits_max_abs_difference": float(f"{difference:.2g}"),
    }
    if is_random:
        provenance["seed"] = _SEED
    elif weights != IMAGENET:
        provenance["weights_file_sha256"] = weights_digest(Path(weights))
    words = {
        "in1k": "ImageNet-1k",
        "random": "random weights: it knows nothing",
        "own": "weights from a file",
    }
    return build_card(
        {
            "schema": 1,
            "name": name or (f"{architecture.slug}-random" if is_random else architecture.slug),
            "architecture": architecture.slug,
            "tag": tag,
            "description": f"{architecture.name}, {words[tag]}, float32",
            "source": f"keras.applications.{architecture.name}",
            "licence": architecture.licence(weights) if licence is None else licence,
            "weights": {"sha256": weights_digest(folder / "model.onnx")},
            "input": spec.model_dump(exclude_none=True),
            "output": {"labels": IMAGENET_LABELS},
            "provenance": provenance,
        },
        origin="the options",
    )


def _pixel_difference(architecture: Architecture, spec: InputSpec) -> float:
    """How far our normalised pixels are from Keras', as a share of their range."""
    worst = 0.0
    for image_bytes in example_pictures().values():
        pixels = _example(image_bytes, spec)
        theirs = np.asarray(architecture.preprocess(pixels.astype(np.float32)[np.newaxis]))
        ours: BatchNCHW = to_batch(pixels, spec)
        difference = np.abs(theirs.transpose(0, 3, 1, 2) - ours).max() / np.ptp(theirs)
        worst = max(worst, float(difference))
    return worst


def _example(image_bytes: bytes, spec: InputSpec) -> npt.NDArray[np.uint8]:
    image = decode_image(image_bytes, shorter_side=spec.resize_shorter_side).pixels
    return fit_image(image, spec)


def _triple(values: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    # Keras computes in float32; the facts themselves have few digits.
    first, second, third = (round(float(value), 3) + 0.0 for value in values)
    return first, second, third
