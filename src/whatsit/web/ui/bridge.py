"""How the page's script reaches the service of its process.

Streamlit runs the script anew for every interaction and passes it nothing, so what it needs
waits here.
"""

from whatsit.access.page_tokens import PagePasses
from whatsit.running import Running

_running: list[Running] = []
_passes: list[PagePasses] = []


def install(running: Running, passes: PagePasses) -> None:
    """Make `running` the one that the page shows; called once, before the first visitor."""
    _running[:] = [running]
    _passes[:] = [passes]


def running_service() -> Running:
    """What the page shows.

    Raises:
        RuntimeError: The page was not started by ``whatsit serve``.
    """
    if not _running:
        raise RuntimeError("The page has no service behind it. Start it with: whatsit serve")
    return _running[0]


def page_passes() -> PagePasses:
    """Who issues the page's passes.

    Raises:
        RuntimeError: See `running_service`.
    """
    running_service()
    return _passes[0]
