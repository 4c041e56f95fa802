"""A picture in, a sentence out, and where the model looked."""

from dataclasses import dataclass

import streamlit as st

from whatsit.bootstrap import Running
from whatsit.data import example_pictures
from whatsit.errors import InputError, WhatsitError
from whatsit.explain import draw_picture
from whatsit.images import encode_preview
from whatsit.service import Reply
from whatsit.web.ui import views

PREVIEW_PIXELS = 960


@dataclass(frozen=True)
class _Shown:
    """A picture that has been answered, as long as it is shown."""

    image_bytes: bytes
    reply: Reply
    preview: bytes


def render(running: Running) -> None:
    """Draw the page."""
    if running.model.note is not None:
        st.info(running.model.note, icon=":material/info:")
    shown: _Shown | None = st.session_state.get("shown")
    if shown is not None:
        st.html(views.small_drop_zone())
    st.file_uploader(
        "Drop a picture here, or browse for one",
        key="upload",
        on_change=_take_upload,
        args=(running,),
    )
    if "refusal" in st.session_state:
        st.error(st.session_state["refusal"], icon=":material/broken_image:")
    if shown is not None:
        _draw_answer(running, shown)
    _draw_examples(running, is_first=shown is None)


def _draw_answer(running: Running, shown: _Shown) -> None:
    prediction = shown.reply.prediction
    left, right = st.columns([5, 6], gap="medium")
    right.html(views.sentence(prediction) + views.receipt(shown.reply))
    right.html(views.path(prediction.answer) + views.bars(shown.reply.top))
    if left.toggle("Why?", help="Show where the model looked."):
        label = left.selectbox("What speaks for", [entry.label for entry in shown.reply.top])
        explanation = running.service.explain(shown.image_bytes, label=label)
        overlay = draw_picture(
            shown.image_bytes, explanation.heat_map, max_pixels=running.settings.max_pixels
        )
        left.image(overlay, alt=f"The same picture; what speaks for {label} is bright.")
    else:
        left.image(shown.preview, alt=prediction.answer.text)


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


def _take_upload(running: Running) -> None:
    upload = st.session_state.get("upload")
    if upload is None:
        st.session_state.pop("shown", None)
        st.session_state.pop("refusal", None)
    else:
        _take(running, upload.getvalue())


def _take(running: Running, image_bytes: bytes) -> None:
    """Answer a picture once, however often the page is drawn again."""
    st.session_state.pop("shown", None)
    st.session_state.pop("refusal", None)
    try:
        reply = running.service.classify(image_bytes)
        preview = encode_preview(
            image_bytes, PREVIEW_PIXELS, max_pixels=running.settings.max_pixels
        )
        st.session_state["shown"] = _Shown(image_bytes, reply, preview)
    except WhatsitError as error:
        ours = "Something went wrong here, not with your picture. Please try again."
        st.session_state["refusal"] = error.detail if isinstance(error, InputError) else ours


@st.cache_data
def _examples() -> dict[str, bytes]:
    return example_pictures()


@st.cache_data
def _example_style() -> str:
    return views.example_style(_examples())
