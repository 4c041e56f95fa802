"""The model sees exactly the pixels its card describes."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from whatsit.images.preprocess import fit_image, to_batch
from whatsit.model_card import InputSpec

RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

sides = st.integers(min_value=1, max_value=90)


def spec(**changes: object) -> InputSpec:
    return InputSpec.model_validate({"size": 48, "resize_shorter_side": 56, **changes})


def noise(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(7).integers(96, 160, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def resize_whole_then_crop(image: Image.Image, wanted: InputSpec) -> Image.Image:
    """What fit_image promises, in the two steps it is known by."""
    shorter = min(image.size)
    width, height = (wanted.resize_shorter_side * side // shorter for side in image.size)
    resized = image.resize((width, height), RESAMPLING[wanted.interpolation])
    left, top = round((width - wanted.size) / 2), round((height - wanted.size) / 2)
    return resized.crop((left, top, left + wanted.size, top + wanted.size))


@pytest.mark.parametrize("crop", [(48, 56), (47, 56), (56, 56)], ids=str)
@pytest.mark.parametrize(
    ("interpolation", "size", "tolerance"),
    [
        # Both ways round to whole levels between the two directions.
        *(("bilinear", size, 1) for size in [(1, 1), (3, 2), (57, 83), (640, 479), (1500, 31)]),
        # These overshoot and are cut off there, which makes one level two.
        *(("bicubic", size, 2) for size in [(1, 1), (3, 2), (57, 83), (640, 479), (1500, 31)]),
        *(("lanczos", size, 2) for size in [(1, 1), (3, 2), (57, 83), (640, 479), (1500, 31)]),
        # Of these sizes no sample falls exactly between two pixels.
        *(("nearest", size, 0) for size in [(1, 1), (57, 83), (111, 113), (401, 1003)]),
    ],
    ids=str,
)
def test_fitting_equals_resizing_the_whole_and_cutting_the_centre(
    interpolation, size, tolerance, crop
):
    side, shorter_side = crop
    wanted = spec(size=side, resize_shorter_side=shorter_side, interpolation=interpolation)
    image = noise(*size)

    fitted = fit_image(image, wanted)

    reference = np.asarray(resize_whole_then_crop(image, wanted))
    assert fitted.shape == reference.shape == (side, side, 3)
    assert np.abs(fitted.astype(int) - reference.astype(int)).max() <= tolerance


@given(width=sides, height=sides)
def test_a_plain_picture_of_any_size_keeps_its_colour(width, height):
    fitted = fit_image(Image.new("RGB", (width, height), (200, 7, 90)), spec())

    assert fitted.shape == (48, 48, 3)
    assert (fitted == (200, 7, 90)).all()


@given(width=sides, height=sides)
def test_a_mirrored_picture_gives_mirrored_pixels(width, height):
    wanted = spec(size=48, resize_shorter_side=48)
    # An odd overhang has no centre and must lean to a side.
    assume(48 * max(width, height) // min(width, height) % 2 == 0)
    image = noise(width, height)

    mirrored = fit_image(ImageOps.mirror(image), wanted)[:, ::-1]

    assert np.abs(mirrored.astype(int) - fit_image(image, wanted)).max() <= 1


def test_the_centre_is_kept_and_the_sides_are_cut_off():
    image = Image.new("RGB", (300, 100), "red")
    image.paste("blue", (100, 0, 200, 100))

    fitted = fit_image(image, spec(size=32, resize_shorter_side=48))

    assert (fitted == (0, 0, 255)).all()


@pytest.mark.parametrize(
    ("channel_order", "first", "second"),
    [
        ("RGB", [2.0, 2.0, 1.5], [-0.5, -0.5, -0.375]),
        ("BGR", [7.0, 2.0, 0.25], [-0.5, -0.5, -0.375]),
    ],
)
def test_a_batch_is_scaled_then_centred_then_divided(channel_order, first, second):
    pixels = np.array([[[10, 20, 30], [0, 0, 0]]], dtype=np.uint8)
    wanted = spec(channel_order=channel_order, scale=0.5, mean=(1, 2, 3), std=(2, 4, 8))

    batch = to_batch(pixels, wanted)

    assert batch[0, :, 0, 0].tolist() == first
    assert batch[0, :, 0, 1].tolist() == second


def test_a_batch_is_one_image_in_planes_of_float32():
    batch = to_batch(np.zeros((48, 48, 3), dtype=np.uint8), spec())

    assert batch.shape == (1, 3, 48, 48)
    assert batch.dtype == np.float32
    assert batch.flags.c_contiguous


def test_a_batch_keeps_rows_and_columns():
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)

    assert (to_batch(pixels, spec())[0] == pixels.transpose(2, 0, 1)).all()


def test_imagenet_normalisation_is_that_of_the_textbook():
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    pixels = np.asarray(noise(48, 48))

    batch = to_batch(pixels, spec(scale=1 / 255, mean=mean, std=std))

    expected = ((pixels / 255 - mean) / std).transpose(2, 0, 1)
    # One multiplication and one subtraction in float32.
    assert np.abs(batch[0] - expected).max() < 1e-6


def test_pixels_are_not_changed_by_making_a_batch():
    pixels = np.asarray(noise(48, 48)).copy()
    before = pixels.copy()

    to_batch(pixels, spec(mean=(9, 9, 9), channel_order="BGR"))

    assert (pixels == before).all()
