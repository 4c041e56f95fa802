"""The frame around every page. Streamlit runs this file for every interaction of a visitor."""

import streamlit as st

from whatsit.web.ui.bridge import running_service
from whatsit.web.ui.pages import ask, model, sign_in, watch
from whatsit.web.ui.views.frame import MARK_FILE, footer, header, style

running = running_service()
signing_in = running.settings.page_sign_in == "required"

st.set_page_config(page_title="whatsit", page_icon=str(MARK_FILE))
if signing_in and not st.user.get("is_logged_in"):
    page = st.navigation(
        [
            st.Page(sign_in.render, title="Sign in", url_path="ask", default=True),
            st.Page(sign_in.render, title="Sign in", url_path="model"),
            st.Page(sign_in.render, title="Sign in", url_path="watch"),
        ],
        position="hidden",
    )
    st.html(style())
    page.run()
else:
    page = st.navigation(
        [
            st.Page(lambda: ask.render(running), title="Ask", url_path="ask", default=True),
            st.Page(lambda: model.render(running), title="The model", url_path="model"),
            st.Page(lambda: watch.render(running), title="Watch", url_path="watch"),
        ],
        position="top",
    )
    st.html(style())
    if signing_in:
        sign_in.draw_who()
    st.html(header())
    page.run()
    st.html(footer(running.service.classifier.card.description))
