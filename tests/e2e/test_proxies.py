"""Two replicas behind the proxies that we ship, with the very files that we ship."""

import io
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.e2e.visitor import (
    DESKTOP,
    Complaints,
    choose,
    new_picture,
    open_page,
    picture_file,
    sentence,
)
from tests.support.private_redis import PrivateRedis
from tests.support.proxies import CADDY, RunningProxy, start_caddy, start_nginx
from tests.support.running import RunningServer, start_server
from whatsit.data import example_pictures

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CADDY.exists(), reason="There is no Caddy for this machine."),
]

VISITORS = 10
STARTS = {"caddy": start_caddy, "nginx": start_nginx}
CLASSIFY = "/api/v1/classify"
BEHIND_A_PROXY = {
    "WHATSIT_TRUSTED_PROXIES": "127.0.0.1",
    "WHATSIT_ALLOWED_HOSTS": "localhost",
    "WHATSIT_API_KEYS": "off",
    "WHATSIT_RATE_LIMIT": "off",
}
SECURITY_HEADERS = (
    "content-security-policy",
    "referrer-policy",
    "x-content-type-options",
    "x-frame-options",
)


@dataclass(frozen=True)
class Site:
    """A proxy and the replicas behind it."""

    proxy: RunningProxy
    replicas: tuple[RunningServer, ...]


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, ...]]:
    """Two that share a Redis, told of a proxy on this machine."""
    with ExitStack() as stack:
        redis = stack.enter_context(PrivateRedis(tmp_path_factory.mktemp("redis")))
        environment = {**BEHIND_A_PROXY, "WHATSIT_REDIS_URL": redis.url}
        with ThreadPoolExecutor() as pool:
            servers = [
                start_server(
                    tmp_path_factory.mktemp("replica"),
                    model="efficientnet-lite2",
                    environment=environment,
                )
                for _ in range(2)
            ]
            yield tuple(pool.map(stack.enter_context, servers))


@pytest.fixture(scope="module", params=list(STARTS))
def site(
    request: pytest.FixtureRequest,
    replicas: tuple[RunningServer, ...],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp(request.param)
    with STARTS[request.param](folder, [_address(replica) for replica in replicas]) as proxy:
        yield Site(proxy, replicas)


def _address(replica: RunningServer) -> str:
    return replica.url.removeprefix("http://")


def picture_of(size_bytes: int) -> bytes:
    """A BMP of noise, a little smaller than so many bytes."""
    width = 2400
    height = (size_bytes - 54) // (3 * width)
    row = Image.effect_noise((width, 100), 80).convert("RGB")
    image = row.resize((width, height))
    encoded = io.BytesIO()
    image.save(encoded, "BMP")
    return encoded.getvalue()


def pictures_answered(replica: RunningServer) -> float:
    text = httpx.get(f"{replica.url}/metrics", headers={"Host": "localhost"}, trust_env=False).text
    found = re.findall(r"^whatsit_answers_total\{.*\} (\S+)$", text, re.MULTILINE)
    return sum(float(number) for number in found)


def test_ten_visitors_are_answered_by_both_replicas_and_each_stays_with_one(site, browser: Browser):
    before = [pictures_answered(replica) for replica in site.replicas]
    visits: list[tuple[Page, Complaints]] = []
    for _ in range(VISITORS):
        context = browser.new_context(viewport=DESKTOP, ignore_https_errors=True)
        page = context.new_page()
        complaints = Complaints(page, site.proxy.url)
        visits.append((page, complaints))
        page.goto(site.proxy.url, wait_until="commit")
    for page, _ in visits:
        page.get_by_role("button", name="Choose pictures").wait_for()
    # All ten sessions are open now; what one of them asks must not reach another's replica.
    for page, _ in visits:
        choose(page, picture_file("bee.jpg", example_pictures()["bee"]))
    for page, _ in visits:
        # Ten at once on a busy machine: what counts here is that all are answered.
        expect(sentence(page)).to_contain_text("A bee", timeout=30_000)
    for page, _ in visits:
        choose(page, picture_file("new.png", new_picture()))
    for page, _ in visits:
        page.get_by_text("Computed in").wait_for()

    cookies = [
        {one["value"] for one in page.context.cookies() if one["name"] == "whatsit_server"}
        for page, _ in visits
    ]
    assert [complaints.found for _, complaints in visits] == [[]] * VISITORS
    assert [len(values) for values in cookies] == [1] * VISITORS
    assert len(set.union(*cookies)) == len(site.replicas)
    after = [pictures_answered(replica) for replica in site.replicas]
    assert all(late > early for early, late in zip(before, after, strict=True))
    for page, _ in visits:
        page.context.close()


def test_the_web_socket_is_upgraded_and_stays_open(site, browser):
    context = browser.new_context(ignore_https_errors=True)
    page = context.new_page()
    sockets = []
    page.on("websocket", lambda socket: sockets.append(socket))
    open_page(page, site.proxy.url)

    assert [socket.url.split("?")[0] for socket in sockets] == [
        f"{site.proxy.url.replace('https', 'wss')}/_stcore/stream"
    ]
    assert not sockets[0].is_closed()
    context.close()


def test_a_picture_of_twenty_megabytes_passes(site):
    picture = picture_of(20_000_000)
    assert 19_900_000 < len(picture) <= 20_000_000
    with site.proxy.client() as client:
        answer = client.post(CLASSIFY, content=picture)

    assert answer.status_code == 200, answer.text
    assert answer.json()["answer"]["text"]


@pytest.mark.parametrize("megabytes", [25, 60])
def test_a_larger_one_gets_our_problem_document(site, megabytes):
    with site.proxy.client() as client:
        refused = client.post(CLASSIFY, content=bytes(megabytes * 1_000_000))

    assert refused.status_code == 413
    assert refused.headers["content-type"] == "application/problem+json"
    document = refused.json()
    assert document["code"] == "image_too_large"
    assert document["type"] == "urn:whatsit:problem:image_too_large"
    assert document["status"] == 413
    assert "Make" in document["detail"]


@pytest.mark.parametrize("path", ["/", "/readyz", "/api/v1/models"])
def test_security_headers_are_there_once(site, path):
    with site.proxy.client() as client:
        headers = client.get(path).headers

    for name in (*SECURITY_HEADERS, "strict-transport-security"):
        assert len(headers.get_list(name)) == 1, name


def test_http_leads_to_https(site):
    answer = httpx.get(f"{site.proxy.plain_url}/api/docs?x=1", trust_env=False)

    assert answer.status_code == 308
    # Caddy leaves the port out, which is the usual one.
    assert answer.headers["location"] in (
        f"{site.proxy.url}/api/docs?x=1",
        "https://localhost/api/docs?x=1",
    )


def test_nginx_stops_a_flood_with_our_problem_document(replicas, tmp_path):
    with (
        start_nginx(tmp_path, [_address(replicas[0])], rate="1r/s", burst=3) as proxy,
        proxy.client() as client,
    ):
        answers = [client.get("/api/v1/models") for _ in range(8)]
        page = client.get("/")

    refused = [answer for answer in answers if answer.status_code == 429]
    assert 3 <= len(refused) <= 5
    assert refused[0].headers["content-type"] == "application/problem+json"
    assert refused[0].headers["retry-after"] == "1"
    assert refused[0].json()["code"] == "rate_limited"
    assert page.status_code == 200


@pytest.mark.parametrize("start", STARTS.values(), ids=list(STARTS))
def test_a_replica_that_is_gone_costs_no_answer(start, replicas, tmp_path_factory):
    home, folder = tmp_path_factory.mktemp("leaving"), tmp_path_factory.mktemp("proxy")
    with (
        start_server(home, model="efficientnet-lite2", environment=BEHIND_A_PROXY) as leaving,
        start(folder, [_address(leaving), _address(replicas[0])]) as proxy,
    ):
        leaving.process.terminate()
        leaving.process.wait(20)
        for _ in range(4):
            with proxy.client() as client:
                assert client.post(CLASSIFY, content=example_pictures()["bee"]).status_code == 200
