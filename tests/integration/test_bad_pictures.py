"""Every bad picture gets a sentence, and the server is none the worse for it."""

import io
import os
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.hostile.pictures import twelve_bits
from tests.integration.test_api import CLASSIFY, require_problem
from tests.support.running import RunningServer
from tests.support.tiffs import DEFLATE, FLOATING, RGB, write_tiff
from whatsit.data import example_pictures

MB = 1_000_000


def png_header(width: int, height: int) -> bytes:
    """A PNG that announces a size and then holds almost nothing."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


def big_but_valid_png(side: int) -> bytes:
    """A small file that really decodes to so many pixels."""
    encoded = io.BytesIO()
    Image.new("1", (side, side)).save(encoded, "PNG")
    return encoded.getvalue()


CAT = example_pictures()["cat"]
FLOATING_COLOURS = write_tiff(np.zeros((9, 9, 3)), bits=32, colours=RGB, number_format=FLOATING)
BAD_PICTURES = {
    "truncated JPEG": (CAT[: len(CAT) // 2], 400, "image_unreadable"),
    "only a JPEG header": (CAT[:20], 400, "image_unreadable"),
    "empty": (b"", 400, "image_unreadable"),
    "random": (os.urandom(50_000), 400, "image_unreadable"),
    "text": (b"This is not a picture.\n" * 50, 400, "image_unreadable"),
    "HTML": (b"<!doctype html><p>Not found</p>", 400, "image_unreadable"),
    "JSON": (b'{"image": "cat.jpg"}', 400, "image_unreadable"),
    "SVG": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', 415, "image_unsupported"),
    "PDF": (b"%PDF-1.7\n%binary\n", 415, "image_unsupported"),
    "video": (b"\0\0\0\x20ftypisom" + b"\0" * 200, 415, "image_unsupported"),
    "ZIP": (b"PK\x03\x04" + b"\0" * 200, 415, "image_unsupported"),
    "JPEG of 12 bits": (twelve_bits(), 415, "image_unsupported"),
    "TIFF of floating-point colours": (FLOATING_COLOURS, 415, "image_unsupported"),
    "raw photograph": (b"FUJIFILMCCD-RAW 0201" + b"\0" * 200, 415, "image_unsupported"),
    "900 megapixels announced": (png_header(30_000, 30_000), 413, "image_too_many_pixels"),
    "60 megapixels for real": (big_but_valid_png(7_750), 413, "image_too_many_pixels"),
    "25 MB": (os.urandom(25 * MB), 413, "image_too_large"),
    "25 MB of a good picture and padding": (CAT + b"\0" * 25 * MB, 413, "image_too_large"),
}


@pytest.mark.parametrize("name", BAD_PICTURES)
@pytest.mark.parametrize("sent_as", ["raw", "form"])
def test_a_bad_picture_is_refused_with_a_sentence(server: RunningServer, name, sent_as):
    picture, status, code = BAD_PICTURES[name]
    with server.client() as client:
        if sent_as == "raw":
            response = client.post(CLASSIFY, content=picture)
        else:
            response = client.post(CLASSIFY, files={"file": ("../../etc/passwd", picture)})
        problem = require_problem(response, status, code)
        good = client.post(CLASSIFY, content=CAT, params={"cache": "bypass"})

    assert problem.detail.endswith(".")
    assert "/" not in problem.detail.replace("WHATSIT_", "")
    assert "cat" in good.json()["answer"]["label"]


def test_all_of_them_together_cost_little_memory(server: RunningServer):
    with server.client() as client:
        client.post(CLASSIFY, content=CAT, params={"cache": "bypass"})
        before = server.resident_bytes()
        highest = before
        for picture, status, _ in BAD_PICTURES.values():
            assert client.post(CLASSIFY, content=picture).status_code == status
            highest = max(highest, server.resident_bytes())

    assert highest - before < 300 * MB


def test_a_form_that_breaks_off_is_refused(server: RunningServer):
    body = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc'
    headers = {"Content-Type": "multipart/form-data; boundary=edge"}
    with server.client() as client:
        response = client.post(CLASSIFY, content=body, headers=headers)

    assert 400 <= response.status_code < 500
    assert response.headers["content-type"] == "application/problem+json"


def test_a_form_without_a_boundary_is_refused(server: RunningServer):
    with server.client() as client:
        response = client.post(
            CLASSIFY, content=b"abc", headers={"Content-Type": "multipart/form-data"}
        )

    require_problem(response, 400, "image_unreadable")


def test_a_picture_that_lacks_only_its_end_or_lies_in_planes_is_answered_alike(
    server: RunningServer,
):
    pixels = np.asarray(Image.open(io.BytesIO(CAT)).convert("RGB").resize((300, 240)))
    layouts: tuple[dict[str, Any], ...] = (
        {},
        {"planar": True},
        {"planar": True, "order": ">", "compression": DEFLATE},
    )
    wide = [
        write_tiff(pixels.astype(np.int64) * 257, bits=16, colours=RGB, **layout)
        for layout in layouts
    ]
    with server.client() as client:
        for alike in ([CAT, CAT[:-2]], wide):
            answers = [
                client.post(CLASSIFY, content=each, params={"cache": "bypass"}).json()["answer"]
                for each in alike
            ]
            assert "cat" in answers[0]["label"]
            assert all(answer == answers[0] for answer in answers)
