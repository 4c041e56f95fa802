"""A picture in, a sentence out: the place of the part that does it in the browser.

All of it is in ``assets/ask``. It talks to the API by itself, so that a picture costs no run of
the page's script, and it stays as it is when the script does run.
"""

import logging
from functools import lru_cache

import streamlit as st

from whatsit.access.page_tokens import PageToken
from whatsit.data import example_pictures
from whatsit.documents import describe_answer
from whatsit.errors import WhatsitError
from whatsit.feedback.correction import MAX_LABEL_CHARACTERS
from whatsit.picture import Picture
from whatsit.running import Running
from whatsit.service.line_up import LineUp
from whatsit.service.service import Service
from whatsit.web.ui import bridge
from whatsit.web.ui.assets import asset_address, style_addresses

_log = logging.getLogger(__name__)

_TOKEN = "page_token"

_LOADER = """
// Below a prefix, the addresses of the page begin with it, as that of Streamlit's own script does.
const script = document.querySelector('script[src*="static/js/"]');
const end = script ? script.src.indexOf("static/js/") : 0;
const base = script ? script.src.slice(0, end) : `${window.location.origin}/`;
const at = (address) => new URL(address.slice(1), base).href;

export default async function ({ data: [facts], parentElement }) {
  const { mount } = await import(at(facts.module));
  const examples = facts.examples.map((each) => ({ ...each, address: at(each.address) }));
  return mount(parentElement, { ...facts, examples, styles: facts.styles.map(at) });
}
"""
# Without a shadow root, one set of style sheets serves dialogs and notices outside it as well,
# and focus, selection and accessibility checks see one document.
_draw = st.components.v2.component("whatsit_ask", js=_LOADER, isolate_styles=False)


def render(running: Running) -> None:
    """Draw the page."""
    if (note := running.note) is not None:
        st.info(note, icon=":material/info:")
    settings = running.settings
    with st.container(key="ask"):
        # The same facts in every run of the script: the part in the browser is left alone then.
        facts = {
            "module": asset_address("ask/main.js"),
            "styles": style_addresses(),
            "pass": _visitors_token().text,
            "keysRequired": settings.keys_required,
            "urls": settings.fetch_urls == "on",
            "limits": {
                "uploadBytes": settings.max_upload_bytes,
                "labelCharacters": MAX_LABEL_CHARACTERS,
            },
            "examples": _answered_examples(running.service),
        }
        # In a list, because Streamlit loads pandas to see whether a mapping holds tables, which
        # costs the first visitor half a second and the process 60 MB.
        _draw(key="ask-view", data=[facts])


def _visitors_token() -> PageToken:
    if _TOKEN not in st.session_state:
        st.session_state[_TOKEN] = bridge.page_tokens().issue()
    page_token: PageToken = st.session_state[_TOKEN]
    return page_token


def _answered_examples(service: Service) -> list[dict[str, object]]:
    try:
        answers = _answers(service, service.line_up)
    except WhatsitError:
        _log.warning("The examples could not be answered; the page shows them without.")
        answers = {}
    return [
        {"name": name, "address": asset_address(f"examples/{name}.jpg")} | answers.get(name, {})
        for name in _example_names()
    ]


@lru_cache(1)
def _example_names() -> tuple[str, ...]:
    return tuple(example_pictures())


@lru_cache(1)
def _answers(service: Service, line_up: LineUp) -> dict[str, dict[str, object]]:
    """The answers to the examples, by name; computed for the first visitor of each line-up."""
    del line_up
    answers: dict[str, dict[str, object]] = {}
    for name, picture in example_pictures().items():
        reply = service.classify(Picture.of(picture))
        computed_ms = reply.timings_ms["total"] if reply.cache == "miss" else None
        answers[name] = {
            "answer": describe_answer(reply.prediction.answer),
            "sha256": reply.prediction.image.sha256,
            "computedMs": computed_ms,
        }
    return answers
