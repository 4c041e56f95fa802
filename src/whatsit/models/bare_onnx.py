"""A bare ``.onnx`` file -> a model card, with the facts that the file itself does not state."""

from pathlib import Path

from whatsit.engines.base import is_whole
from whatsit.errors import SettingsError
from whatsit.model_card import ModelCard, Triple, build_card
from whatsit.models.folder import weights_digest

IMAGENET_LABELS = "imagenet-1k"

_LABELS_FILE = "labels.txt"
_USUAL_SIZE = 224


def card_for_onnx(
    weights: Path,
    name: str,
    *,
    source: str | None = None,
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
        source: Where the weights come from; the name of the file by default.
        size: Side of the input, pixels; read from the file where it is fixed there.
        resize: Shorter side before the crop, pixels; ``size * 256 / 224`` by default, the usual
            proportion of ImageNet models.
        mean: Subtracted from values 0..1, per channel.
        std: Divides them, per channel.
        bgr: True if the channels are blue, green, red.
        softmax: True if the output is probabilities, not logits.
        labels: File with one label a line; ImageNet's 1,000 by default.
        licence: Of the weights.

    Raises:
        SettingsError: The size is not given and the file does not state it, or the file scales
            the pixels itself.
        InvalidModelCard: The facts are impossible.
        WeightsRejected: The file can't be read.
        InferenceFailed: It is not a model that can be run.
    """
    # Loading OpenVINO takes a while, and most commands need no engine.
    from whatsit.engines.openvino import describe_input

    port = describe_input(weights, name)
    # The shape is judged with all other facts, by the engine.
    size = size or (port.shape[2] if len(port.shape) == 4 else _USUAL_SIZE)
    if size is None:
        raise SettingsError(f"{source or weights.name} takes any size; say which with --size.")
    if is_whole(port) and (mean or std):
        raise SettingsError(
            f"{source or weights.name} takes whole numbers ({port.kind}), so it scales the pixels "
            "itself. Leave out --mean and --std."
        )
    return build_card(
        {
            "schema": 1,
            "name": name,
            "source": source or weights.name,
            "licence": licence,
            "weights": {"file": "model.onnx", "sha256": weights_digest(weights)},
            "input": {
                "size": size,
                "resize_shorter_side": resize or round(size * 256 / 224),
                "channel_order": "BGR" if bgr else "RGB",
                "scale": 1.0 if is_whole(port) else 1 / 255,
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
