"""The page's view of signing in, as pure functions: values in, HTML out."""

import html
from collections.abc import Mapping
from functools import cache

from whatsit.web.ui.views.frame import TAGLINE, mark


@cache
def welcome() -> str:
    """A greeting for people who have to sign in first."""
    return (
        f'<div class="whatsit-welcome">{mark()}<h1>whatsit</h1>'
        f"<p>{TAGLINE} Please sign in first.</p></div>"
    )


def signed_in_as(user: Mapping[str, object]) -> str:
    """The person who is signed in, by the best name that the provider gave."""
    names = (user.get(key) for key in ("name", "preferred_username", "email", "sub"))
    name = next((str(name) for name in names if name), "somebody")
    return f'<p class="whatsit-who">Signed in as <b>{html.escape(name)}</b></p>'
