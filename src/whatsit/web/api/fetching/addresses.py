"""Addresses of pictures: how one may be written, and which machines may be asked for it.

Nothing here asks a network. An address is taken apart once; the parts, never the text, decide what
is connected to, so that no second reading of it can find another host.
"""

import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import quote

import idna

from whatsit.access.networks import Network
from whatsit.errors import InvalidParameter

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_URL_LENGTH = 2_048

_URL = re.compile(r"(https?)://([^/?#\\]*)((?:[/?][^#]*)?)(?:#.*)?", re.IGNORECASE)
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]%]+)(?::([0-9]{0,5}))?")
_NAME = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_MAX_NAME_LENGTH = 253
_KEPT_AS_WRITTEN = "!$%&'()*+,-./:;=?@[]_~"

_NOT_PUBLIC_V4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",  # unspecified, "this network"
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # shared by the customers of a provider (CGNAT)
            "127.0.0.0/8",  # loopback
            "168.63.129.16/32",  # Azure's own services, at a public address
            "169.254.0.0/16",  # link-local; metadata of most clouds
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocol assignments; metadata of Oracle's cloud
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # relays of 6to4
            "192.168.0.0/16",  # private
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, broadcast
        ),
    )
)
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC_V6 = tuple(
    map(
        ipaddress.IPv6Network,
        (
            "2001::/23",  # protocol assignments, Teredo among them
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4: leads to the IPv4 address within it
            "3fff::/20",  # documentation
        ),
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_ISATAP = frozenset({0x0000_5EFE, 0x0200_5EFE})
"""The third quarter of an address that leads to the IPv4 address in its last quarter."""


@dataclass(frozen=True, slots=True)
class PictureUrl:
    """The address of a picture, taken apart.

    Attributes:
        scheme: ``http`` or ``https``.
        host: A name in ASCII and small letters without a dot at its end, or an IP address
            without brackets.
        port: Where to connect.
        target: Path and query, as they are sent.
    """

    scheme: str
    host: str
    port: int
    target: str

    @property
    def literal(self) -> Address | None:
        """The host as an IP address; None where it is a name."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None

    @property
    def host_header(self) -> str:
        """The value of the ``Host`` header of a request."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host_header}{self.target}"


def parse_picture_url(text: str, ports: Collection[int]) -> PictureUrl:
    """Take the address of a picture apart.

    A number as a host is only read in its usual form, ``192.0.2.7``: resolvers take 127.1, 0x7f.1
    and 2130706433 for addresses too, which are written only to hide their meaning.

    Args:
        text: As the client wrote it; spaces around it do not count.
        ports: Which ports it may name.

    Raises:
        InvalidParameter: It can't be the address of a picture here.

    Example:
        >>> print(parse_picture_url("HTTPS://Bücher.example./a b.jpg?x=1#top", {80, 443}))
        https://xn--bcher-kva.example/a%20b.jpg?x=1
    """
    text = text.strip(" \t\r\n")
    if len(text) > MAX_URL_LENGTH:
        raise InvalidParameter(f"url has more than {MAX_URL_LENGTH:,} characters.")
    if _INVISIBLE.search(text):
        raise InvalidParameter("url has characters that can't be seen. Write it again.")
    found = _URL.fullmatch(text)
    if found is None:
        raise InvalidParameter("url must begin like http://example.org/ or https://example.org/.")
    scheme, authority, target = found[1].lower(), found[2], found[3]
    if "@" in authority:
        raise InvalidParameter("url has a user name or password in it. Leave that out.")
    parts = _AUTHORITY.fullmatch(authority)
    host = _parse_host(parts[1]) if parts else None
    if parts is None or host is None:
        raise InvalidParameter(
            "url does not name its host in the usual form. "
            "Write it like https://example.org/picture.jpg."
        )
    port = int(parts[2]) if parts[2] else DEFAULT_PORTS[scheme]
    if port not in ports:
        known = ", ".join(map(str, sorted(ports)))
        raise InvalidParameter(
            f"url names the port {port}; pictures are fetched from {known} (WHATSIT_FETCH_PORTS)."
        )
    if not target.startswith("/"):
        target = f"/{target}"
    return PictureUrl(scheme, host, port, quote(target, safe=_KEPT_AS_WRITTEN))


def is_fetchable(address: Address, allowed: Collection[Network] = ()) -> bool:
    """True if a picture may be fetched from an IP address: it is public, or explicitly allowed.

    An address is not public if it leads into this machine or the networks around it, also as an
    IPv4 address inside an IPv6 one, or if it is not assigned.

    Example:
        >>> is_fetchable(ipaddress.ip_address("127.0.0.1"))
        False
    """
    if any(address in network for network in allowed if network.version == address.version):
        return True
    if isinstance(address, ipaddress.IPv4Address):
        return _is_public_v4(address)
    if address in _NAT64:
        return _is_public_v4(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
    return (
        address in _GLOBAL_V6
        and address.scope_id is None
        and not any(address in network for network in _NOT_PUBLIC_V6)
        and (int(address) >> 32 & 0xFFFF_FFFF) not in _ISATAP
        and address.is_global
    )


def _is_public_v4(address: ipaddress.IPv4Address) -> bool:
    is_special = any(address in network for network in _NOT_PUBLIC_V4)
    # Python's own list is asked as well: it may know what has been assigned since.
    return not is_special and address.is_global


def _parse_host(text: str) -> str | None:
    if text.startswith("["):
        try:
            return str(ipaddress.IPv6Address(text[1:-1]))
        except ValueError:
            return None
    if not text.isascii():
        try:
            # Also turns wide and circled digits into plain ones, and other full stops into dots.
            text = idna.encode(text, uts46=True).decode("ascii")
        except UnicodeError:
            return None
    name = text.lower().removesuffix(".")
    if len(name) > _MAX_NAME_LENGTH or _NAME.fullmatch(name) is None:
        return None
    if _NUMBER.fullmatch(name.rpartition(".")[2]) is None:
        return name
    try:
        return str(ipaddress.IPv4Address(name))
    except ValueError:
        return None
