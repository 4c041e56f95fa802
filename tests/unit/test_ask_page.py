"""The page that takes pictures, run as Streamlit runs it but without a browser."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest
from streamlit.vendor.pympler.asizeof import asizeof

from whatsit.answer import Logits
from whatsit.bootstrap import Running
from whatsit.data import example_pictures
from whatsit.errors import Overloaded
from whatsit.explain import explain
from whatsit.images import encode_preview
from whatsit.models.store import ModelStore, resolve_model
from whatsit.preprocess import ImageHWC
from whatsit.service import Service
from whatsit.settings import Settings
from whatsit.telemetry import Telemetry
from whatsit.testing import FakeEngine, fake_classifier, plain_picture
from whatsit.web.ui import bridge
from whatsit.web.ui.pages import ask
from whatsit.workers import Workers

OpenPage = Callable[[FakeEngine], AppTest]


class FailingEngine(FakeEngine):
    """Fails as it is told to, until it is told nothing."""

    def __init__(self, error: Exception | None) -> None:
        super().__init__()
        self.error = error

    def infer(self, pixels: ImageHWC) -> Logits:
        if self.error is not None:
            raise self.error
        return super().infer(pixels)


def script() -> None:
    """The page, and below it how many bytes of uploads the server holds for its session."""
    import streamlit as st
    from streamlit.runtime.scriptrunner import get_script_run_ctx

    from whatsit.web.ui.bridge import running_service
    from whatsit.web.ui.pages import ask

    ask.render(running_service())
    context = get_script_run_ctx()
    assert context is not None
    files = context.uploaded_file_mgr.file_storage.get(context.session_id, {})  # type: ignore[attr-defined]
    st.text(f"holds {sum(len(file.data) for file in files.values())} bytes")


@pytest.fixture
def open_page(tmp_path: Path, workers: Workers) -> OpenPage:
    def open_page(engine: FakeEngine) -> AppTest:
        store = ModelStore(tmp_path)
        bridge.install(
            Running(
                Service(fake_classifier(engine), None, workers=workers),
                resolve_model(store, "efficientnet-lite2"),
                store,
                Telemetry(),
                None,
                None,
                Settings(store=tmp_path, model="efficientnet-lite2"),
            )
        )
        return AppTest.from_function(script, default_timeout=20).run()

    return open_page


def upload(page: AppTest, image_bytes: bytes, name: str = "picture.png") -> AppTest:
    return page.file_uploader[0].set_value((name, image_bytes, "image/png")).run()


def html_of(page: AppTest) -> str:
    return "".join(element.proto.body for element in page.get("html"))


def noise(side: int) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "PNG", compress_level=0)
    return encoded.getvalue()


def session_bytes(page: AppTest) -> int:
    """Memory of everything that the visitor's session holds."""
    state = page.session_state._state._state
    return int(
        asizeof([state._old_state, state._new_session_state, state._new_widget_state.states])
    )


def test_an_upload_is_gone_from_the_store_and_the_session_once_it_is_answered(open_page):
    page = upload(open_page(FakeEngine()), noise(1000))

    assert "Computed in" in html_of(page)
    assert page.text[0].value == "holds 0 bytes"
    assert session_bytes(page) < 1_000_000, "the picture has 3 MB, its preview 0.5"
    assert page.file_uploader[0].value is None


def test_a_refused_upload_is_gone_from_the_store(open_page):
    page = upload(open_page(FakeEngine()), b"These are notes, not a picture.")

    assert "not a picture" in page.error[0].value
    assert page.text[0].value == "holds 0 bytes"
    assert page.file_uploader[0].value is None


def test_the_same_file_can_be_sent_twice(open_page):
    engine = FakeEngine()
    page = open_page(engine)
    for expected in (1, 2):
        page = upload(page, plain_picture("red"))
        assert engine.calls == expected
        assert "A red thing" in html_of(page)


def test_the_preview_carries_no_metadata(open_page):
    image = Image.new("RGB", (64, 48), "red")
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", exif=exif, comment=b"by me")
    page = upload(open_page(FakeEngine()), encoded.getvalue())

    preview = page.session_state["shown"].preview
    assert b"taken at home" in encoded.getvalue()
    assert b"taken at home" not in preview
    assert b"by me" not in preview


def test_overload_is_said_with_the_time_to_wait_and_the_next_picture_is_answered(open_page):
    engine = FailingEngine(Overloaded(2.4))
    page = upload(open_page(engine), plain_picture("red"))
    assert "Try again in 3 s." in page.error[0].value
    assert not page.exception

    engine.error = None
    page = upload(page, plain_picture("red"))
    assert not page.error
    assert "A red thing" in html_of(page)


def test_any_other_failure_leaves_the_page_usable_and_is_logged(open_page, caplog):
    page = upload(open_page(FailingEngine(RuntimeError("secret path /x"))), plain_picture("red"))

    assert page.error[0].value == (
        "Something went wrong here, not with your picture. Please try again."
    )
    assert not page.exception
    assert page.text[0].value == "holds 0 bytes"
    assert len(page.button) == 4
    assert "secret path" in caplog.text


def test_a_failing_explanation_leaves_the_answer(open_page):
    engine = FailingEngine(None)
    page = upload(open_page(engine), plain_picture("red"))
    engine.error = Overloaded(1)
    page = page.toggle[0].set_value(True).run()

    assert "Try again in 1 s." in page.error[0].value
    assert "A red thing" in html_of(page)


@pytest.mark.parametrize("name", ["bee", "cat", "citrus", "coffee"])
def test_a_preview_is_explained_as_its_picture_is(bundled, name):
    large = io.BytesIO()
    picture = Image.open(io.BytesIO(example_pictures()[name])).convert("RGB")
    picture.resize((picture.width * 4, picture.height * 4)).save(large, "JPEG", quality=95)
    preview = encode_preview(large.getvalue(), ask.PREVIEW_PIXELS, max_pixels=50_000_000)
    original = explain(bundled, large.getvalue())
    shown = explain(bundled, preview, original.index)

    correlation = np.corrcoef(original.grid.ravel(), shown.grid.ravel())[0, 1]
    assert correlation > 0.99, "measured: 0.997 and more"
