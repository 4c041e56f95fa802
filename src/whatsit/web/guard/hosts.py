"""Only requests that were meant for this server: a rule against DNS rebinding."""

from starlette.types import Scope

from whatsit.access.hosts import HostNames
from whatsit.errors import HostNotAllowed

_PROBED_PATHS = frozenset({"/healthz", "/readyz"})
"""An orchestrator asks by the address of the container, which can't be listed beforehand; the
answers would not help a stranger."""


class HostRule:
    """Refuses a request whose ``Host`` is missing, malformed, doubled or another server's.

    Args:
        names: The names of this server.
    """

    def __init__(self, names: HostNames) -> None:
        self._names = names

    async def refusal(self, scope: Scope) -> HostNotAllowed | None:
        """See `Rule.refusal`."""
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) == 1 and self._names.admit(hosts[0]):
            return None
        if scope["path"] in _PROBED_PATHS:
            return None
        return HostNotAllowed(
            "This server does not answer to the host name of this request. "
            "Its operator can list the name in WHATSIT_ALLOWED_HOSTS."
        )
