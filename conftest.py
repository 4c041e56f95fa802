"""Names that the examples in docstrings may use without importing them."""

from typing import Any

import pytest

from whatsit import testing
from whatsit.data import example_pictures
from whatsit.labels.label_set import LabelEntry, LabelSet


@pytest.fixture(autouse=True)
def _names_for_examples(doctest_namespace: dict[str, Any]) -> None:
    doctest_namespace.update(
        example_pictures=example_pictures,
        fake_classifier=testing.fake_classifier,
        plain_picture=testing.plain_picture,
        COLOURS=testing.COLOURS,
        LabelEntry=LabelEntry,
        LabelSet=LabelSet,
    )
