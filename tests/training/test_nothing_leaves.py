"""Training and importing ask nobody, and leave nothing outside the store and the work folder."""

from pathlib import Path

import pytest

from tests.observing import Observed

pytest.importorskip("keras")

pytestmark = [pytest.mark.training]


@pytest.fixture(scope="module")
def trained(few: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Observed:
    """All that loads a library of the extra: import, train, quantise and measure."""
    data, _ = few
    observed = Observed(tmp_path_factory.mktemp("trained"))
    store = ("--store", str(observed.store))
    observed.run("models", "import", "keras:MobileNetV2", "--weights", "random", *store)
    observed.run(
        *("pipeline", "run", "--data", str(data), "--work", str(observed.store / "work"), *store),
        *("--base", "efficientnet-lite2", "--name", "ours", "--licence", "none"),
        *("--epochs", "3", "--max-drop", "1", "--min-top1", "0", "--skip-promote"),
    )
    return observed


def test_nobody_is_asked(trained):
    assert trained.python_contacts() == []
    assert trained.native_contacts() == []


def test_nothing_stays_outside_the_store(trained):
    assert trained.new_files() == []
    # What is made on the way is in the temporary folder, and gone.
    temporary = str(trained.temporary)
    written = {*trained.python_writes(), *trained.native_writes()}
    # In a working copy the commit is noted; git then brings its own index up to date.
    written = {path for path in written if not path.startswith(temporary) and ".git/" not in path}
    assert written == set()
