"""A JPEG is answered if all of its pixels are there, whether it is closed or not."""

import io
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.hostile import pictures
from tests.hostile.pictures import encode, photo
from whatsit.errors import ImageUnreadable, ImageUnsupported, InputError
from whatsit.images.decode import decode_image

KINDS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "progressive": {"progressive": True},
    "with restarts": {"restart_marker_blocks": 2},
    "of full colour resolution": {"subsampling": "4:4:4", "quality": 95},
    "with tables of its own": {"optimize": True},
}


def pixels_of(picture: bytes, shorter_side: int | None = None) -> bytes:
    return decode_image(picture, shorter_side=shorter_side).pixels.tobytes()


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("behind", [b"", b"\xff", b"12345678", b"\xff\0\xff\0", bytes(500)])
def test_a_jpeg_that_lacks_only_its_end_is_answered(name, mode, behind):
    whole = encode(photo(mode), "JPEG", **KINDS[name])
    assert whole.endswith(b"\xff\xd9")

    assert pixels_of(whole[:-2] + behind) == pixels_of(whole)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("shorter_side", [None, 20])
def test_a_jpeg_that_lacks_pixels_is_refused(name, mode, shorter_side):
    whole = encode(photo(mode, 160, 120), "JPEG", **KINDS[name])
    pixels, first = pixels_of(whole, shorter_side), whole.index(b"\xff\xda") + 20
    # Made smaller, what the last bytes add to the last block is a shade.
    allowed = 0 if shorter_side is None else 3

    for missing in (*range(3, 120), *range(120, len(whole) - first, 83)):
        try:
            answered = pixels_of(whole[:-missing], shorter_side)
        except InputError:
            continue
        difference = np.subtract([*answered], [*pixels])
        assert np.abs(difference).max() <= allowed, missing
        assert np.count_nonzero(difference) <= 3 * 8 * 8, missing


@pytest.mark.parametrize("end", ["before a pass", "within its header"])
def test_a_progressive_jpeg_without_its_last_passes_is_refused(end):
    whole = encode(photo(), "JPEG", progressive=True)
    for scan in pictures.jpeg_scans(whole)[1:]:
        cut = whole[:scan] if end == "before a pass" else whole[: scan + 9]
        with pytest.raises(ImageUnreadable):
            decode_image(cut)


def test_a_large_jpeg_that_lacks_its_end_is_decoded_smaller_too():
    whole = encode(photo("RGB", 1_600, 1_200), "JPEG")

    decoded = decode_image(whole[:-2], shorter_side=100)

    assert (decoded.width, decoded.height) == (1_600, 1_200)
    assert decoded.pixels.size == (400, 300)


@pytest.mark.parametrize("image_format", ["PNG", "GIF"])
def test_other_pictures_need_no_end_either(image_format):
    whole = encode(photo("P"), image_format)
    end = -12 if image_format == "PNG" else -1

    assert pixels_of(whole[:end]) == pixels_of(whole)


@pytest.mark.parametrize(
    ("picture", "kind"),
    [
        (pictures.twelve_bits, "a JPEG picture of 12 bits a colour"),
        (lambda: pictures.renamed_frame(0xC3), "a lossless JPEG picture"),
        (lambda: pictures.renamed_frame(0xCB), "a lossless JPEG picture"),
        (lambda: pictures.renamed_frame(0xC5), "a hierarchical JPEG picture"),
        (lambda: pictures.renamed_frame(0xF7), "a JPEG-LS picture"),
        (pictures.five_colours, "a JPEG picture of 5 colour channels"),
    ],
    ids=["12-bit", "lossless", "lossless-arithmetic", "hierarchical", "LS", "channels"],
)
def test_a_jpeg_of_another_kind_is_refused_by_its_name(picture, kind):
    with pytest.raises(ImageUnsupported, match=f"This is {kind}"):
        decode_image(picture())


# Raw photographs


def raw_photograph(
    preview: bytes | None, *, kind: str = "DNG", orientation: int = 1, preview_at: str = "strip"
) -> bytes:
    """A raw photograph: a small copy first, then the sensor's values, then a preview."""
    sensor, small = bytes(64), bytes(range(16 * 12)) * 3
    head = b"II*\0" + bytes(4) + (b"CR\2\0" if kind == "CR2" else bytes(4))
    data = sensor + small + (preview or b"")
    sensor_at, small_at, preview_at_byte = 12, 12 + 64, 12 + 64 + len(small)
    start = 12 + len(data)
    sensor_entries = pictures.plain_entries(8, 8, _254=0, _262=32803, _273=sensor_at, _279=64)
    first = pictures.plain_entries(16, 12, _254=1, _262=2, _273=small_at, _274=orientation)
    first = [entry for entry in first if entry[0] not in (258, 277)]
    first += [(258, 3, 1, 8), (277, 3, 1, 3), (330, 4, 1, 0)]
    if kind == "DNG":
        first.append((50706, 1, 4, 0x0401))
    shown = [(254, 4, 1, 1), (256, 4, 1, 1), (257, 4, 1, 1)]
    if preview is not None and preview_at == "strip":
        shown += [(259, 3, 1, 7), (262, 3, 1, 6), (273, 4, 1, preview_at_byte)]
        shown += [(279, 4, 1, len(preview))]
    elif preview is not None:
        shown += [(513, 4, 1, preview_at_byte), (514, 4, 1, len(preview))]
    sensor_directory, shown_directory = (
        pictures.directory(*sorted(entries)) for entries in (sensor_entries, shown)
    )
    branches_at = start
    places = struct.pack("<II", start + 8, start + 8 + len(sensor_directory))
    first = [(330, 4, 2, branches_at) if entry[0] == 330 else entry for entry in first]
    behind = places + sensor_directory + shown_directory
    file = head + data + behind
    return file[:4] + struct.pack("<I", len(file)) + file[8:] + pictures.directory(*sorted(first))


@pytest.mark.parametrize("preview_at", ["strip", "tags"])
@pytest.mark.parametrize("kind", ["DNG", "CR2", "other"])
def test_a_raw_photograph_is_answered_from_its_large_preview(kind, preview_at):
    preview = encode(photo("RGB", 640, 480), "JPEG")

    decoded = decode_image(raw_photograph(preview, kind=kind, preview_at=preview_at))

    assert decoded.format == "RAW"
    assert (decoded.width, decoded.height) == (640, 480)
    assert decoded.pixels.tobytes() == pixels_of(preview)


@pytest.mark.parametrize("said_by", ["photograph", "preview"])
def test_the_preview_of_a_raw_photograph_comes_out_upright(said_by):
    exif = Image.Exif()
    exif[274] = 6
    image = photo("RGB", 640, 480)
    if said_by == "preview":
        picture = raw_photograph(encode(image, "JPEG", exif=exif))
    else:
        picture = raw_photograph(encode(image, "JPEG"), orientation=6)

    assert decode_image(picture).pixels.size == (480, 640)


@pytest.mark.parametrize(
    "preview", [None, (160, 120), b"\xff\xd8\xff\xe0"], ids=["none", "small", "damaged"]
)
def test_a_raw_photograph_without_a_large_preview_is_refused_by_its_name(preview):
    if isinstance(preview, tuple):
        preview = encode(photo("RGB", *preview), "JPEG")

    with pytest.raises(ImageUnsupported, match="a raw photograph of a camera without a large"):
        decode_image(raw_photograph(preview))


def test_the_lossless_picture_of_a_sensor_is_no_preview():
    sensor = bytearray(encode(photo("RGB", 640, 480), "JPEG"))
    sensor[sensor.index(b"\xff\xc0") + 1] = 0xC3

    with pytest.raises(ImageUnsupported, match="a raw photograph"):
        decode_image(raw_photograph(bytes(sensor)))


def test_a_preview_is_bound_by_the_limits_of_every_picture():
    with pytest.raises(InputError):
        decode_image(raw_photograph(pictures.announced_jpeg(30_000)))


def test_a_jpeg_opens_as_before():
    whole = encode(photo(), "JPEG", quality=95)
    expected = np.asarray(Image.open(io.BytesIO(whole)))

    assert (np.asarray(decode_image(whole).pixels) == expected).all()
