"""A heat map over its picture."""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from whatsit.images.decode import DEFAULT_MAX_PIXELS, decode_image
from whatsit.prediction import HeatMap

_OVERLAY_MAX_SIDE = 960
_DIMMED = 0.35
_COLD, _HOT, _MOST_OPAQUE = 0.1, 0.5, 0.75
_COLOURS = ((64, 10, 103), (147, 38, 103), (221, 81, 58), (252, 165, 10), (252, 255, 164))
"""From the colour map "inferno" (Smith and van der Walt, CC0): brighter is always hotter."""


def draw_overlay(image: Image.Image, heat_map: HeatMap) -> bytes:
    """Lay a heat map over its picture.

    Without support for the label, the picture stays as it is; the parts that the model does not see
    are dimmed.

    Args:
        image: The upright picture, mode RGB, at any scale.
        heat_map: Its map.

    Returns:
        A PNG whose longer side is at most 960 pixels.
    """
    canvas = image.copy()
    canvas.thumbnail((_OVERLAY_MAX_SIDE, _OVERLAY_MAX_SIDE))
    across, down = canvas.width / heat_map.image.width, canvas.height / heat_map.image.height
    left, top, right, bottom = (
        round(edge * scale) for edge, scale in zip(heat_map.box, (across, down) * 2, strict=True)
    )
    # Leave some pixels to draw on at the very edge.
    left, top = min(left, canvas.width - 1), min(top, canvas.height - 1)
    pixels = np.asarray(canvas, dtype=np.float32)
    seen = np.s_[top : max(bottom, top + 1), left : max(right, left + 1)]
    drawn = pixels * _DIMMED
    height, width = pixels[seen].shape[:2]
    heat = np.asarray(
        Image.fromarray(heat_map.grid).resize((width, height), Image.Resampling.BICUBIC)
    ).clip(0, 1)
    opacity = (_MOST_OPAQUE * np.clip((heat - _COLD) / (_HOT - _COLD), 0, 1))[:, :, np.newaxis]
    drawn[seen] = pixels[seen] * (1 - opacity) + _colour(heat) * opacity
    encoded = io.BytesIO()
    Image.fromarray(drawn.round().astype(np.uint8)).save(encoded, "PNG")
    return encoded.getvalue()


def draw_picture(
    image_bytes: bytes, heat_map: HeatMap, *, max_pixels: int = DEFAULT_MAX_PIXELS
) -> bytes:
    """Lay a heat map over the picture it was made of, from its bytes.

    Raises:
        InputError: As for `whatsit.images.decode.decode_image`.
    """
    decoded = decode_image(
        image_bytes,
        shorter_side=_OVERLAY_MAX_SIDE // 2,
        max_bytes=len(image_bytes),
        max_pixels=max_pixels,
    )
    return draw_overlay(decoded.pixels, heat_map)


def _colour(heat: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    places = np.linspace(0, 1, len(_COLOURS))
    channels = [np.interp(heat, places, channel) for channel in zip(*_COLOURS, strict=True)]
    return np.stack(channels, axis=-1).astype(np.float32)
