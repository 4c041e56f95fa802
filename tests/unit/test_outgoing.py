"""Proxies and certificates that the environment names: used, or refused with a sentence."""

import os

import httpx
import pytest

from tests.support.scripted_server import Prepared, ScriptedServer
from whatsit import AsyncClient, Client
from whatsit.errors import ModelUnavailable, SettingsError
from whatsit.models.download import download
from whatsit.outgoing import find_proxy, trusted_certificates

PROXY = "http://proxy.example:3128"


@pytest.fixture(autouse=True)
def _no_proxies_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith("SSL_CERT"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("url", "exceptions", "is_proxied"),
    [
        ("http://whatsit.example", "", True),
        ("https://whatsit.example", "other.example,,", True),
        ("https://whatsit.example", "fd00::/8, 10.0.0.0/8", True),
        ("https://whatsit.example", "*", False),
        ("https://whatsit.example", "whatsit.example", False),
        ("https://whatsit.example", " .EXAMPLE ", False),
        ("https://whatsit.example", "*.example", False),
        ("https://notwhatsit.example", "whatsit.example", True),
        ("https://whatsit.example", "whatsit.example:443", False),
        ("https://whatsit.example", "whatsit.example:8443", True),
        ("http://[fd00::7]:8501", "fd00::/8", False),
        ("http://[fd00::7]:8501", "[fd00::7]", False),
        ("http://[fe80::7]:8501", "fd00::/8", True),
        ("http://10.1.2.3", "10.0.0.0/8", False),
        ("http://10.1.2.3", "10.0.0.9/8", False),
        ("http://11.1.2.3", "10.0.0.0/8", True),
        ("http://localhost:8501", "", False),
        ("http://127.0.0.9:8501", "", False),
        ("http://[::1]:8501", "", False),
    ],
)
def test_exceptions_are_hosts_domains_addresses_and_networks(
    monkeypatch, url, exceptions, is_proxied
):
    monkeypatch.setenv("ALL_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", exceptions)

    proxy = find_proxy(httpx.URL(url))

    assert (proxy is not None) == is_proxied


def test_the_proxy_of_the_scheme_comes_first(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "http://all.example")
    monkeypatch.setenv("HTTPS_PROXY", "user:secret@https.example:8080")

    by_scheme = [
        find_proxy(httpx.URL(f"{scheme}://whatsit.example")) for scheme in ("http", "https")
    ]

    assert [proxy.url.host for proxy in by_scheme if proxy] == ["all.example", "https.example"]


WRONG = {
    "ALL_PROXY": ("socks5://secret:secret@127.0.0.1:9", "ALL_PROXY names a SOCKS proxy"),
    "HTTP_PROXY": ("http://secret:port", "HTTP_PROXY is not the address of a proxy"),
    "http_proxy": ("secret://proxy", "HTTP_PROXY is not the address of a proxy"),
    "HTTPS_PROXY": ("http://[::secret", None),
    "NO_PROXY": ("fd00::/8,[secret,http://x,:::", None),
    "SSL_CERT_FILE": ("/secret/ca.pem", None),
    "SSL_CERT_DIR": ("/secret", None),
}
"""Entries, and what is said of each where it is of concern for a server of plain HTTP."""


@pytest.fixture(params=WRONG)
def wrong(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str | None:
    value, said = WRONG[request.param]
    monkeypatch.setenv(request.param, value)
    return said


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_client_is_stopped_only_by_what_concerns_its_server(wrong, kind):
    for url in ("http://localhost:9", "http://127.0.0.1:9", "http://[::1]:9"):
        kind(url)
    if wrong is None:
        kind("http://whatsit.example")
    else:
        with pytest.raises(SettingsError, match=wrong) as refusal:
            kind("http://whatsit.example")
        assert "secret" not in refusal.value.detail


def test_certificates_that_are_not_there_are_told(monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")

    with pytest.raises(SettingsError, match="SSL_CERT_FILE"):
        trusted_certificates()
    with pytest.raises(SettingsError, match="SSL_CERT_FILE"):
        Client("https://whatsit.example")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:9"),
        ("HTTPS_PROXY", "http://["),
        ("SSL_CERT_FILE", "/nowhere/ca.pem"),
    ],
)
def test_a_download_that_can_not_begin_is_one_that_is_not_available(
    monkeypatch, tmp_path, variable, value
):
    monkeypatch.setenv(variable, value)

    with pytest.raises(ModelUnavailable, match=variable):
        download(["https://models.example/a.onnx"], tmp_path / "a", sha256="0" * 64, size_bytes=1)


def test_a_proxy_is_asked_for_what_is_not_excepted(monkeypatch):
    with ScriptedServer(Prepared()) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        with Client("http://whatsit.example", max_retries=0) as client:
            assert client.is_ready()
    assert proxy.heads[0].startswith("GET http://whatsit.example/readyz ")
