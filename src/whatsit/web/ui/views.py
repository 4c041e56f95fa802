"""What the page shows, as pure functions: values in, HTML out."""

import base64
import html
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from whatsit.images import encode_preview
from whatsit.prediction import Prediction, ScoredLabel
from whatsit.service import CacheOutcome, Reply

_ASSETS = Path(__file__).parent / "assets"

TAGLINE = "Show it a picture; it tells you what it is."


@cache
def style(*, answered: bool) -> str:
    """The page's style sheet; once a picture is answered, the drop zone makes room for it."""
    sheet = (_ASSETS / "page.css").read_text(encoding="utf-8")
    if answered:
        sheet += '[data-testid="stFileUploaderDropzone"] { min-height: 0; }'
    return f"<style>{sheet}</style>"


@cache
def header() -> str:
    """The mark, the name and what it does."""
    mark = base64.b64encode((_ASSETS / "mark.svg").read_bytes()).decode()
    return (
        f'<div class="whatsit-head"><img src="data:image/svg+xml;base64,{mark}" alt="">'
        f"<div><h1>whatsit</h1><p>{TAGLINE}</p></div></div>"
    )


def sentence(prediction: Prediction) -> str:
    """The answer, large."""
    return f'<p class="whatsit-sentence" role="status">{html.escape(prediction.answer.text)}</p>'


def receipt(reply: Reply) -> str:
    """Where the answer came from and how long it took, and what kind of picture it was."""
    image = reply.prediction.image
    words = _cache_words(reply.cache, reply.timings_ms)
    return (
        '<p class="whatsit-receipt">'
        f'<span class="whatsit-badge {reply.cache}">{words}</span>'
        f"<span>{image.width} × {image.height} {html.escape(image.format)}</span></p>"
    )


def bars(top: tuple[ScoredLabel, ...]) -> str:
    """The best labels as bars, each with its percentage as text."""
    rows = "".join(
        f'<li><span class="name">{html.escape(entry.label)}</span>'
        f'<span class="percent">{_percent(entry.score)}</span>'
        f'<span class="track" aria-hidden="true">'
        f'<span class="fill" style="width:{entry.score * 100:.1f}%"></span></span></li>'
        for entry in top
    )
    return f'<ol class="whatsit-bars" aria-label="Best guesses">{rows}</ol>'


def footer(model_description: str, cache_words: str) -> str:
    """Which model answers, what is kept, and where programs find the same answers."""
    return (
        '<div class="whatsit-foot">'
        f"<span>{html.escape(model_description)}</span><span>{html.escape(cache_words)}</span>"
        '<a href="/api/docs" target="_blank" rel="noopener">API for programs</a></div>'
    )


def example_style(pictures: Mapping[str, bytes]) -> str:
    """Paints each example's button with its picture."""
    rules = "".join(
        f".st-key-example-{name} button{{background-image:url(data:image/jpeg;base64,"
        f"{base64.b64encode(encode_preview(picture, 360, max_pixels=10**7)).decode()})}}"
        for name, picture in pictures.items()
    )
    return f"<style>{rules}</style>"


def milliseconds(value: float) -> str:
    """A duration as people read it.

    Example:
        >>> milliseconds(0.31), milliseconds(31.4), milliseconds(1234)
        ('under 1 ms', '31 ms', '1.2 s')
    """
    if value < 1:
        return "under 1 ms"
    return f"{value:.0f} ms" if value < 1000 else f"{value / 1000:.1f} s"


def _cache_words(outcome: CacheOutcome, timings_ms: Mapping[str, float]) -> str:
    total = milliseconds(timings_ms["total"])
    if outcome in ("hit", "coalesced"):
        return f"From the cache in {total}"
    return f"Computed in {total}"


def _percent(score: float) -> str:
    return "under 1 %" if score < 0.01 else f"{score * 100:.0f} %"
