"""The only page for people who are not signed in, where signing in is required."""

import streamlit as st

from whatsit.web.ui.views.sign_in import signed_in_as, welcome


def render() -> None:
    """Draw the page."""
    with st.container(key="sign-in", horizontal_alignment="center"):
        st.html(welcome())
        st.button("Sign in", type="primary", icon=":material/login:", on_click=st.login)


def draw_who() -> None:
    """Show who is signed in, with a button to sign out."""
    with st.container(
        key="who", horizontal=True, horizontal_alignment="right", vertical_alignment="center"
    ):
        st.html(signed_in_as(st.user.to_dict()), width="content")
        st.button("Sign out", type="tertiary", icon=":material/logout:", on_click=_leave)


def _leave() -> None:
    st.session_state.clear()
    st.logout()
