"""The model's card in words, with what was measured and what it can't do."""

import streamlit as st

from whatsit.images.decode import encode_preview
from whatsit.running import Running
from whatsit.web.ui.views.model import (
    model_facts,
    model_history,
    model_limits,
    model_promises,
    picture,
)

RELIABILITY_FILE = "reliability.png"
"""Drawn by ``whatsit models calibrate``; a model folder may hold one."""


def render(running: Running) -> None:
    """Draw the page."""
    serving = running.service.line_up.live
    classifier, card = serving.classifier, serving.classifier.card
    st.header("The model that answers", anchor=False)
    st.html(model_facts(card, classifier.model, len(classifier.labels), serving.since))
    if running.follower is not None:
        st.header("What is live", anchor=False)
        if running.note is not None:
            st.warning(running.note, icon=":material/warning:")
        st.html(model_history(running.follower.read()))
    st.header("What its words promise", anchor=False)
    st.html(model_promises(card))
    diagram = None if classifier.folder is None else classifier.folder / RELIABILITY_FILE
    if diagram is not None and diagram.is_file():
        st.html(
            picture(
                encode_preview(diagram.read_bytes(), 960, max_pixels=running.settings.max_pixels),
                "A diagram of how often answers were right, by the percentage they gave.",
            ),
            width=420,
        )
        st.caption("How often answers were right, by the percentage they gave.")
    st.header("What it can't do", anchor=False)
    st.html(model_limits(len(classifier.labels)))
