"""A pipeline of two jobs, and a folder for it to read."""

from pathlib import Path

import pytest

from tests.azure_ml.definitions import SmallPipeline


@pytest.fixture
def small(tmp_path: Path) -> SmallPipeline:
    """The pipeline's YAML, not yet written."""
    folder = tmp_path / "pipeline"
    folder.mkdir()
    return SmallPipeline(folder)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder whose name has a space."""
    folder = tmp_path / "my data"
    folder.mkdir()
    for name in ("a.txt", "b.txt"):
        (folder / name).touch()
    return folder
