"""Are the pictures still those the model was measured on, and its answers still right?"""

import streamlit as st

from whatsit.errors import FeedbackUnavailable
from whatsit.running import Running
from whatsit.web.ui.views.watch import accuracy_by_week, drift_signals, drift_summary


def render(running: Running) -> None:
    """Draw the page."""
    st.header("Are the pictures as usual?", anchor=False)
    if (report := running.drift()) is not None:
        st.html(drift_summary(report))
        if shown := drift_signals(report):
            st.header("What changed", anchor=False)
            st.html(shown)
    st.header("How often people found it right", anchor=False)
    try:
        weeks = () if running.feedback is None else running.feedback.weeks()
    except FeedbackUnavailable:
        st.html("<p>The corrections can't be read just now.</p>")
    else:
        st.html(accuracy_by_week(weeks))
