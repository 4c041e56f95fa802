"""The page's server: Streamlit as an ASGI application."""

import math
from pathlib import Path

import streamlit as st
from streamlit import config

from whatsit.bootstrap import Running
from whatsit.web.ui import bridge

_SCRIPT = Path(__file__).parent / "app.py"


def build_page(running: Running) -> st.App:
    """The page of one running service.

    The theme and the fixed options stand in ``.streamlit/config.toml`` beside the script.
    """
    bridge.install(running)
    page = st.App(_SCRIPT)
    megabytes = max(1, math.floor(running.settings.max_upload_bytes / 1_000_000))
    config.set_option("server.maxUploadSize", megabytes)
    config.set_option("server.port", running.settings.port)
    return page
