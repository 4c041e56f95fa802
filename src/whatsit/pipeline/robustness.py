"""Pictures turned, blurred and compressed, to measure how well answers withstand it."""

import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from whatsit.images.decode import decode_image
from whatsit.images.preprocess import ImageHWC, fit_image
from whatsit.model_card import ModelCard
from whatsit.pipeline.manifest import (
    Picture,
    read_picture,
)

_AT_A_TIME = 64

ROTATION_DEGREES = 15
BLUR_SIGMA = 2
JPEG_QUALITY = 20


def _rotate(image: Image.Image) -> Image.Image:
    # The corners get the picture's mean colour, which influences a model least.
    mean = tuple(int(channel) for channel in np.asarray(image).mean(axis=(0, 1)))
    return image.rotate(ROTATION_DEGREES, Image.Resampling.BILINEAR, fillcolor=mean)


def _blur(pixels: ImageHWC) -> ImageHWC:
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(BLUR_SIGMA)))


def _compress(pixels: ImageHWC) -> ImageHWC:
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "JPEG", quality=JPEG_QUALITY)
    return np.asarray(Image.open(encoded).convert("RGB"))


CHANGES: Mapping[str, Callable[[ImageHWC], ImageHWC] | None] = {
    "rotation": None,  # of the whole picture, before its centre is cut out
    "blur": _blur,
    "jpeg": _compress,
}


def view_pictures(
    card: ModelCard, data: Path, pictures: Sequence[Picture], names: Sequence[str]
) -> Iterator[dict[str, ImageHWC]]:
    """The model's input for each picture, plain and changed."""

    def look(picture: Picture) -> dict[str, ImageHWC]:
        image = decode_image(
            read_picture(data, picture), shorter_side=card.input.resize_shorter_side
        ).pixels
        plain = fit_image(image, card.input)
        views = {"plain": plain}
        for name in names[1:]:
            change = CHANGES[name]
            views[name] = fit_image(_rotate(image), card.input) if change is None else change(plain)
        return views

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(pictures), _AT_A_TIME):
            yield from pool.map(look, pictures[start : start + _AT_A_TIME])
