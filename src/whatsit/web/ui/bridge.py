"""How the page's script reaches the service of its process.

Streamlit runs the script again for every interaction and passes it nothing, so what it needs
waits here.
"""

from whatsit.access.page_tokens import PageTokens
from whatsit.running import Running

_running: list[Running] = []
_tokens: list[PageTokens] = []


def install(running: Running, tokens: PageTokens) -> None:
    """Make `running` the one that the page shows; called once, before the first visitor."""
    _running[:] = [running]
    _tokens[:] = [tokens]


def running_service() -> Running:
    """The service that the page shows.

    Raises:
        RuntimeError: The page was not started by ``whatsit serve``.
    """
    if not _running:
        raise RuntimeError("The page runs without a service. Start it with: whatsit serve")
    return _running[0]


def page_tokens() -> PageTokens:
    """The issuer of the page's tokens.

    Raises:
        RuntimeError: See `running_service`.
    """
    running_service()
    return _tokens[0]
