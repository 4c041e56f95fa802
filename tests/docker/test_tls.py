"""TLS in front of two replicas, in containers. Needs an engine: ``make test-docker``.

Where the images of the proxies can't be had, stand-ins are built from the programs that the other
tests use.
"""

import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme

from tests.docker.compose import Compose, docker, image_to_run, open_page_in_container
from tests.e2e.visitor import choose, new_picture, picture_file, require_answer
from tests.support.proxies import CADDY, find_nginx
from whatsit.data import example_pictures

pytestmark = pytest.mark.docker

HTTP, HTTPS = 18080, 18443
URL = f"https://localhost:{HTTPS}"
SERVICES = {"tls": "caddy", "tls-nginx": "nginx"}

CADDY_STAND_IN = """
ARG BASE
FROM ${BASE}
COPY caddy /usr/bin/caddy
ENV XDG_CONFIG_HOME=/config XDG_DATA_HOME=/data
CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]
"""
NGINX_STAND_IN = """
ARG BASE
FROM ${BASE}
COPY nginx /usr/bin/nginx
COPY fill.py /fill.py
RUN mkdir -p /var/cache/nginx
ENTRYPOINT ["python", "/fill.py"]
"""
# What the published image's start does: names in templates become values of the environment.
FILL = """
import os, pathlib, re, sys
source = pathlib.Path("/etc/nginx/templates")
target = pathlib.Path(os.environ["NGINX_ENVSUBST_OUTPUT_DIR"])
for template in source.rglob("*.template"):
    filled = target / template.relative_to(source).with_suffix("")
    filled.parent.mkdir(exist_ok=True)
    value = lambda found: os.environ[found[1]]
    filled.write_text(re.sub(r"[$]{(WHATSIT_\\w+)}", value, template.read_text()))
os.execvp(sys.argv[1], [*sys.argv[1:], "-p", "/var/cache/nginx/"])
"""


@pytest.fixture(scope="module", params=list(SERVICES))
def compose(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Compose]:
    certificates = tmp_path_factory.mktemp("certificates")
    certificates.chmod(0o755)
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(certificates / "authority.pem")
    issued.private_key_pem.write_to_path(certificates / "key.pem")
    for part in issued.cert_chain_pems:
        part.write_to_path(certificates / "certificate.pem", append=True)
    stand_in = tmp_path_factory.mktemp("stand-in")
    environment = {
        "WHATSIT_PUBLISH_HTTP": f"127.0.0.1:{HTTP}",
        "WHATSIT_PUBLISH_HTTPS": f"127.0.0.1:{HTTPS}",
        "WHATSIT_DOMAIN": "localhost",
        "WHATSIT_RATE_LIMIT": "off",
        "WHATSIT_API_KEYS": "off",
        "WHATSIT_REPLICAS": "2",
        "WHATSIT_NGINX_CERTIFICATE": "files",
        "WHATSIT_CERTIFICATES": str(certificates),
        **proxy_image(request.param, stand_in),
    }
    files = ("--file", "compose.yaml", "--file", "compose.tls.yaml", "--profile", request.param)
    compose = Compose("whatsit-test-tls", environment, *files)
    compose("down", "--volumes", check=False)
    try:
        compose("up", "--detach", "--wait", "--no-build")
        yield compose
    finally:
        compose("down", "--volumes")


def proxy_image(profile: str, folder: Path) -> dict[str, str]:
    """The variable that names a profile's proxy; the folder is used to build a stand-in."""
    folder.mkdir(exist_ok=True)
    if profile == "tls":
        (folder / "Dockerfile").write_text(CADDY_STAND_IN)
        (folder / "caddy").write_bytes(CADDY.read_bytes())
        (folder / "caddy").chmod(0o755)
        return {"CADDY_IMAGE": image_to_run("caddy:2.11-alpine", "whatsit-test-caddy", folder)}
    (folder / "Dockerfile").write_text(NGINX_STAND_IN)
    (folder / "fill.py").write_text(FILL)
    (folder / "nginx").write_bytes(find_nginx().read_bytes())
    (folder / "nginx").chmod(0o755)
    return {"NGINX_IMAGE": image_to_run("nginx:1.31-trixie", "whatsit-test-nginx", folder)}


@pytest.fixture
def service(compose: Compose) -> str:
    return next(name for name in SERVICES.values() if compose("ps", "--quiet", name).strip())


@pytest.fixture
def trust(compose: Compose, service: str) -> ssl.SSLContext:
    """What the proxy's certificate is checked with: Caddy has an authority of its own."""
    if service == "nginx":
        folder = Path(compose.environment["WHATSIT_CERTIFICATES"])
        return ssl.create_default_context(cafile=folder / "authority.pem")
    root = "/data/caddy/pki/authorities/local/root.crt"
    return ssl.create_default_context(cadata=compose("exec", "-T", "caddy", "cat", root))


def test_both_replicas_answer_over_tls(trust):
    names = set()
    for _ in range(4):
        with httpx.Client(base_url=URL, verify=trust, trust_env=False, timeout=20) as client:
            answer = client.post("/api/v1/classify", content=example_pictures()["bee"])
            assert answer.json()["answer"]["label"] == "bee"
            names.add(client.cookies["whatsit_server"])

    assert len(names) == 2


def test_the_page_answers_in_a_browser(browser, compose):
    context = browser.new_context(ignore_https_errors=True)
    page = context.new_page()
    open_page_in_container(page, URL)
    choose(page, picture_file("bee.jpg", example_pictures()["bee"]))
    require_answer(page, "A bee")
    context.close()


def test_http_leads_to_https(compose):
    answer = httpx.get(f"http://localhost:{HTTP}/api/docs", trust_env=False)

    assert answer.status_code == 308
    assert answer.headers["location"] == "https://localhost/api/docs"


def test_only_the_proxy_has_published_ports(compose, service):
    for container in compose.inspect("app") + compose.inspect("redis"):
        assert not any(container["NetworkSettings"]["Ports"].values())
    (proxy,) = compose.inspect(service)
    assert sum(bool(bound) for bound in proxy["NetworkSettings"]["Ports"].values()) == 2


def test_the_visitors_address_is_believed_from_the_proxy_alone(compose, trust):
    """The app counts and answers by it, so whoever is beside the proxy must not choose it."""
    told = compose.inspect("app")[0]["Config"]["Env"]
    (network,) = [value for value in told if value.startswith("WHATSIT_TRUSTED_PROXIES=")]
    (proxy,) = [
        container
        for name in SERVICES.values()
        if compose("ps", "--quiet", name).strip()
        for container in compose.inspect(name)
    ]
    networks = proxy["NetworkSettings"]["Networks"]
    trusted = network.split("=")[1].rsplit(".", 1)[0]
    shared = [
        name
        for name in networks
        if all(name in app["NetworkSettings"]["Networks"] for app in compose.inspect("app"))
    ]

    assert len(shared) == 1
    assert networks[shared[0]]["IPAddress"].startswith(f"{trusted}.")


def test_the_proxy_cannot_write_to_itself_and_has_few_rights(compose, service):
    (proxy,) = compose.inspect(service)
    facts = proxy["HostConfig"]

    assert facts["ReadonlyRootfs"] is True
    assert facts["CapDrop"] == ["ALL"]
    assert "NET_BIND_SERVICE" in {name.removeprefix("CAP_") for name in facts["CapAdd"]}
    print(f"\nmemory of {service}: {compose.memory(service)}")


def test_a_replica_that_is_stopped_costs_no_answer(compose, trust):
    stopped = compose("ps", "--quiet", "app").split()[0]
    picture = new_picture()
    with httpx.Client(base_url=URL, verify=trust, trust_env=False, timeout=20) as client:
        assert client.post("/api/v1/classify", content=picture).status_code == 200
        docker("stop", stopped)
        statuses = [client.post("/api/v1/classify", content=picture).status_code for _ in range(10)]
    assert statuses == [200] * 10
