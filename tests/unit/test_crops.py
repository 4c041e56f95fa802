"""Of a frame that a HEIC or AVIF shows only a part of, that part is the picture."""

import numpy as np
import pytest
from PIL import Image

from tests.hostile.pictures import FAST_HEIC, crop, encode, photo, resized, with_properties
from whatsit.errors import ImageTooManyPixels, ImageUnreadable, InputError
from whatsit.images.decode import decode_image

WIDTH, HEIGHT = 640, 480
TURN, MIRROR = b"irot", b"imir"


@pytest.fixture(scope="module", params=["HEIC", "AVIF"])
def whole(request) -> bytes:
    options = FAST_HEIC if request.param == "HEIC" else {"speed": 10}
    return encode(photo("RGB", WIDTH, HEIGHT), request.param, **options)


def pixels_of(picture: bytes) -> np.ndarray:
    return np.asarray(decode_image(picture).pixels).astype(np.int64)


@pytest.mark.parametrize("size", [(600, 400), (320, 240), (100, 100), (20, 10), (1, 1)])
def test_a_part_is_answered_however_small_it_is(whole, size):
    decoded = decode_image(with_properties(whole, crop(*size)))

    assert (decoded.width, decoded.height) == decoded.pixels.size == size
    left, top = (WIDTH - size[0]) // 2, (HEIGHT - size[1]) // 2
    expected = pixels_of(whole)[top : top + size[1], left : left + size[0]]
    assert (np.asarray(decoded.pixels) == expected).all()


@pytest.mark.parametrize(
    ("part", "box"),
    [
        (crop(100, 60, 50, -40), (320, 170, 420, 230)),
        (crop(100, 60, 5, 3, 2), (272, 211, 372, 271)),
        (crop(100, 60, 600, 400, 2), (570, 410, 640, 470)),
        (crop(9_000, 9_000), (0, 0, WIDTH, HEIGHT)),
    ],
    ids=["shifted", "by halves", "beyond the edge", "more than all"],
)
def test_a_part_lies_where_the_file_says(whole, part, box):
    left, top, right, bottom = box
    expected = pixels_of(whole)[top:bottom, left:right]

    assert (pixels_of(with_properties(whole, part)) == expected).all()


TURNS = {
    "a quarter": ([(TURN, b"\1")], lambda part: np.rot90(part)),
    "half": ([(TURN, b"\2")], lambda part: np.rot90(part, 2)),
    "three quarters": ([(TURN, b"\3")], lambda part: np.rot90(part, 3)),
    "upside down": ([(MIRROR, b"\0")], lambda part: part[::-1]),
    "left to right": ([(MIRROR, b"\1")], lambda part: part[:, ::-1]),
    "a quarter and upside down": (
        [(TURN, b"\1"), (MIRROR, b"\0")],
        lambda part: np.rot90(part)[::-1],
    ),
}


@pytest.mark.parametrize("name", TURNS)
def test_a_part_is_cut_out_before_it_is_turned(whole, name):
    properties, turned = TURNS[name]

    picture = with_properties(whole, crop(100, 60, 50, -40), *properties)

    assert (pixels_of(picture) == turned(pixels_of(whole)[170:230, 320:420])).all()


def test_a_small_part_of_a_large_frame_keeps_its_pixels():
    frame = encode(Image.new("RGB", (4_096, 3_200)), "AVIF", speed=10)

    decoded = decode_image(with_properties(frame, crop(400, 300)), shorter_side=100)

    assert decoded.pixels.size == (400, 300)


@pytest.mark.parametrize(
    "part",
    [crop(0, 9), crop(9, 9, unit=0), crop(9, 9, 5_000, 0), (b"clap", bytes(7))],
    ids=["nothing", "no unit", "beside it", "cut short"],
)
def test_a_part_that_is_none_is_damage(whole, part):
    with pytest.raises(ImageUnreadable, match="header is damaged"):
        decode_image(with_properties(whole, part))


def test_the_whole_frame_counts_for_the_limits(whole):
    picture = with_properties(whole, crop(9, 9))
    with pytest.raises(ImageTooManyPixels):
        decode_image(picture, max_pixels=WIDTH * HEIGHT - 1)
    with pytest.raises(InputError):
        decode_image(resized(picture, 30_000, 30_000))


def test_thumbnails_beside_a_part_do_no_harm():
    frame = encode(photo("RGB", WIDTH, HEIGHT), "HEIC", thumbnails=[64], **FAST_HEIC)

    assert decode_image(frame).pixels.size == (WIDTH, HEIGHT)
