"""What is whole but not read here is told by its kind, never as damage."""

import struct
import zlib
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from tests.hostile import pictures
from tests.hostile.pictures import bmp, encode, header, photo, png
from whatsit.errors import ImageUnreadable, ImageUnsupported
from whatsit.images.decode import decode_image

REST = bytes(200)
STRANGERS = {
    "JPEG XR": b"II\xbc\x01\x08\0\0\0" + REST,
    "BPG": b"BPG\xfb" + REST,
    "OpenEXR": b"\x76\x2f\x31\x01\2\0\0\0" + REST,
    "Radiance HDR": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n" + REST,
    "DirectDraw surface": b"DDS \x7c\0\0\0" + REST,
    "FITS": b"SIMPLE  =                    T" + REST,
    "DICOM": bytes(128) + b"DICM" + REST,
    "macOS icon": b"icns\0\0\1\0" + REST,
    "GIMP": b"gimp xcf v011\0" + REST,
    "portable any map": b"P7\nWIDTH 4\n" + REST,
    "portable greymap": b"P2\n3 1 4095\n0 2000 4095\n",
    "portable pixmap": b"P6\n1 1 1023\n" + bytes(6),
    "portable float map": b"PF\n1 1\n-1.0\n" + bytes(12),
    "AVI video": b"RIFF\xff\0\0\0AVI LIST" + REST,
    "sound file": b"RIFF\xff\0\0\0WAVEfmt " + REST,
    "QuickTime video": b"\0\0\0\x14ftypqt  " + REST,
    "H.264": b"\0\0\0\x18ftypavci\0\0\0\0mif1avci" + REST,
    "DjVu": b"AT&TFORM" + REST,
    "FLIF": b"FLIF41" + REST,
    "JPEG XL": b"\0\0\0\x0cJXL \r\n\x87\n" + REST,
    "Windows metafile": b"\xd7\xcd\xc6\x9a" + REST,
}
RAW_PHOTOGRAPHS = {
    "CR3": b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + REST,
    "CRW": b"II\x1a\0\0\0HEAPCCDR" + REST,
    "ORF": b"IIRO\x08\0\0\0" + REST,
    "RAF": b"FUJIFILMCCD-RAW 0201" + REST,
    "RW2": b"IIU\0\x08\0\0\0" + REST,
    "X3F": b"FOVb\0\0\1\0" + REST,
}


@pytest.mark.parametrize("kind", STRANGERS)
def test_a_file_of_another_kind_is_called_by_its_name(kind):
    with pytest.raises(ImageUnsupported, match=kind):
        decode_image(STRANGERS[kind])


@pytest.mark.parametrize("kind", RAW_PHOTOGRAPHS)
def test_a_raw_photograph_whose_preview_is_not_found_is_called_one(kind):
    with pytest.raises(ImageUnsupported, match="a raw photograph of a camera"):
        decode_image(RAW_PHOTOGRAPHS[kind])


@pytest.mark.parametrize("text", [b"P1ease read this", b"P6: a note", b"IMG_0001.jpg"])
def test_a_text_is_no_picture_because_of_two_letters(text):
    with pytest.raises(ImageUnreadable, match="in a known format"):
        decode_image(text)


@pytest.mark.parametrize(
    ("codec", "name"), [(b"avc1", "H.264"), (b"vvc1", "H.266"), (b"j2k1", "JPEG 2000")]
)
def test_a_heif_of_another_codec_is_refused_by_its_name(codec, name):
    whole = encode(photo(), "HEIC")

    with pytest.raises(ImageUnsupported, match=f"a HEIF picture coded as {name}"):
        decode_image(whole.replace(b"hvc1", codec, 1))


def test_a_heic_of_a_profile_that_no_decoder_here_knows_is_refused_by_it():
    whole = bytearray(encode(photo(), "HEIC"))
    whole[whole.index(b"hvcC") + 5] = 9  # contents of screens

    with pytest.raises(ImageUnsupported, match="a HEIC picture of HEVC profile 9"):
        decode_image(bytes(whole))


@pytest.mark.parametrize(
    ("picture", "kind"),
    [
        (bmp(2, 1, 4, encode(photo(), "JPEG"), 24), "a BMP file with a JPEG picture in it"),
        (bmp(2, 1, 5, encode(photo(), "PNG"), 24), "a BMP file with a PNG picture in it"),
        (bmp(2, 1, 0, bytes(16), 64), "a BMP picture of 64 bits a pixel"),
        (
            bmp(2, 1, 3, struct.pack("<3I2H", 0xF00, 0xF0, 0xF, 0xF00, 0xF0), 16),
            "a BMP picture with unusual places for its colours",
        ),
    ],
    ids=["JPEG", "PNG", "64-bit", "masks"],
)
def test_a_bmp_of_a_rare_kind_is_refused_by_its_name(picture, kind):
    with pytest.raises(ImageUnsupported, match=kind):
        decode_image(picture)


@pytest.mark.parametrize(
    ("masks", "depth"),
    [((0xF800, 0x7E0, 0x1F), 16), ((0x7C00, 0x3E0, 0x1F), 16), ((0xFF0000, 0xFF00, 0xFF), 32)],
)
def test_a_bmp_whose_colours_lie_in_usual_places_is_read(masks, depth):
    code = "I" if depth == 32 else "H"
    data = struct.pack(f"<3I{len(masks)}{code}", *masks, *masks)
    whole = bytearray(bmp(3, 1, 3, data, depth))
    whole[10:14] = struct.pack("<I", 54 + 12)  # pixels begin behind the masks

    pixels = np.asarray(decode_image(bytes(whole)).pixels)

    assert pixels.tolist() == [[[255, 0, 0], [0, 255, 0], [0, 0, 255]]]


# The transparent colour of a PNG


def line(depth: int, colour: int, pixels: bytes, transparent: bytes, width: int) -> Any:
    """Colours of a PNG of one line with a transparent colour."""
    picture = png(
        (b"IHDR", header(width, 1, depth, colour)),
        (b"tRNS", transparent),
        (b"IDAT", zlib.compress(b"\0" + pixels)),
        (b"IEND", b""),
    )
    return np.asarray(decode_image(picture).pixels)[0].tolist()


@pytest.mark.parametrize(
    ("depth", "pixels", "transparent", "greys"),
    [
        (1, b"\x40", 1, [0, 255]),
        (2, b"\x10", 1, [0, 255]),
        (2, b"\x60", 2, [85, 255]),
        (4, b"\x12", 1, [255, 34]),
        (4, b"\x2f", 2, [255, 255]),
        (8, b"\x09\x0a", 9, [255, 10]),
    ],
)
def test_the_transparent_grey_of_a_png_is_white_in_every_depth(depth, pixels, transparent, greys):
    found = line(depth, 0, pixels, struct.pack(">H", transparent), 2)

    assert found == [[grey] * 3 for grey in greys]


def test_the_transparent_colour_of_a_16_bit_png_is_white():
    pixels = struct.pack(">6H", 1_000, 2_000, 3_000, 9_000, 2_000, 3_000)

    found = line(16, 2, pixels, struct.pack(">3H", 1_000, 2_000, 3_000), 2)

    assert found == [[255, 255, 255], [35, 7, 11]]


def test_a_16_bit_colour_is_not_transparent_because_its_high_byte_looks_so():
    found = line(16, 2, struct.pack(">3H", 0x355, 0x355, 0x355), struct.pack(">3H", 3, 3, 3), 1)

    assert found == [[3, 3, 3]]


@pytest.mark.parametrize("content", [b"", b"\0", bytes(5), bytes(99)])
@pytest.mark.parametrize(("depth", "colour"), [(2, 0), (16, 2)])
def test_a_transparent_colour_of_a_wrong_size_is_no_crash(content, depth, colour):
    broken = pictures.flat_png(9, 9, depth, colour, pictures.chunk(b"tRNS", content))
    with suppress(ImageUnreadable):
        assert decode_image(broken).width == 9
