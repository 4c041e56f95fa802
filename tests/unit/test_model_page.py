"""The page about the model: which one is live, since when, what was before, and the canary."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.support.waiting import wait_until
from whatsit.access.page_tokens import PageTokens
from whatsit.classifier import Classifier
from whatsit.drift.watch import Watch
from whatsit.models.catalogue import bundled_folder
from whatsit.models.folder import ModelFolder
from whatsit.models.live import Canary, LiveAlias, LiveModel, LiveState, resolve_served
from whatsit.models.store import LIVE, ModelStore
from whatsit.service.follower import Follower
from whatsit.service.service import Service
from whatsit.service.workers import Workers
from whatsit.settings import Settings
from whatsit.telemetry.metrics import Telemetry
from whatsit.testing import FakeEngine
from whatsit.web.ui import bridge
from whatsit.web.ui.views.model import model_history


def script() -> None:
    """The page alone."""
    from whatsit.web.ui.bridge import running_service
    from whatsit.web.ui.pages import model

    model.render(running_service())


class ThousandClasses(FakeEngine):
    """As many outputs as the labels of the bundled model have."""

    num_classes = 1000

    def infer(self, pixels):
        logits = super().infer(pixels)
        return logits.repeat(334, axis=1)[:, :1000]


def open_classifier(folder: ModelFolder) -> Classifier:
    return Classifier(folder.card, folder.labels, ThousandClasses(), folder=folder.weights.parent)


@pytest.fixture
def alias(tmp_path: Path, workers: Workers) -> Iterator[LiveAlias]:
    """What is live, on a page that follows it."""
    from whatsit.running import Running

    store, alias, telemetry = ModelStore(tmp_path), LiveAlias(tmp_path), Telemetry()
    for name in ("petals.v1", "petals.v2"):
        store.add(bundled_folder(), name)
    alias.promote("petals.v1")
    found = resolve_served(store, tmp_path, LIVE)
    service = Service(open_classifier(found.folder), None, workers=workers)
    follower = Follower(alias, store, service, open_classifier, telemetry, look_seconds=0.02)
    follower.start()
    settings = Settings(store=tmp_path, model=LIVE)
    running = Running(
        service, found, store, telemetry, Watch(), None, None, settings, follower=follower
    )
    bridge.install(running, PageTokens())
    yield alias
    follower.close()


def shown() -> str:
    page = AppTest.from_function(script, default_timeout=20).run()
    assert not page.exception
    texts = [element.proto.body for element in page.get("html")]
    return "\n".join([*texts, *(warning.value for warning in page.warning)])


def test_the_page_follows_what_is_live(alias, tmp_path):
    assert "<dd>petals.v1</dd>" in shown()
    alias.promote("petals.v2")
    follower = bridge.running_service().service
    assert wait_until(lambda: follower.line_up.live.model.name == "petals.v2", 10)
    page = shown()

    assert "<dd>petals.v2</dd>" in page
    assert '<th scope="row">petals.v1</th><td>was live</td>' in page
    weights = tmp_path / "models" / "petals.v1" / "model.onnx"
    before = alias.file.read_bytes()
    alias.roll_back()
    assert wait_until(lambda: follower.line_up.live.model.name == "petals.v1", 10)
    rolled_back = alias.file.read_bytes()
    alias.file.write_bytes(before)
    assert wait_until(lambda: follower.line_up.live.model.name == "petals.v2", 10)
    weights.write_bytes(b"cut off")
    alias.file.write_bytes(rolled_back)
    note = "petals.v1 is live but can't be opened, so petals.v2 answers."
    assert wait_until(lambda: bridge.running_service().note == note, 10)
    assert note in shown()


def test_the_history_names_the_live_model_the_canary_and_those_before():
    state = LiveState(
        (LiveModel("b", "2026-02-01T10:00:00Z"), LiveModel("a", "2026-01-01T10:00:00Z")),
        Canary("<c>", "2026-03-01T10:00:00Z", 0.25),
    )
    rows = model_history(state).split("<tr>")[2:]

    assert [row.split("</td>")[0].split(">")[-1] for row in rows] == [
        "is live",
        "answers 25 % of the pictures, to be compared",
        "was live",
    ]
    assert "&lt;c&gt;" in rows[1]
    assert "2026-02-01 10:00:00 UTC" in rows[0]
    assert "the default one answers" in model_history(LiveState())
