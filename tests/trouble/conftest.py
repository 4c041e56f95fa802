"""What the tests of trouble share."""

from pathlib import Path

import pytest

from tests.support.private_redis import PrivateRedis


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what stands in this folder with nothing beside it."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.alone)


@pytest.fixture
def private_redis(tmp_path: Path) -> PrivateRedis:
    """A Redis of the test's own, not started yet."""
    return PrivateRedis(tmp_path)
