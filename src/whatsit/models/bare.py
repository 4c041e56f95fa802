"""A bare ``.onnx`` file -> a model folder, with the facts that the file itself can't tell."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from whatsit.errors import SettingsError
from whatsit.model_card import ModelCard, Triple, build_card, write_card
from whatsit.models.store import weights_digest

IMAGENET_LABELS = "imagenet-1k"

_LABELS_FILE = "labels.txt"


def card_for_onnx(
    weights: Path,
    name: str,
    *,
    size: int | None = None,
    resize: int | None = None,
    mean: Triple | None = None,
    std: Triple | None = None,
    bgr: bool = False,
    softmax: bool = False,
    labels: Path | None = None,
    licence: str = "",
) -> ModelCard:
    """The card of a bare weights file.

    Args:
        weights: ONNX file with one image input, shape (N, 3, size, size).
        name: Name of the model.
        size: Side of the input, pixels; read from the file where it is fixed there.
        resize: Shorter side before the crop, pixels; ``size * 256 / 224`` by default, the usual
            proportion of ImageNet models.
        mean: Subtracted from values 0..1, per channel.
        std: Divides them, per channel.
        bgr: Whether the channels are blue, green, red.
        softmax: Whether the output is probabilities, not logits.
        labels: File with one label a line; ImageNet's 1,000 by default.
        licence: Of the weights.

    Raises:
        SettingsError: The size is not given and the file does not tell it.
        InvalidModelCard: The facts are impossible.
        WeightsRejected: The file can't be read.
    """
    digest = weights_digest(weights)
    size = size or _fixed_size(weights)
    if size is None:
        raise SettingsError(f"{weights.name} takes any size; say which with --size.")
    return build_card(
        {
            "schema": 1,
            "name": name,
            "source": weights.name,
            "licence": licence,
            "weights": {"file": "model.onnx", "sha256": digest},
            "input": {
                "size": size,
                "resize_shorter_side": resize or round(size * 256 / 224),
                "channel_order": "BGR" if bgr else "RGB",
                "scale": 1 / 255,
                "mean": mean or (0.0, 0.0, 0.0),
                "std": std or (1.0, 1.0, 1.0),
            },
            "output": {
                "labels": _LABELS_FILE if labels else IMAGENET_LABELS,
                "activation": "softmax" if softmax else "none",
            },
        },
        origin="the options",
    )


@contextmanager
def folder_for_onnx(weights: Path, card: ModelCard, labels: Path | None) -> Iterator[Path]:
    """A temporary model folder of these parts, for `whatsit.models.store.ModelStore.add`."""
    with tempfile.TemporaryDirectory(prefix="whatsit-") as temporary:
        folder = Path(temporary)
        (folder / card.weights.file).symlink_to(weights.absolute())
        if labels is not None:
            shutil.copyfile(labels, folder / _LABELS_FILE)
        write_card(folder, card)
        yield folder


def _fixed_size(weights: Path) -> int | None:
    from whatsit.engines.openvino import fixed_input_size

    return fixed_input_size(weights)
