"""Are the pictures still those the model was measured on, and its answers still right?"""

import streamlit as st

from whatsit.errors import FeedbackUnavailable
from whatsit.running import Running
from whatsit.web.ui.views import watch as watch_views


def render(running: Running) -> None:
    """Draw the page."""
    st.header("Are the pictures as usual?", anchor=False)
    if (report := running.drift()) is not None:
        st.html(watch_views.summary(report))
        if shown := watch_views.signals(report):
            st.header("What changed", anchor=False)
            st.html(shown)
    st.header("How often people found it right", anchor=False)
    try:
        weeks = () if running.feedback is None else running.feedback.weeks()
    except FeedbackUnavailable:
        st.html("<p>The corrections can't be read just now.</p>")
    else:
        st.html(watch_views.accuracy(weeks))
