"""The server that all hostile things are sent to."""

from collections.abc import Iterator

import pytest

from tests.support.running import RunningServer, start_server


@pytest.fixture(scope="package")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The bundled model and the API alone."""
    home = tmp_path_factory.mktemp("hostile")
    with start_server(home, "--no-ui", model="efficientnet-lite2") as running:
        yield running
