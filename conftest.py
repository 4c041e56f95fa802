"""What holds for every run of the tests, and the names that examples in docstrings may use."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.selection import STRICT, SkipWatch, mark_extended
from whatsit import testing
from whatsit.data import example_pictures
from whatsit.labels.label_set import LabelEntry, LabelSet


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run refuse skips that nobody expected."""
    parser.addoption(STRICT, action="store_true", help="See tests/allowed_skips.txt.")


def pytest_configure(config: pytest.Config) -> None:
    """Watch the skips where that was asked for, in the process that reports."""
    if config.getoption(STRICT) and not hasattr(config, "workerinput"):
        allowed = Path(__file__).parent / "tests" / "allowed_skips.txt"
        config.pluginmanager.register(SkipWatch(allowed))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what only ``make test-all`` runs."""
    mark_extended(items)


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
