"""A small data set of real pictures: two of the bundled examples, seen in many ways."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from whatsit.data import example_pictures
from whatsit.pipeline.prepare import prepare

_PER_CLASS = 14
_SIDE = 96


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A data folder with two classes of 14 pictures each, and the folder of its manifest."""
    data = tmp_path_factory.mktemp("few")
    rng = np.random.default_rng(0)
    for name, label in (("coffee", "espresso"), ("citrus", "lemon")):
        (data / label).mkdir()
        picture = Image.open(io.BytesIO(example_pictures()[name])).convert("RGB")
        for number in range(_PER_CLASS):
            left, top = (rng.uniform(0, 0.4) * side for side in picture.size)
            box = (left, top, left + 0.6 * picture.width, top + 0.6 * picture.height)
            view = picture.resize((_SIDE, _SIDE), box=box)
            view.save(data / label / f"{number}.jpg", quality=90)
    manifest = tmp_path_factory.mktemp("few-manifest")
    prepare(data, manifest)
    return data, manifest
