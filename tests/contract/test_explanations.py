"""However a heat map is made, it keeps the same promises."""

from collections.abc import Iterator

import numpy as np
import pytest

from whatsit.classifier import Classifier
from whatsit.data import example_pictures
from whatsit.engines import open_engine
from whatsit.engines.base import Explainable
from whatsit.explain import explain
from whatsit.images.preprocess import to_batch
from whatsit.models.catalogue import bundled_folder
from whatsit.models.folder import open_folder
from whatsit.testing import fake_classifier

BEE = 309


@pytest.fixture(scope="module", params=["openvino", "onnxruntime", "fake"])
def classifier(request: pytest.FixtureRequest) -> Iterator[Classifier]:
    if request.param == "fake":
        yield fake_classifier()
        return
    with Classifier.from_folder(open_folder(bundled_folder()), engine=request.param) as classifier:
        yield classifier


@pytest.fixture
def bee() -> bytes:
    return example_pictures()["bee"]


@pytest.fixture
def index(classifier: Classifier) -> int:
    return BEE if len(classifier.labels) > BEE else 0


def test_the_grid_goes_from_0_to_1_and_lies_within_the_picture(classifier, bee, index):
    heat_map = explain(classifier, bee, index, budget_seconds=0)
    grid = heat_map.grid

    assert grid.dtype == np.float32
    assert grid.ndim == 2
    assert min(grid.shape) >= 4
    assert grid.min() >= 0
    assert grid.max() == 1
    left, top, right, bottom = heat_map.box
    assert 0 <= left < right <= heat_map.image.width
    assert 0 <= top < bottom <= heat_map.image.height
    assert heat_map.label == classifier.labels.entries[index].label


def test_the_same_picture_gives_the_same_map(classifier, bee, index):
    first, second = (explain(classifier, bee, index, budget_seconds=0) for _ in range(2))

    np.testing.assert_array_equal(first.grid, second.grid)


def test_without_a_label_the_best_one_is_explained(classifier, bee):
    heat_map = explain(classifier, bee, budget_seconds=0)

    assert heat_map.index == classifier.classify(bee).top[0].index


def test_the_method_is_told(classifier, bee):
    method = "activation" if isinstance(classifier.engine, Explainable) else "occlusion"

    assert explain(classifier, bee, budget_seconds=0).method == method


def test_features_come_with_the_logits_of_the_plain_engine():
    model = open_folder(bundled_folder())
    engine = open_engine("openvino", model.weights, model.card)
    assert isinstance(engine, Explainable)
    maps = engine.feature_maps()
    assert maps is not None
    size = model.card.input.size
    pixels = np.random.default_rng(3).integers(0, 256, (size, size, 3), dtype=np.uint8)

    logits, features = maps.infer(to_batch(pixels, model.card.input))

    assert maps.class_weights.shape == (1000, 1280)
    assert features.shape == (1, 1280, 9, 9)
    # bfloat16 and int8 kernels may be chosen differently with another output.
    assert np.abs(logits - engine.infer(pixels)).max() < 0.05 * np.ptp(logits)
    assert engine.feature_maps() is maps
    engine.close()
