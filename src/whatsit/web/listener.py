"""The socket on which connections arrive."""

import socket

from whatsit.errors import SettingsError


def bind(host: str, port: int, *, is_shared: bool) -> socket.socket:
    """A bound socket, not listening yet.

    Args:
        host: Address.
        port: 0 for a free one.
        is_shared: True if other processes may bind it too; the system then spreads connections.

    Raises:
        SettingsError: The address can't be bound; the sentence says why.
    """
    # Made for TCP by name, because asyncio then switches Nagle's algorithm off, which costs an
    # answered keep-alive request 40 ms otherwise.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if is_shared:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        bound.bind((host, port))
    except (OSError, UnicodeError) as error:
        bound.close()
        reason = getattr(error, "strerror", None) or "no host can have this name"
        raise SettingsError(f"Can't listen on {host}:{port}: {reason}.") from error
    return bound
