"""The host names that requests may be meant for."""

import ipaddress
import re

_HOST_HEADER = re.compile(rb"(\[[0-9A-Fa-f:.]{2,45}\]|[0-9A-Za-z._-]{1,253})(?::[0-9]{0,5})?")
_HOST_NAME = re.compile(r"(?:\*\.)?[0-9a-z_-]+(?:\.[0-9a-z_-]+)*")
_REMEMBERED_HOSTS = 64


class HostNames:
    """The host names that requests may be meant for.

    Args:
        names: As in an address, without port; ``*.example.org`` stands for every name below it.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self._exact = frozenset(name for name in names if not name.startswith("*."))
        self._endings = tuple(name[1:] for name in names if name.startswith("*."))
        self._admitted: set[bytes] = set()

    def admit(self, header: bytes) -> bool:
        """True if a ``Host`` header, with or without a port, names one of them."""
        if header in self._admitted:
            return True
        name = host_of(header)
        if name is None or not (name in self._exact or name.endswith(self._endings)):
            return False
        if len(self._admitted) < _REMEMBERED_HOSTS:
            self._admitted.add(header)
        return True


def host_of(header: bytes) -> str | None:
    """The name in a ``Host`` header, in one spelling; None where it is malformed.

    Example:
        >>> host_of(b"Example.ORG.:8501"), host_of(b"[0:0::1]"), host_of(b"a b")
        ('example.org', '[::1]', None)
    """
    found = _HOST_HEADER.fullmatch(header)
    if found is None:
        return None
    name = found[1].decode("ascii")
    if name.startswith("["):
        try:
            return f"[{ipaddress.IPv6Address(name[1:-1])}]"
        except ValueError:
            return None
    return name.lower().removesuffix(".") or None


def parse_host_names(text: str) -> tuple[str, ...]:
    """Host names of a list with commas, in one spelling.

    Raises:
        ValueError: One of them can't be a host name; the message is a sentence for people.
    """
    names = tuple(_parse_host_name(name) for name in text.split(",") if name.strip())
    if not names:
        raise ValueError("The list contains no host name; write auto for the usual ones, * for any")
    return names


def is_loopback(host: str) -> bool:
    """True if a server listening on `host` can only be reached from its own machine.

    Anything but an address or ``localhost`` counts as reachable from elsewhere.
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _parse_host_name(text: str) -> str:
    name = text.strip().lower()
    if ":" in name and not name.startswith("["):
        name = f"[{name}]"
    if name.startswith("["):
        parsed = host_of(name.encode("ascii", "replace"))
    else:
        parsed = name.removesuffix(".") if _HOST_NAME.fullmatch(name.removesuffix(".")) else None
    if parsed is None:
        raise ValueError(
            f"{text.strip()!r} is not a host name; write something like "
            "whatsit.example.org, *.example.org, without a port (names in other scripts as xn--...)"
        )
    return parsed
