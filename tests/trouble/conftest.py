"""What the tests of trouble share."""

from pathlib import Path

import pytest

from tests.private_redis import PrivateRedis


@pytest.fixture
def private_redis(tmp_path: Path) -> PrivateRedis:
    """A Redis of the test's own, not started yet."""
    return PrivateRedis(tmp_path)
