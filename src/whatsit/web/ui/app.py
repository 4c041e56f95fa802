"""The page, from top to bottom. Streamlit runs this file for every interaction of a visitor."""

from pathlib import Path

import streamlit as st

from whatsit.data import example_pictures
from whatsit.errors import InputError, WhatsitError
from whatsit.images import encode_preview
from whatsit.service import Reply
from whatsit.web.ui import views
from whatsit.web.ui.bridge import running_service

PREVIEW_PIXELS = 960
PICTURE, REPLY = "picture", "reply"

running = running_service()


@st.cache_data
def _examples() -> dict[str, bytes]:
    return example_pictures()


@st.cache_data
def _example_style() -> str:
    return views.example_style(_examples())


def _answer(image_bytes: bytes) -> tuple[Reply, bytes]:
    reply = running.service.classify(image_bytes)
    preview = encode_preview(image_bytes, PREVIEW_PIXELS, max_pixels=running.settings.max_pixels)
    return reply, preview


def _take(image_bytes: bytes) -> None:
    """Answer a picture once, however often the page is drawn again."""
    try:
        st.session_state[REPLY] = _answer(image_bytes)
        st.session_state.pop("refusal", None)
    except WhatsitError as error:
        st.session_state.pop(REPLY, None)
        ours = "Something went wrong here, not with your picture. Please try again."
        st.session_state["refusal"] = error.detail if isinstance(error, InputError) else ours


def _take_upload() -> None:
    upload = st.session_state.get("upload")
    if upload is None:
        st.session_state.pop(REPLY, None)
        st.session_state.pop("refusal", None)
    else:
        _take(upload.getvalue())


st.set_page_config(
    page_title="whatsit", page_icon=str(Path(views.__file__).parent / "assets/mark.svg")
)
st.html(views.style(answered=REPLY in st.session_state))
st.html(views.header())

if running.model.note is not None:
    st.info(running.model.note, icon=":material/info:")

st.file_uploader("Drop a picture here, or browse for one", key="upload", on_change=_take_upload)

if "refusal" in st.session_state:
    st.error(st.session_state["refusal"], icon=":material/broken_image:")

if REPLY in st.session_state:
    reply, preview = st.session_state[REPLY]
    left, right = st.columns([5, 6], gap="medium")
    left.image(preview, alt=reply.prediction.answer.text)
    right.html(views.sentence(reply.prediction) + views.receipt(reply) + views.bars(reply.top))

st.html(_example_style())
st.header("Or try one of these" if REPLY not in st.session_state else "Try another", anchor=False)
with st.container(key="examples"):
    for column, (name, picture) in zip(st.columns(4), _examples().items(), strict=True):
        with column.container(key=f"example-{name}"):
            st.button(
                name.capitalize(),
                key=f"button-{name}",
                on_click=_take,
                args=(picture,),
                width="stretch",
            )

st.html(views.footer(running.service.classifier.card.description, "Nothing you upload is kept"))
