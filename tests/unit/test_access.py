"""Who can reach the server decides what it asks for; names and rates are read strictly."""

import ipaddress
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whatsit.access.hosts import HostNames, host_of, is_loopback, parse_host_names
from whatsit.access.rates import Rate, parse_rate
from whatsit.errors import SettingsError
from whatsit.settings import Settings, load_settings


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("LOCALHOST", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.7", False),
        ("127.1", False),
        ("0", False),
        ("localhost.example.org", False),
        ("", False),
    ],
)
def test_loopback_is_only_what_surely_is(host, expected):
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("given", "keys", "rate"),
    [
        ({}, False, None),
        ({"host": "::1"}, False, None),
        ({"host": "0.0.0.0"}, True, Rate(120, "minute")),
        ({"host": "::"}, True, Rate(120, "minute")),
        ({"host": "example.org"}, True, Rate(120, "minute")),
        # A proxy on the same machine lets everybody in by the loopback address.
        ({"trusted_proxies": "127.0.0.1"}, True, Rate(120, "minute")),
        ({"api_keys": "required", "rate_limit": "1/day"}, True, Rate(1, "day")),
        ({"host": "0.0.0.0", "api_keys": "off", "rate_limit": "off"}, False, None),
    ],
)
def test_what_is_asked_for_follows_from_who_can_reach_the_server(given, keys, rate):
    settings = Settings(**given)

    assert (settings.keys_required, settings.rate) == (keys, rate)


@pytest.mark.parametrize(
    ("text", "rate", "seconds", "words"),
    [
        ("120/minute", Rate(120, "minute"), 60, "120 requests a minute"),
        ("1/second", Rate(1, "second"), 1, "1 request a second"),
        (" 5000 / Hours ", Rate(5000, "hour"), 3600, "5,000 requests an hour"),
        ("10/day", Rate(10, "day"), 86_400, "10 requests a day"),
    ],
)
def test_a_rate_is_read_and_said(text, rate, seconds, words):
    assert parse_rate(text) == rate
    assert (rate.seconds, str(rate)) == (seconds, words)


@pytest.mark.parametrize(
    "text",
    ["120", "0/minute", "-1/minute", "1.5/minute", "120/week", "/minute", "120/", "٣/minute"],
)
def test_what_is_no_rate_stops_the_start_with_a_sentence(text):
    with pytest.raises(
        SettingsError, match=r"^WHATSIT_RATE_LIMIT: .* is not a rate; write auto, off"
    ):
        load_settings({"rate_limit": text})


@given(st.integers(1, 9_999_999), st.sampled_from(["second", "minute", "hour", "day"]))
def test_any_rate_survives_writing_and_reading(count, unit):
    assert parse_rate(f"{count}/{unit}") == Rate(count, unit)


@pytest.mark.parametrize(
    "text", ["exa mple.org", "example.org:8501", "http://x", "a.*.b", "[::g]", ","]
)
def test_what_is_no_host_name_stops_the_start_with_a_sentence(text):
    with pytest.raises(SettingsError, match=r"^WHATSIT_ALLOWED_HOSTS: .*host name"):
        load_settings({"allowed_hosts": text})


@pytest.mark.parametrize("text", ["proxy", "10.0.0.1/33", "10.0.0.1/8", "*", "1.2.3"])
def test_what_is_no_network_stops_the_start_with_a_sentence(text):
    with pytest.raises(
        SettingsError, match=r"^WHATSIT_TRUSTED_PROXIES: .* is neither an address nor"
    ):
        load_settings({"trusted_proxies": text})


def test_proxies_are_read_as_networks():
    networks = Settings(trusted_proxies="10.0.0.7, fd00::/8").proxy_networks

    assert [str(network) for network in networks] == ["10.0.0.7/32", "fd00::/8"]


@pytest.mark.parametrize(
    "header",
    [
        *("localhost", "localhost:8501", "LocalHost:1", "127.0.0.1", "127.0.0.1:8501"),
        *("[::1]:8501", "[0:0:0:0:0:0:0:1]", "localhost.", "localhost.:80", "localhost:"),
    ],
)
def test_on_loopback_the_names_of_the_machine_are_answered_to(header):
    names = Settings().host_names

    assert names is not None
    assert names.admit(header.encode())
    assert names.admit(header.encode()), "the second time, from memory"


@pytest.mark.parametrize(
    "header",
    [
        *("", "attacker.example", "localhost.attacker.example", "127.0.0.1.attacker.example"),
        *("xlocalhost", "localhost:port", "localhost:123456", "local host", "localhost@x"),
        *("[::1", "[::1]x", "::1", "[::2]", "localhost\n", "localhost/", "127.0.0.2"),
        *("l\u043ecalhost", ":8501", "."),
    ],
)
def test_on_loopback_no_other_name_is(header):
    names = Settings().host_names

    assert names is not None
    assert not names.admit(header.encode())


def test_the_configured_address_is_a_name_of_the_machine_too():
    names = Settings(host="127.0.0.9").host_names

    assert names is not None
    assert names.admit(b"127.0.0.9:8501")


@pytest.mark.parametrize("given", [{"host": "0.0.0.0"}, {"allowed_hosts": "*"}])
def test_any_name_is_answered_to_elsewhere_or_when_told_so(given):
    assert Settings(**given).host_names is None


def test_a_list_holds_everywhere_and_a_star_means_the_names_below():
    names = Settings(host="0.0.0.0", allowed_hosts="whatsit.test, *.Example.org, ::2").host_names

    assert names is not None
    admitted = [b"whatsit.test", b"a.example.org:443", b"a.b.example.org", b"[::2]:80"]
    refused = [b"example.org", b"xexample.org", b"a.whatsit.test", b"localhost"]
    assert [names.admit(header) for header in admitted] == [True] * 4
    assert [names.admit(header) for header in refused] == [False] * 4


@given(st.binary(max_size=40))
def test_any_header_is_read_or_refused(header):
    name = host_of(header)

    assert name is None or host_of(name.encode()) == name


@given(st.ip_addresses(v=6), st.integers(0, 65535))
def test_every_spelling_of_an_ipv6_address_is_the_same_host(address, port):
    names = HostNames(parse_host_names(str(address)))

    assert names.admit(f"[{address.exploded}]:{port}".encode())
    assert not names.admit(f"[{ipaddress.IPv6Address(int(address) ^ 1)}]:{port}".encode())


@given(st.text(string.ascii_letters + string.digits + ".-_:[]@/ ", max_size=30))
def test_what_a_list_admits_is_in_it(header):
    names = HostNames(parse_host_names("whatsit.test, *.example.org"))

    if names.admit(header.encode()):
        name = host_of(header.encode())
        assert name is not None
        assert name == "whatsit.test" or name.endswith(".example.org")
