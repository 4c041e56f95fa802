"""Any network of ``keras.applications`` -> a model in the store."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from whatsit.engines.exact import ExactModel
from whatsit.images.preprocess import to_batch
from whatsit.model_card import InputSpec, ModelCard, build_card, write_card
from whatsit.models.bare_onnx import IMAGENET_LABELS
from whatsit.models.folder import ModelFolder, weights_digest
from whatsit.models.importers.architectures import (
    IMAGENET,
    RANDOM,
    Architecture,
    build_network,
    find_architecture,
)
from whatsit.models.importers.onnx_export import export_onnx, require_same_logits
from whatsit.models.importers.preprocessing import describe_input, example_pixels
from whatsit.models.importers.require_extra import load_keras
from whatsit.models.store import ModelStore

_SEED = 0
_TRAINED_ON = {
    "in1k": "ImageNet-1k",
    "random": "random weights: it knows nothing",
    "own": "weights from a file",
}
"""The weights in the words of a card, by the model's tag."""


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
        pixels = example_pixels(spec)
        expected = network.predict_on_batch(found.preprocess(np.stack(pixels).astype(np.float32)))
        batch = np.concatenate([to_batch(image, spec) for image in pixels])
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
    return build_card(
        {
            "schema": 1,
            "name": name or (f"{architecture.slug}-random" if is_random else architecture.slug),
            "architecture": architecture.slug,
            "tag": tag,
            "description": f"{architecture.name}, {_TRAINED_ON[tag]}, float32",
            "source": f"keras.applications.{architecture.name}",
            "licence": architecture.licence(weights) if licence is None else licence,
            "weights": {"sha256": weights_digest(folder / "model.onnx")},
            "input": spec.model_dump(exclude_none=True),
            "output": {"labels": IMAGENET_LABELS},
            "provenance": provenance,
        },
        origin="the options",
    )
