"""A TIFF is answered by what it shows, however its numbers are laid out, or refused by its name."""

import struct
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.hostile.pictures import encode, photo
from tests.support.tiffs import (
    BLACK_IS_ZERO,
    CMYK,
    DEFLATE,
    FLOATING,
    LAB,
    LZW,
    NONE,
    PACKBITS,
    PALETTE,
    RGB,
    SIGNED,
    UNSIGNED,
    WHITE_IS_ZERO,
    YCBCR,
    write_tiff,
)
from whatsit.errors import ImageUnsupported, InputError
from whatsit.images.decode import decode_image

HEIGHT, WIDTH = 12, 19

Kind = tuple[int, int, tuple[int, ...], Callable[[Any], Any]]


def shares(count: int) -> npt.NDArray[np.float64]:
    """Samples from 0 to 1, each of which looks different."""
    down, across = np.mgrid[0:HEIGHT, 0:WIDTH] / np.array([[[HEIGHT - 1]], [[WIDTH - 1]]])
    return np.stack([across, down, (across * 5 + down) % 1, 1 - across], axis=-1)[..., :count]


def over_white(colours: Any, alpha: Any) -> Any:
    return colours * alpha + 1 - alpha


KINDS: dict[str, Kind] = {
    "white is zero": (WHITE_IS_ZERO, 1, (), lambda each: 1 - each),
    "black is zero": (BLACK_IS_ZERO, 1, (), lambda each: each),
    "grey and alpha": (
        BLACK_IS_ZERO,
        2,
        (2,),
        lambda each: over_white(each[..., :1], each[..., 1:]),
    ),
    "grey and nothing": (BLACK_IS_ZERO, 2, (0,), lambda each: each[..., :1]),
    "RGB": (RGB, 3, (), lambda each: each),
    "RGB and nothing": (RGB, 4, (0,), lambda each: each[..., :3]),
    "RGB and alpha": (RGB, 4, (2,), lambda each: over_white(each[..., :3], each[..., 3:])),
    "CMYK": (CMYK, 4, (), lambda each: (1 - each[..., :3]) * (1 - each[..., 3:])),
}


def pixels_of(picture: bytes) -> npt.NDArray[np.int64]:
    return np.asarray(decode_image(picture).pixels).astype(np.int64)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("bits", [1, 4, 8, 12, 16])
def test_whole_numbers_mean_the_same_in_every_layout(name, bits):
    colours, count, extra, meaning = KINDS[name]
    values = np.round(shares(count) * ((1 << bits) - 1))
    expected = np.broadcast_to(meaning(values / ((1 << bits) - 1)) * 255, (HEIGHT, WIDTH, 3))
    predictors = (1, 2) if bits in (8, 16) else (1,)
    layouts = [
        *product("<>", (False, True), (NONE, PACKBITS), (1,), (None, 16), (1,)),
        *product("<>", (False, True), (LZW, DEFLATE), predictors, (None, 16), (1,)),
        *product("<>", (False, True), (NONE, DEFLATE), (1,), (None,), (2,)),
    ]
    for order, planar, compression, predictor, tile, fill_order in layouts:
        picture = write_tiff(
            values.astype(np.int64),
            bits=bits,
            colours=colours,
            order=order,
            planar=planar and count > 1,
            compression=compression,
            predictor=predictor,
            tile=tile,
            fill_order=fill_order,
            extra=extra,
        )
        difference = np.abs(pixels_of(picture) - expected).max()
        assert difference <= 2, (order, planar, compression, predictor, tile, fill_order)


@pytest.mark.parametrize("colours", [BLACK_IS_ZERO, WHITE_IS_ZERO])
@pytest.mark.parametrize(
    ("number_format", "bits"),
    [
        *((FLOATING, bits) for bits in (16, 32, 64)),
        *((SIGNED, bits) for bits in (8, 16, 32)),
        (UNSIGNED, 32),
    ],
)
def test_greys_of_other_numbers_mean_the_same_in_every_layout(number_format, bits, colours):
    values = shares(1)
    if number_format != FLOATING:
        values = np.round(values * ((1 << bits - (number_format == SIGNED)) - 1))
    expected = np.round(shares(1) * 255)
    expected = 255 - expected if colours == WHITE_IS_ZERO else expected
    predictor = 3 if number_format == FLOATING else 2
    for order, compression, tile in product("<>", (NONE, LZW, DEFLATE), (None, 16)):
        for predicted in (1,) if compression == NONE else (1, predictor):
            picture = write_tiff(
                values,
                bits=bits,
                colours=colours,
                order=order,
                compression=compression,
                number_format=number_format,
                predictor=predicted,
                tile=tile,
            )
            difference = np.abs(pixels_of(picture) - expected).max()
            assert difference <= 1, (order, compression, tile, predicted)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [NONE, LZW, DEFLATE])
def test_colours_multiplied_with_their_transparency_are_divided_again(order, compression):
    values = shares(4)
    values[..., :3] *= values[..., 3:]
    picture = write_tiff(
        np.round(values * 65_535),
        bits=16,
        colours=RGB,
        order=order,
        compression=compression,
        planar=True,
        extra=(1,),
    )

    expected = (values[..., :3] + 1 - values[..., 3:]) * 255
    assert np.abs(pixels_of(picture) - expected).max() <= 3


def test_greys_below_zero_are_spread_from_the_darkest_to_the_lightest():
    values = np.array([[[-1_000], [0], [1_000]]])
    picture = write_tiff(values, bits=16, colours=BLACK_IS_ZERO, number_format=SIGNED)

    assert pixels_of(picture)[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
@pytest.mark.parametrize(("colours", "count"), [(BLACK_IS_ZERO, 1), (RGB, 3)])
def test_what_a_camera_saved_with_fewer_bits_in_16_is_not_black(bits, colours, count):
    values = np.round(shares(count) * ((1 << bits) - 1))
    picture = write_tiff(values, bits=16, colours=colours)

    assert np.abs(pixels_of(picture) - shares(count) * 255).max() <= 1


@pytest.mark.parametrize("highest", [15 * 257, 16_700, 40_000])
def test_a_picture_that_is_dark_stays_dark(highest):
    values = np.round(shares(1) * highest)
    if highest % 257 == 0:
        values = np.round(shares(1) * (highest // 257)) * 257  # 8 bits, widened to 16
    picture = write_tiff(values, bits=16, colours=BLACK_IS_ZERO)

    assert pixels_of(picture).max() == round(highest / 257)


@pytest.mark.parametrize("colours", [WHITE_IS_ZERO, CMYK])
def test_where_more_is_darker_a_picture_of_low_values_stays_light(colours):
    values = np.round(shares(4 if colours == CMYK else 1) * 4_000)

    assert pixels_of(write_tiff(values, bits=16, colours=colours)).min() > 200


def test_a_palette_written_with_eight_bits_is_taken_for_that():
    image = photo("P")
    palette = np.array(image.getpalette("RGB")).reshape(-1, 3)
    colour_map = np.zeros((3, 256), np.int64)
    colour_map[:, : len(palette)] = palette.T
    indices = np.asarray(image)[..., None]
    narrow, wide = (
        write_tiff(
            indices, bits=8, colours=PALETTE, more={320: (colour_map * factor).ravel().tolist()}
        )
        for factor in (1, 257)
    )

    assert (pixels_of(wide) == palette[indices[..., 0]]).all()
    assert (pixels_of(narrow) == pixels_of(wide)).all()


@pytest.mark.parametrize(
    ("compression", "subsampling"),
    [(NONE, {530: (1, 1)}), (NONE, {}), (LZW, {530: (1, 1)}), (PACKBITS, {530: (1, 1)})],
)
def test_video_colours_of_full_resolution_are_read(compression, subsampling):
    values = np.asarray(photo("YCbCr"))
    picture = write_tiff(
        values, bits=8, colours=YCBCR, compression=compression, more=subsampling, rows=64
    )

    assert np.abs(pixels_of(picture) - np.asarray(photo())).max() <= 4


def test_lab_colours_are_read():
    values = np.zeros((2, 2, 3), np.int64)
    values[...] = (138, 80, 67)  # lightness 54, red
    picture = write_tiff(values, bits=8, colours=LAB)

    assert np.abs(pixels_of(picture) - (255, 0, 0)).max() < 16


UNREAD: dict[str, dict[str, Any]] = {
    "32-bit floating-point colours": {"bits": 32, "number_format": FLOATING, "colours": RGB},
    "16-bit floating-point colours": {"bits": 16, "number_format": FLOATING, "colours": RGB},
    "32-bit colours": {"bits": 32, "colours": RGB},
    "64-bit greys": {"bits": 64, "colours": BLACK_IS_ZERO},
    "signed 16-bit colours": {"bits": 16, "number_format": SIGNED, "colours": RGB},
    "16-bit CIELab colours": {"bits": 16, "colours": LAB},
    "8-bit CIELab colours": {"bits": 8, "colours": LAB, "planar": True},
    "16-bit palette colours": {"bits": 16, "colours": PALETTE},
    "16-bit video colours": {"bits": 16, "colours": YCBCR},
    "8-bit ICCLab colours": {"bits": 8, "colours": 9},
    "16-bit LogL greys": {"bits": 16, "colours": 32844},
    "uncompressed colours at half resolution": {
        **{"bits": 8, "colours": YCBCR},
        "more": {530: (2, 2)},
    },
    "whose channels differ in depth": {"bits": 8, "colours": RGB, "more": {258: (5, 6, 5)}},
}


@pytest.mark.parametrize("name", UNREAD)
def test_what_has_no_single_meaning_is_refused_by_its_name(name):
    layout = UNREAD[name]
    count = 1 if layout["colours"] in (BLACK_IS_ZERO, PALETTE, 32844) else 3

    with pytest.raises(ImageUnsupported, match=f"a TIFF picture .*{name}"):
        decode_image(write_tiff(shares(count), **layout))


@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("tile", [None, 16])
def test_a_picture_of_numbers_that_is_cut_short_is_an_input_error(bits, tile):
    values = np.round(shares(3) * 4_095)
    for compression, planar in product((NONE, DEFLATE), (False, True)):
        whole = write_tiff(
            values, bits=bits, colours=RGB, compression=compression, planar=planar, tile=tile
        )
        moved = struct.unpack_from("<I", whole, 4)[0]
        for end in range(9, moved, 211):
            # Its directory is still there: only pixels are missing.
            cut = whole[:4] + struct.pack("<I", end) + whole[8:end] + whole[moved:]
            with pytest.raises(InputError):
                decode_image(cut)


@pytest.mark.parametrize("number", range(3))
def test_the_first_page_that_is_not_marked_as_a_small_copy_is_the_picture(number):
    pages = [write_tiff(np.full((9, 9, 1), 80 * page), bits=8, colours=1) for page in range(3)]
    file = pages_of(*pages, marked=dict.fromkeys(range(number), 1))

    assert pixels_of(file)[0, 0, 0] == 80 * number


def pages_of(*pages: bytes, marked: dict[int, int]) -> bytes:
    """A TIFF of several pages, some of them marked as small copies or masks."""
    file, link = b"II*\0\0\0\0\0", 4
    for number, page in enumerate(pages):
        (at,) = struct.unpack_from("<I", page, 4)
        (count,) = struct.unpack_from("<H", page, at)
        shift = len(file)
        entries = [page[at + 2 + 12 * each : at + 14 + 12 * each] for each in range(count)]
        moved = [struct.pack("<HHII", 254, 4, 1, marked.get(number, 0))]
        for entry in entries:
            tag, kind, values, value = struct.unpack("<HHII", entry)
            if tag in (273, 324) or values * {3: 2, 4: 4}[kind] > 4:
                value += shift
            moved.append(struct.pack("<HHII", tag, kind, values, value))
        file = file[:link] + struct.pack("<I", shift + at) + file[link + 4 :]
        file += page[:at] + struct.pack("<H", count + 1) + b"".join(moved)
        link = len(file)
        file += bytes(4)
    return file


def test_a_tiff_of_jpeg_keeps_its_colours():
    for mode in ("RGB", "YCbCr", "L", "CMYK"):
        picture = encode(photo(mode), "TIFF", compression="jpeg", quality=95)
        expected = np.asarray(photo(mode).convert("RGB")).astype(np.int64)
        assert np.abs(pixels_of(picture) - expected).mean() < 8, mode
