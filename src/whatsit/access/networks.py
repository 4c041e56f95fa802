"""Networks and ports, as a setting lists them."""

import ipaddress
import re

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_networks(text: str) -> tuple[Network, ...]:
    """Networks of a list of addresses and networks with commas.

    Raises:
        ValueError: One of them is neither; the message is a sentence for people.
    """
    networks = []
    for part in text.split(","):
        if not part.strip():
            continue
        try:
            networks.append(ipaddress.ip_network(part.strip()))
        except ValueError as error:
            raise ValueError(
                f"{part.strip()!r} is neither an address nor a network; "
                "write something like 10.0.0.7, 10.0.0.0/8"
            ) from error
    return tuple(networks)


def parse_ports(text: str) -> frozenset[int]:
    """Ports of a list with commas.

    Raises:
        ValueError: The list is empty, or an entry is not a port; the message is a sentence for
            people.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    ports = frozenset(int(part) for part in parts if re.fullmatch("[0-9]{1,5}", part))
    if len(ports) < len(set(parts)) or not ports or not all(0 < port < 65_536 for port in ports):
        raise ValueError(f"{text!r} is not a list of ports; write something like 80, 443")
    return ports
