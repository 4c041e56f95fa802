"""The page's server: Streamlit as an ASGI application."""

import logging
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from streamlit import config, net_util
from streamlit.runtime.pages_manager import PagesManager

from whatsit.access.page_tokens import PageTokens
from whatsit.running import Running
from whatsit.web.ui import bridge
from whatsit.web.ui.identity import load_sign_in_secrets
from whatsit.web.ui.scripts import share_threads
from whatsit.web.ui.uploads import NoUploads

_STREAM = "streamlit.web.server.starlette.starlette_websocket"
_SCRIPT = Path(__file__).parent / "app.py"


def build_page(running: Running, tokens: PageTokens) -> st.App:
    """The page of one running service.

    The theme and the fixed options stand in ``.streamlit/config.toml`` beside the script.

    Args:
        running: Whose service the page shows.
        tokens: Issued to the page's visitors.

    Raises:
        SettingsError: People shall sign in, but how is not set up.
    """
    settings = running.settings
    secrets = load_sign_in_secrets(settings) if settings.page_sign_in == "required" else None
    bridge.install(running, tokens)
    share_threads()
    # The folder of our pages bears the name of an older way to declare them. Until the script has
    # run once, a visitor who opens any page but the first would be shown that one's, and stay.
    PagesManager.uses_pages_directory = False
    _keep_to_ourselves()
    page = st.App(_SCRIPT, secrets=secrets, middleware=[Middleware(NoUploads)])
    config.set_option("server.port", settings.port)
    # A secrets.toml in a home or working folder must not decide who signs in.
    config.set_option("secrets.files", [])
    return page


def _keep_to_ourselves() -> None:
    """Keep Streamlit from asking outside who we are, and from logging what strangers send.

    When a page of elsewhere opens its WebSocket, it looks up this machine's addresses; to learn
    the outer one it asks a server of Amazon, twice, and the event loop waits. The door has
    compared the origin with the host by then. Messages that are none would be logged with a
    traceback each.
    """
    net_util.get_external_ip = net_util.get_internal_ip = lambda: None
    logging.getLogger(_STREAM).addFilter(lambda record: record.levelno >= logging.ERROR)
