"""How a network of Keras wants its pixels, as facts on a card.

They are not looked up in a table: Keras' own ``preprocess_input`` is asked what it does to a few
colours, which gives the facts, and then to real pictures, which proves them.
"""

import numpy as np
import numpy.typing as npt

from whatsit.data import example_pictures
from whatsit.errors import InvalidModelCard
from whatsit.images.decode import decode_image
from whatsit.images.preprocess import BatchNCHW, ImageHWC, fit_image, to_batch
from whatsit.model_card import InputSpec
from whatsit.models.importers.architectures import Architecture

_MAX_DIFFERENCE = 1e-5
"""How far normalised pixels may lie apart, as a share of their range: float32 has seven digits."""


def describe_input(architecture: Architecture, size: int) -> InputSpec:
    """The input of an architecture as facts of a card, checked on real pictures.

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
    if difference > _MAX_DIFFERENCE:
        raise InvalidModelCard(
            f"The preprocessing of {architecture.name} can't be put on a card: real pictures "
            f"come out different by {difference:.1g} of their range."
        )
    return spec


def example_pixels(spec: InputSpec) -> list[ImageHWC]:
    """The example pictures, as a network with this input sees them."""
    return [
        fit_image(decode_image(image_bytes, shorter_side=spec.resize_shorter_side).pixels, spec)
        for image_bytes in example_pictures().values()
    ]


def _pixel_difference(architecture: Architecture, spec: InputSpec) -> float:
    """How far our normalised pixels are from Keras', as a share of their range."""
    worst = 0.0
    for pixels in example_pixels(spec):
        theirs = np.asarray(architecture.preprocess(pixels.astype(np.float32)[np.newaxis]))
        ours: BatchNCHW = to_batch(pixels, spec)
        difference = np.abs(theirs.transpose(0, 3, 1, 2) - ours).max() / np.ptp(theirs)
        worst = max(worst, float(difference))
    return worst


def _triple(values: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    # Keras computes in float32; the facts themselves have few digits.
    first, second, third = (round(float(value), 3) + 0.0 for value in values)
    return first, second, third
