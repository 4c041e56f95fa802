"""A picture in, a sentence out, and where the model looked."""

import logging
from dataclasses import dataclass
from functools import partial

import streamlit as st

from whatsit.bootstrap import Running
from whatsit.data import example_pictures
from whatsit.errors import ImageUnreadable
from whatsit.explain import draw_picture
from whatsit.images import encode_preview
from whatsit.service import Reply
from whatsit.web.ui import uploads, views

PREVIEW_PIXELS = 960

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Shown:
    """All that is kept of a picture that has been answered, as long as it is shown."""

    preview: bytes
    reply: Reply


def render(running: Running) -> None:
    """Draw the page."""
    if running.model.note is not None:
        st.info(running.model.note, icon=":material/info:")
    shown: _Shown | None = st.session_state.get("shown")
    with st.container(key="drop"):
        _draw_drop_zone(running)
    refused: views.Refusal | None = st.session_state.get("refusal")
    if refused is not None:
        st.error(refused.sentence, icon=refused.icon)
    if shown is not None:
        _draw_answer(running, shown)
    _draw_examples(running, is_first=shown is None)


def _draw_drop_zone(running: Running) -> None:
    uploads.admit_session()
    # A new key for every picture: the drop zone starts afresh, and the session lets go of the old.
    key = f"upload-{st.session_state.setdefault('uploads', 0)}"
    st.file_uploader(
        "Drop a picture here, or browse for one",
        key=key,
        on_change=_take_upload,
        args=(running, key),
    )


def _draw_answer(running: Running, shown: _Shown) -> None:
    prediction = shown.reply.prediction
    left, right = st.columns([5, 6], gap="medium")
    right.html(views.sentence(prediction) + views.receipt(shown.reply))
    right.html(views.path(prediction.answer) + views.bars(shown.reply.top))
    if left.toggle("Why?", help="Show where the model looked."):
        label = left.selectbox("What speaks for", [entry.label for entry in shown.reply.top])
        try:
            overlay = _explain(running, shown.preview, label)
        except Exception as error:  # noqa: BLE001 - the outermost handler: the answer stays
            refused = _refusal(error)
            left.error(refused.sentence, icon=refused.icon)
        else:
            alt = f"The same picture; what speaks for {label} is bright."
            left.html(views.picture(overlay, alt))
    else:
        left.html(views.picture(shown.preview, prediction.answer.text))


def _explain(running: Running, preview: bytes, label: str) -> bytes:
    max_pixels = running.settings.max_pixels
    work = partial(running.service.explain, preview, label=label)
    heat_map = running.service.workers.submit(work).result().heat_map
    overlay = draw_picture(preview, heat_map, max_pixels=max_pixels)
    return encode_preview(overlay, PREVIEW_PIXELS, max_pixels=max_pixels)


def _draw_examples(running: Running, *, is_first: bool) -> None:
    st.html(_example_style())
    st.header("Or try one of these" if is_first else "Try another", anchor=False)
    with st.container(key="examples"):
        for column, (name, picture) in zip(st.columns(4), _examples().items(), strict=True):
            with column.container(key=f"example-{name}"):
                st.button(
                    name.capitalize(),
                    key=f"button-{name}",
                    on_click=_take,
                    args=(running, picture),
                    width="stretch",
                )


def _take_upload(running: Running, key: str) -> None:
    _take(running, uploads.take_upload(key))


def _take(running: Running, image_bytes: bytes | None) -> None:
    """Answer a picture once, however often the page is drawn again."""
    st.session_state.pop("shown", None)
    st.session_state.pop("refusal", None)
    st.session_state["uploads"] += 1
    try:
        if image_bytes is None:
            raise ImageUnreadable("The picture waited too long and was dropped. Please try again.")
        reply = running.service.classify(image_bytes)
        preview = encode_preview(
            image_bytes, PREVIEW_PIXELS, max_pixels=running.settings.max_pixels
        )
        st.session_state["shown"] = _Shown(preview, reply)
    except Exception as error:  # noqa: BLE001 - the outermost handler: the page stays usable
        st.session_state["refusal"] = _refusal(error)


def _refusal(error: Exception) -> views.Refusal:
    refusal = views.refusal(error)
    if refusal is None:
        _log.error("A picture on the page could not be answered.", exc_info=error)
        return views.OUR_FAULT
    return refusal


@st.cache_data
def _examples() -> dict[str, bytes]:
    return example_pictures()


@st.cache_data
def _example_style() -> str:
    return views.example_style(_examples())
