"""Whether the models still see: accuracy over HTTP, and answers that survive another format."""

import csv
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pillow_heif
import pytest
from PIL import Image

from tests.integration.test_api import CLASSIFY
from tests.support.running import RunningServer
from whatsit.data import example_pictures

FLOORS = [
    # Measured in float32 with the models' standard preprocessing: 0.809 and 0.920, 0.811 and 0.907.
    ("resnet_server", "val650", 0.80),
    ("resnet_server", "photos300", 0.91),
    ("server", "val650", 0.80),
    ("server", "photos300", 0.895),
]


@pytest.mark.shared
@pytest.mark.parametrize(("fixture", "dataset", "floor"), FLOORS)
def test_top_1_over_http(request, shared, fixture, dataset, floor):
    server: RunningServer = request.getfixturevalue(fixture)
    folder = shared / "images" / dataset
    with (folder / "labels.csv").open() as table:
        rows = [(row["file"], int(row["class_index"])) for row in csv.DictReader(table)]

    with server.client() as client, ThreadPoolExecutor(4) as threads:
        best = list(threads.map(lambda row: best_index(client, folder / row[0]), rows))

    right = [got == wanted for got, (_, wanted) in zip(best, rows, strict=True)]
    top_1 = sum(right) / len(right)
    assert top_1 >= floor, f"top-1 {top_1:.4f} on {len(right)} pictures"


def best_index(client: httpx.Client, file: Path) -> int:
    response = client.post(CLASSIFY, content=file.read_bytes(), params={"top_k": 1})
    assert response.status_code == 200, response.text
    return int(response.json()["top"][0]["index"])


def encode(image: Image.Image, image_format: str, **options: object) -> bytes:
    target = io.BytesIO()
    if image_format == "HEIC":
        pillow_heif.from_pillow(image).save(target, quality=90)
    else:
        image.save(target, image_format, **options)
    return target.getvalue()


def turned_by_exif(image: Image.Image, orientation: int) -> bytes:
    """The same picture, stored turned, with the orientation that turns it back."""
    inverse = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = image.transpose(inverse[orientation]) if orientation in inverse else image
    return encode(stored, "JPEG", quality=95, exif=exif.tobytes())


def require_same_best_label(
    server: RunningServer, original: bytes, copies: dict[str, bytes]
) -> None:
    with server.client() as client:
        wanted = client.post(CLASSIFY, content=original).json()
        for name, copy in copies.items():
            got = client.post(CLASSIFY, content=copy).json()
            assert got["top"][0]["index"] == wanted["top"][0]["index"], name
            assert (got["image"]["width"], got["image"]["height"]) == (
                wanted["image"]["width"],
                wanted["image"]["height"],
            ), name


@pytest.mark.parametrize("name", ["bee", "coffee"])
def test_all_eight_orientations_give_the_same_best_label(server, name):
    original = example_pictures()[name]
    image = Image.open(io.BytesIO(original))
    copies = {f"orientation {number}": turned_by_exif(image, number) for number in range(1, 9)}

    require_same_best_label(server, original, copies)


@pytest.mark.parametrize("name", ["bee", "coffee"])
def test_copies_in_other_formats_give_the_same_best_label(server, name):
    original = example_pictures()[name]
    image = Image.open(io.BytesIO(original))
    formats = ("PNG", "WEBP", "HEIC", "AVIF", "BMP", "TIFF")

    require_same_best_label(server, original, {kind: encode(image, kind) for kind in formats})
