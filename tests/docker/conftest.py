"""The page in a container is opened in a browser of this machine."""

from tests.e2e.conftest import browser

__all__ = ["browser"]
