"""What holds of any bytes whatever; tried briefly by the tests, and for minutes by `make fuzz`."""

import io
import struct
import time
from functools import cache

import httpx
from hypothesis import strategies as st
from PIL import Image

from tests.hostile.pictures import base_pictures, chunk, directory, riff, segment
from tests.hostile.requests import CAT, CLASSIFY
from whatsit.errors import InputError
from whatsit.images.decode import decode_image, encode_preview
from whatsit.web.api.schemas import ClassifyDocument, ProblemDocument

MAX_PIXELS = 300_000
PATIENCE_SECONDS = 5.0


@cache
def _bases() -> tuple[bytes, ...]:
    return tuple(whole for _, whole in base_pictures())


_starts = st.sampled_from(
    [
        *(b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0", b"MM\0*"),
        *(
            b"II+\0\x08\0\0\0",
            b"RIFF\0\0\0\0WEBPVP8 ",
            b"\0\0\0\x18ftypavif",
            b"\0\0\0\x18ftypheic",
        ),
    ]
)
any_bytes = st.builds(bytes.__add__, _starts, st.binary(max_size=600))
"""Noise, most of it with the first bytes of a picture."""


@st.composite
def mutated_pictures(draw: st.DrawFn) -> bytes:
    """A good picture in which some places are changed, left out or doubled."""
    picture = bytearray(draw(st.sampled_from(_bases())))
    for _ in range(draw(st.integers(1, 6))):
        # Headers break in more ways than pixels do.
        reach = min(len(picture), draw(st.sampled_from([64, 400, len(picture)])))
        at = draw(st.integers(0, max(0, reach - 1)))
        length = draw(st.integers(0, 12))
        picture[at : at + length] = draw(st.binary(max_size=16))
    return bytes(picture)


_numbers = st.sampled_from([0, 1, 2, 3, 8, 16, 255, 256, 1000, 2**16 - 1, 2**31, 2**32 - 1])
_tags = st.sampled_from(
    [254, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325,
     330, 338, 339, 347, 530, 700, 34665]
)  # fmt: skip
_entries = st.tuples(_tags, st.integers(0, 20), _numbers, _numbers)
_tiffs = st.builds(
    lambda entries, data: b"II*\0\x08\0\0\0" + directory(*sorted(entries)) + data,
    st.lists(_entries, max_size=20),
    st.binary(max_size=200),
)
_pngs = st.builds(
    lambda size, rest: b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + b"".join(rest),
    st.builds(
        lambda width, height, more: struct.pack(">II", width, height) + bytes(more),
        _numbers,
        _numbers,
        st.lists(st.sampled_from([0, 1, 2, 3, 4, 6, 8, 16]), min_size=5, max_size=5),
    ),
    st.lists(
        st.builds(
            chunk,
            st.sampled_from([b"IDAT", b"PLTE", b"tRNS", b"eXIf", b"zTXt", b"iTXt", b"IEND"]),
            st.binary(max_size=60),
        ),
        max_size=8,
    ),
)
_jpegs = st.builds(
    lambda segments: b"\xff\xd8" + b"".join(segments),
    st.lists(
        st.builds(
            segment, st.sampled_from([*range(0xC0, 0xE3), 0xEE, 0xFE]), st.binary(max_size=40)
        ),
        max_size=10,
    ),
)
_webps = st.builds(
    lambda chunks: riff(*chunks),
    st.lists(
        st.tuples(
            st.sampled_from([b"VP8 ", b"VP8L", b"VP8X", b"ANIM", b"ANMF", b"EXIF", b"ICCP"]),
            st.binary(max_size=60),
        ),
        max_size=6,
    ),
)


def _box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I", len(body) + 8) + kind + body


_film_boxes = st.builds(
    lambda brand, items, places, data: (
        _box(b"ftyp", brand, bytes(4))
        + _box(b"meta", bytes(4), _box(b"iinf", *items), _box(b"iloc", places), _box(b"idat", data))
    ),
    st.sampled_from([b"avif", b"avis", b"heic", b"mif1"]),
    st.lists(st.binary(max_size=30), max_size=4),
    st.binary(max_size=60),
    st.binary(max_size=60),
)
built_pictures = st.one_of(_tiffs, _pngs, _jpegs, _webps, _film_boxes)
"""Files of the right parts, filled with the wrong numbers."""

pictures = st.one_of(any_bytes, mutated_pictures(), built_pictures)


def require_picture_or_refusal(picture: bytes, shorter_side: int | None) -> None:
    """Any bytes are decoded within the limits, or refused with a sentence."""
    started = time.perf_counter()
    decoded, refusal = None, "."
    try:
        decoded = decode_image(picture, shorter_side=shorter_side, max_pixels=MAX_PIXELS)
    except InputError as error:
        refusal = error.detail
    assert time.perf_counter() - started < PATIENCE_SECONDS
    assert refusal.endswith(".")
    if decoded is None:
        return
    assert decoded.pixels.mode == "RGB"
    assert 1 <= decoded.width * decoded.height <= MAX_PIXELS
    assert all(side >= 1 for side in decoded.pixels.size)
    assert decoded.pixels.width <= decoded.width
    assert decoded.pixels.height <= decoded.height


def require_preview_or_refusal(picture: bytes, max_side: int) -> None:
    """Any bytes have a preview no larger than asked for, or are refused."""
    try:
        preview = encode_preview(picture, max_side, max_pixels=MAX_PIXELS)
    except InputError:
        return
    assert max(Image.open(io.BytesIO(preview)).size) <= max_side


# Forms

_words = st.sampled_from(
    [
        *(
            b"--edge",
            b"--edge--",
            b"\r\n",
            b"\r\n\r\n",
            b"\n",
            b"--",
            b"\r",
            b":",
            b";",
            b"=",
            b'"',
        ),
        *(b"Content-Disposition: form-data", b'; name="file"', b'; filename="a"', b"name=file"),
        *(
            b"; filename*=UTF-8''%ff",
            b"Content-Type: image/jpeg",
            b"\0",
            b"\xff",
            CAT,
            b"x" * 9_000,
        ),
    ]
)
_charsets = st.sampled_from(
    ["utf-8", "utf-16", "utf-7", "idna", "punycode", "undefined", "rot13", "hex", "mbcs", "cp037"]
)
form_types = st.one_of(
    st.just("multipart/form-data; boundary=edge"),
    st.builds("multipart/form-data; boundary=edge; charset={}".format, _charsets),
    st.builds(
        "multipart/form-data{}".format, st.text(st.characters(min_codepoint=32, max_codepoint=126))
    ).map(str.strip),
)
form_bodies = st.builds(
    lambda start, parts, end: start + b"".join(parts) + end,
    st.sampled_from([b"", b"--edge\r\nContent-Disposition: form-data", b"--edge\r\n"]),
    st.lists(st.one_of(_words, st.binary(max_size=20)), max_size=14),
    st.sampled_from([b"", b"\r\n--edge--\r\n"]),
)


def require_answer_or_refusal(
    client: httpx.Client, content_type: str, body: bytes, pieces: int
) -> None:
    """Any form, however it is cut into chunks, is answered or refused with a sentence."""
    step = max(1, -(-len(body) // pieces))
    chunks = (body[at : at + step] for at in range(0, len(body), step))
    response = client.post(CLASSIFY, content=chunks, headers={"Content-Type": content_type.strip()})
    if response.status_code == 200:
        ClassifyDocument.model_validate(response.json())
    else:
        assert response.status_code < 500, response.text
        assert ProblemDocument.model_validate(response.json()).status == response.status_code
