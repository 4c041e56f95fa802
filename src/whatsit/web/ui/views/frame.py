"""The frame around every page, as pure functions: values in, HTML out."""

import base64
import html
from functools import cache
from pathlib import Path

_ASSETS = Path(__file__).parent.parent / "assets"

MARK_FILE = _ASSETS / "mark.svg"
TAGLINE = "Show it a picture; it tells you what it is."


@cache
def style() -> str:
    """The page's style sheet."""
    return f"<style>{(_ASSETS / 'page.css').read_text(encoding='utf-8')}</style>"


@cache
def mark() -> str:
    """The product's mark as an image within the page."""
    encoded = base64.b64encode(MARK_FILE.read_bytes()).decode()
    return f'<img src="data:image/svg+xml;base64,{encoded}" alt="">'


@cache
def header() -> str:
    """The mark, the name and what it does."""
    return f'<div class="whatsit-head">{mark()}<div><h1>whatsit</h1><p>{TAGLINE}</p></div></div>'


def footer(model_description: str) -> str:
    """The model that answers, what is kept, and a link to the API."""
    return (
        '<div class="whatsit-foot">'
        f"<span>Answered by {html.escape(model_description)}</span>"
        "<span>Pictures are not kept; answers are, by their fingerprint</span>"
        '<a href="api/docs" target="_blank" rel="noopener">API for programs</a></div>'
    )
