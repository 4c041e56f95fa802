"""An upright RGB image -> the pixels the model sees -> the model's batch."""

import numpy as np
import numpy.typing as npt
from PIL import Image

from whatsit.model_card import InputSpec

ImageHWC = npt.NDArray[np.uint8]
BatchNCHW = npt.NDArray[np.float32]

_RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def fit_image(image: Image.Image, spec: InputSpec) -> ImageHWC:
    """Scale the shorter side and cut out the centre: exactly the pixels the model will see.

    Only the part that survives the crop is resampled. The sampling grid is that of "resize the
    whole image, then crop", so the result is the same up to rounding.

    Args:
        image: Mode RGB, upright, any size.
        spec: Size, resize and interpolation.

    Returns:
        Shape (size, size, 3), channels in RGB order.
    """
    box = crop_box(*image.size, spec)
    fitted = image.resize((spec.size, spec.size), _RESAMPLING[spec.interpolation], box=box)
    return np.asarray(fitted)


def crop_box(width: int, height: int, spec: InputSpec) -> tuple[float, float, float, float]:
    """Which part of an image the model will see.

    Args:
        width: Pixels of the upright image.
        height: Likewise.
        spec: Size and resize.

    Returns:
        Left, top, right and bottom edge, in the image's pixels.
    """
    shorter = min(width, height)
    # The usual convention: the longer side is truncated, the crop's corner rounded to a pixel.
    resized_width = spec.resize_shorter_side * width // shorter
    resized_height = spec.resize_shorter_side * height // shorter
    left = round((resized_width - spec.size) / 2)
    top = round((resized_height - spec.size) / 2)
    per_column, per_row = width / resized_width, height / resized_height
    return (
        left * per_column,
        top * per_row,
        min((left + spec.size) * per_column, width),
        min((top + spec.size) * per_row, height),
    )


def to_batch(pixels: ImageHWC, spec: InputSpec) -> BatchNCHW:
    """Normalise one image: ``(value * scale - mean) / std``, per channel.

    Args:
        pixels: Shape (size, size, 3), values 0..255, channels in RGB order.
        spec: Scale, mean, std and channel order.

    Returns:
        Shape (1, 3, size, size).
    """
    ordered = pixels if spec.channel_order == "RGB" else pixels[:, :, ::-1]
    gain = np.asarray(spec.scale / np.asarray(spec.std), dtype=np.float32)
    offset = np.asarray(np.asarray(spec.mean) / np.asarray(spec.std), dtype=np.float32)
    batch = np.empty((1, 3, *pixels.shape[:2]), dtype=np.float32)
    for channel in range(3):
        np.multiply(ordered[:, :, channel], gain[channel], out=batch[0, channel])
        batch[0, channel] -= offset[channel]
    return batch
