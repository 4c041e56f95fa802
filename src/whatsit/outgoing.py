"""The connection settings of the environment: proxies, and the certificates to trust.

httpx reads the same variables, but refuses to start because of entries that do not concern the
server in question, or that other programs accept, such as a network in ``NO_PROXY``.
"""

import ipaddress
import ssl
from contextlib import suppress
from importlib.util import find_spec
from urllib.request import getproxies

import httpx

from whatsit.errors import SettingsError

_SCHEMES = ("http", "https", "socks5", "socks5h")


def find_proxy(url: httpx.URL) -> httpx.Proxy | None:
    """The proxy that the environment names for an address; None for a direct connection.

    ``HTTP_PROXY``, ``HTTPS_PROXY`` and ``ALL_PROXY`` name one; ``NO_PROXY`` lists hosts, domains,
    addresses and networks that are asked directly. This machine itself always is, because a proxy
    would look for its own loopback.

    Raises:
        SettingsError: It can't be used. The sentence does not repeat it, as there may be a
            password in it.
    """
    if is_loopback(url.host):
        return None
    proxies = getproxies()
    if _is_excepted(url, proxies.get("no", "")):
        return None
    name = url.scheme if proxies.get(url.scheme) else "all"
    address = proxies.get(name)
    if not address:
        return None
    variable = f"{name.upper()}_PROXY"
    try:
        parsed = httpx.URL(address if "://" in address else f"http://{address}")
    except httpx.InvalidURL as error:
        raise SettingsError(_refusal(variable)) from error
    if parsed.scheme not in _SCHEMES or not parsed.host or "%" in parsed.host:
        raise SettingsError(_refusal(variable))
    if parsed.scheme.startswith("socks") and find_spec("socksio") is None:
        raise SettingsError(
            f"{variable} names a SOCKS proxy, for which a package is missing. "
            "Install it with: pip install socksio"
        )
    return httpx.Proxy(parsed)


def trusted_certificates() -> ssl.SSLContext:
    """The certificates to trust: those of ``SSL_CERT_FILE`` or ``SSL_CERT_DIR``, else the usual.

    Raises:
        SettingsError: The certificates that the variable names can't be read.
    """
    try:
        return httpx.create_ssl_context()
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            "The certificates that SSL_CERT_FILE or SSL_CERT_DIR names can't be read."
        ) from error


def is_loopback(host: str) -> bool:
    """True if a host is this machine itself."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _is_excepted(url: httpx.URL, exceptions: str) -> bool:
    host = url.host.lower().strip("[]")
    port = url.port or {"http": 80, "https": 443}.get(url.scheme)
    return any(
        _covers(entry.strip().lower(), host, port) for entry in exceptions.split(",") if entry
    )


def _covers(entry: str, host: str, port: int | None) -> bool:
    if entry == "*":
        return True
    with suppress(ValueError):
        network = ipaddress.ip_network(entry.strip("[]"), strict=False)
        # Names are not looked up for it.
        with suppress(ValueError):
            return ipaddress.ip_address(host) in network
        return False
    name, _, number = entry.rpartition(":")
    if name and number.isdigit():
        return port == int(number) and _covers(name, host, port)
    domain = entry.removeprefix("*").lstrip(".")
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def _refusal(variable: str) -> str:
    return f"{variable} is not the address of a proxy. Write it like http://proxy.example.org:3128."
