"""Addresses of pictures: each spelling has one reading or is refused, and only public ones pass."""

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from whatsit.access.networks import parse_networks, parse_ports
from whatsit.errors import InvalidParameter
from whatsit.web.api.fetching.addresses import MAX_URL_LENGTH, is_fetchable, parse_picture_url

PORTS = frozenset({80, 443})


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("http://example.org", "http://example.org/"),
        ("https://example.org:443/a.jpg", "https://example.org/a.jpg"),
        ("https://example.org:80/a.jpg", "https://example.org:80/a.jpg"),
        ("http://example.org:/a.jpg", "http://example.org/a.jpg"),
        ("  HTTP://EXAMPLE.ORG/A.jpg\n", "http://example.org/A.jpg"),
        ("http://example.org?x=1", "http://example.org/?x=1"),
        ("http://example.org/a#b?c", "http://example.org/a"),
        ("http://example.org./a", "http://example.org/a"),
        ("http://my_photos.example.org/", "http://my_photos.example.org/"),
        ("http://example.org/a b/ü.jpg", "http://example.org/a%20b/%C3%BC.jpg"),
        ("http://example.org/a%20b?c=d%2Fe&f", "http://example.org/a%20b?c=d%2Fe&f"),
        ("http://example.org/@me/a.jpg", "http://example.org/@me/a.jpg"),
        ("http://example.org/a\\b", "http://example.org/a%5Cb"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://XN--BCHER-KVA.example/", "http://xn--bcher-kva.example/"),
        ("http://例え。テスト/", "http://xn--r8jz45g.xn--zckzah/"),
        # Wide letters and digits are plain ones after all.
        ("http://ｅｘａｍｐｌｅ．ｏｒｇ/", "http://example.org/"),  # noqa: RUF001
        ("http://①②⑦.⓪.⓪.①/", "http://127.0.0.1/"),
        ("http://127.0.0.1./", "http://127.0.0.1/"),
        ("http://[::1]:80/", "http://[::1]/"),
        ("http://[2600:0:0::0:0001]/", "http://[2600::1]/"),
        ("http://0x7f.example/", "http://0x7f.example/"),
    ],
)
def test_an_address_has_one_reading(text, read):
    assert str(parse_picture_url(text, PORTS)) == read


@pytest.mark.parametrize(
    "host",
    [
        # Forms of 127.0.0.1, 0.0.0.0 and others that resolvers understand and people do not write.
        *("127.1", "127.0.1", "2130706433", "017700000001", "0177.0.0.1", "0x7f000001"),
        *("0x7f.0.0.1", "0x7f.1", "0", "0x", "0.0", "00.0.0.0", "127.0.0.01", "1.2.3.256"),
        *("1.2.3.4.5", "example.1", "example.0x1", "127.0.0.0x1", "１２７.1", "4294967296"),  # noqa: RUF001
        # Not names at all.
        *("", ".", "a..b", ".a", "a..", "-%2e", "a%00b", "127.0.0.1%20", "a b", "a,b", "a*b"),
        *("[", "[]", "[::1", "::1]", "::1", "[::1]a", "[1.2.3.4]", "[::1%25eth0]", "[::1%eth0]"),
        *("[v1.fe80]", "a" * 64, ".".join(["a" * 60] * 5), "\u2024", "xn--\u00fc", "\u200b"),
        *("a:80:80", "a:-1", "a:٨٠", "a:123456"),
    ],
)
def test_a_host_in_no_usual_way_is_refused(host):
    with pytest.raises(InvalidParameter, match="host"):
        parse_picture_url(f"http://{host}/", PORTS)


@pytest.mark.parametrize(
    "text",
    [
        *("http://example.org@127.0.0.1/", "http://a:b@example.org/", "http://@example.org/"),
        *("http://a%40b@example.org/", "http://a@b@example.org/", "http://[::1]@example.org/"),
    ],
)
def test_names_and_passwords_are_refused(text):
    with pytest.raises(InvalidParameter, match="user name"):
        parse_picture_url(text, PORTS)


@pytest.mark.parametrize(
    "text",
    [
        *("", "example.org", "//example.org/a", "/a.jpg", "http:/example.org", "http:example.org"),
        *("ftp://example.org/", "file:///etc/passwd", "gopher://example.org/", "data:image/png,"),
        *("javascript:alert(1)", "jar:http://example.org!/", "unix:///run/x", "ws://example.org/"),
        *("http://example.org\\@127.0.0.1/", "http://example.org\\a", "http\\://example.org/"),
        *("http+unix://%2Frun/", " h ttp://example.org/", "httpx://example.org/"),
    ],
)
def test_other_schemes_and_forms_are_refused(text):
    with pytest.raises(InvalidParameter, match="must begin like http://"):
        parse_picture_url(text, PORTS)


@pytest.mark.parametrize("mark", ["\r\n", "\t", "\0", "\x1f", "\x7f", "\x85", "\ud800", "\n"])
def test_what_could_end_a_line_is_refused(mark):
    with pytest.raises(InvalidParameter, match="can't be seen"):
        parse_picture_url(f"http://example.org/a{mark}Host: b", PORTS)


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("http://example.org:22/", 22),
        ("https://example.org:8443/", 8443),
        ("http://example.org:0/", 0),
        ("http://[2600::1]:6379/", 6379),
        ("http://example.org:65616/", 65616),  # 80, for whom 16 bits are enough
    ],
)
def test_other_ports_are_refused_with_those_that_are_not(text, port):
    with pytest.raises(InvalidParameter, match=rf"port {port}; .* from 80, 443 \(WHATSIT_FETCH_"):
        parse_picture_url(text, PORTS)


def test_a_long_address_is_refused_by_its_length():
    stem = "http://example.org/"
    longest = stem + "a" * (MAX_URL_LENGTH - len(stem))

    assert str(parse_picture_url(longest, PORTS)) == longest
    with pytest.raises(InvalidParameter, match="2,048"):
        parse_picture_url(f"{longest}a", PORTS)


@pytest.mark.parametrize(
    "address",
    [
        *("8.8.8.8", "1.1.1.1", "93.184.215.14", "100.63.255.255", "100.128.0.0", "172.15.0.1"),
        *("172.32.0.1", "192.167.1.1", "223.255.255.254", "168.63.129.15"),
        *("2600::1", "2606:4700:4700::1111", "2a00:1450:4001:80b::200e", "64:ff9b::808:808"),
    ],
)
def test_public_addresses_are_fetched_from(address):
    assert is_fetchable(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.254"),
        *("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1"),
        *("169.254.1.1", "169.254.169.254", "169.254.170.2", "168.63.129.16", "100.100.100.200"),
        *("192.0.0.192", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.19.255.255"),
        *("198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1"),
        "255.255.255.255",
        *(
            "::",
            "::1",
            "fe80::1",
            "fe80::1%1",
            "fec0::1",
            "fc00::1",
            "fd00:ec2::254",
            "fd20:ce::254",
        ),
        *("ff02::1", "ff0e::1", "2001:db8::1", "3fff::1", "5f00::1", "100::1", "4000::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::ffff:0:127.0.0.1"),
        *("::127.0.0.1", "::8.8.8.8"),
        *("2002:7f00:1::", "2002:a00:1::1", "2002:808:808::1"),
        *("2001:0:5ef5:79fd::1", "2001:0:a00:1::f5ff:fffe", "2001:10::1", "2001:2::1"),
        *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::a00:1", "64:ff9b:1::a00:1"),
        *("2600::5efe:7f00:1", "2600::200:5efe:10.0.0.1"),
    ],
)
def test_no_other_address_is(address):
    assert not is_fetchable(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("address", "fetchable"),
    [
        ("10.1.2.3", True),
        ("10.2.0.1", False),
        ("fd00::7", True),
        ("fd01::7", False),
        ("::ffff:10.1.2.3", False),
        ("8.8.8.8", True),
    ],
)
def test_an_operator_may_allow_networks(address, fetchable):
    allowed = parse_networks("10.1.0.0/16, fd00::/16")

    assert is_fetchable(ipaddress.ip_address(address), allowed) is fetchable


_pieces = st.sampled_from(
    [
        *("http", "https", "HTTP", "://", ":", "/", "//", "\\", "@", "#", "?", "[", "]", "%", "."),
        *("127.0.0.1", "0x7f", "0177", "127.1", "::1", "::ffff:", "example", "org", "localhost"),
        *(
            ":80",
            ":443",
            ":22",
            "%2e",
            "%00",
            "。",
            "①",
            "ß",
            "ü",
            "xn--",
            "\u200d",
            " ",
            "\t",
            "\r\n",
        ),
    ]
)


@given(st.one_of(st.lists(_pieces, max_size=12).map("".join), st.text(max_size=60)))
@example("http://[::ffff:127.0.0.1]/")
def test_whatever_is_read_says_one_thing_only(text):
    for written in (text, f"http://{text}", f"https://example.org/{text}"):
        try:
            url = parse_picture_url(written, PORTS)
        except InvalidParameter:
            continue
        assert url.port in PORTS
        assert url.scheme in ("http", "https")
        assert set(url.host) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-.:")
        assert (":" in url.host) <= (url.literal is not None)
        assert url.target.startswith("/")
        assert url.target.isascii()
        assert not set(url.target) & set(" \t\r\n\0\\#")
        # What ends in a number is an IP address in its usual form, and checked as one.
        if url.host.rpartition(".")[2].isdigit() and ":" not in url.host:
            assert str(url.literal) == url.host
        assert parse_picture_url(str(url), PORTS) == url


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_inside_another_is_never_more_public(inner):
    for outer in (
        int(ipaddress.ip_address("::ffff:0:0")) | int(inner),
        int(ipaddress.ip_address("64:ff9b::")) | int(inner),
        0x2002 << 112 | int(inner) << 80,
        0x20010000 << 96 | (int(inner) ^ 0xFFFFFFFF),
    ):
        if is_fetchable(ipaddress.IPv6Address(outer)):
            assert is_fetchable(inner)


def test_ports_are_a_list_with_commas():
    assert parse_ports("80, 443,8080,") == {80, 443, 8080}


@pytest.mark.parametrize("text", ["", ",", "http", "0", "65536", "-1", "80;443", "80 443", "٨٠"])
def test_what_is_no_list_of_ports_is_refused_with_a_sentence(text):
    with pytest.raises(ValueError, match="is not a list of ports; write something like 80, 443"):
        parse_ports(text)
