"""The address of a Redis is judged when whatsit starts, not when Redis is first asked."""

from pathlib import Path

import pytest
import trustme

from whatsit.access.rate_counters import RedisCounters
from whatsit.cache.address import require_redis_address
from whatsit.cache.redis import connect
from whatsit.errors import SettingsError
from whatsit.settings import load_settings

SECRET = "hunter2"


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``ca.pem`` and ``own.pem``, a certificate with its key."""
    folder = tmp_path_factory.mktemp("pem")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(
        folder / "own.pem"
    )
    (folder / "text.pem").write_text("no certificate")
    return folder


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis://127.0.0.1",
        "redis://127.0.0.1:6380/15",
        "redis://[::1]:6379/0",
        "redis://user:pass%2Fword@host/0",
        "redis://:password@host",
        "redis://host/0?db=1&protocol=2&client_name=whatsit&health_check_interval=30",
        "redis://host?username=u&password=p%20q&socket_keepalive=yes",
        "rediss://host:6380/0?ssl_cert_reqs=none&ssl_check_hostname=false&ssl_min_version=771",
        "rediss://host?ssl_ca_certs={pem}/ca.pem&ssl_certfile={pem}/own.pem&ssl_ciphers=HIGH",
        "rediss://host?ssl_ca_path={pem}",
        "unix:///run/redis.sock?db=1",
        "unix://user:password@/run/redis.sock",
    ],
)
def test_what_a_client_understands_is_taken(url, pem):
    url = url.format(pem=pem)

    require_redis_address(url)

    # The client takes every option too; nothing is sent for it.
    connect(url, timeout_seconds=0.1).connection_pool.make_connection()
    RedisCounters(url, "whatsit")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://h/0?family=0", "option 'family' is unknown; known are client_name, db,"),
        ("redis://h/0?clientname=a", "the nearest is client_name"),
        ("rediss://h/0?ssl_ca_cert=/x", "the nearest is ssl_ca_certs"),
        ("redis://h/0?ssl_cert_reqs=none", "must begin with rediss://"),
        ("unix:///s?socket_keepalive=yes", "option 'socket_keepalive' is unknown"),
        ("redis://h/0?decode_responses=true", "option 'decode_responses' is unknown"),
        ("redis://h/0?connection_class=x", "option 'connection_class' is unknown"),
        ("redis://h/0?retry_on_error=x", "option 'retry_on_error' is unknown"),
        ("redis://h/0?retry=3", "option 'retry' is unknown"),
        ("redis://h/0?socket_timeout=30", "WHATSIT_REDIS_TIMEOUT_SECONDS"),
        ("redis://h/0?db=x", "db must be a whole number"),
        ("redis://h/0?db=-1", "db must be a whole number"),
        ("redis://h/0?protocol=9", "protocol must be 2 or 3"),
        ("redis://h/0?client_name=a%20b", "client_name must be plain"),
        ("redis://h/0?health_check_interval=x", "must be a whole number"),
        ("redis://h/abc", "number of the database"),
        ("redis://h/0/1", "number of the database"),
        ("redis://h:0/0", "address of one server"),
        ("redis://h:99999/0", "address of one server"),
        ("redis://h:port/0", "address of one server"),
        ("http://h/0", "address of one server"),
        ("redis+sentinel://h/0", "proxy before it"),
        ("h:6379", "address of one server"),
        ("unix://run/redis.sock", "three slashes"),
        ("unix://", "three slashes"),
        ("rediss://h?ssl_cert_reqs=maybe", "required or optional or none"),
        ("rediss://h?ssl_check_hostname=maybe", "true or false"),
        ("rediss://h?ssl_ca_certs=/nowhere/ca.pem", "does not name a file: '/nowhere/ca.pem'"),
        ("rediss://h?ssl_ca_path=/nowhere", "does not name a folder"),
        ("rediss://h?ssl_ca_certs={pem}/text.pem", "must name a file of certificates"),
        ("rediss://h?ssl_certfile={pem}/ca.pem", "must name a certificate with its key"),
        (
            "rediss://h?ssl_certfile={pem}/own.pem&ssl_keyfile={pem}/text.pem",
            "must name a certificate with",
        ),
        ("rediss://h?ssl_ciphers=none-such", "ciphers that OpenSSL knows"),
    ],
)
def test_what_a_client_would_refuse_later_stops_the_start(url, said, pem, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    url = url.format(pem=pem)
    monkeypatch.setenv("WHATSIT_REDIS_URL", url)

    with pytest.raises(SettingsError, match=r"^WHATSIT_REDIS_URL: ") as refusal:
        load_settings()
    assert said in refusal.value.detail
    assert refusal.value.detail.endswith(".")
    for build in (lambda: connect(url, timeout_seconds=0.1), lambda: RedisCounters(url, "w")):
        with pytest.raises(SettingsError) as refusal:
            build()
        assert said in refusal.value.detail


@pytest.mark.parametrize(
    "url",
    [
        f"redis://user:{SECRET}@h/0?family=0",
        f"redis://user:{SECRET}#x@h/0",
        f"redis://user:1/{SECRET}@h/0",
        f"redis://user:{SECRET}?x@h/0",
        f"redis://:1?{SECRET}@h/0",
        f"rediss://h?ssl_password={SECRET}&password={SECRET}&db=x",
    ],
)
def test_no_sentence_repeats_a_password(url):
    with pytest.raises(ValueError, match=r".") as refusal:
        require_redis_address(url)
    assert SECRET not in str(refusal.value)
