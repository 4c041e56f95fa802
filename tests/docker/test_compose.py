"""The two containers, started as a newcomer starts them. Needs an engine: ``make test-docker``."""

import re
import subprocess
import time
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import expect

from tests.conftest import ROOT
from tests.docker.compose import PASSWORD_FILE, Compose, docker, open_page_in_container
from tests.e2e.visitor import choose, picture_file, require_answer
from tests.support.waiting import wait_until
from whatsit.data import example_pictures

pytestmark = pytest.mark.docker

PROJECT = "whatsit-test"
PORT = 18501
MAX_IMAGE_BYTES = 600_000_000
URL = f"http://127.0.0.1:{PORT}"


@pytest.fixture(scope="module")
def compose() -> Iterator[Compose]:
    environment = {"WHATSIT_PUBLISH": f"127.0.0.1:{PORT}", "WHATSIT_RATE_LIMIT": "off"}
    compose = Compose(PROJECT, environment)
    compose("down", "--volumes", check=False)
    start = time.monotonic()
    try:
        compose("up", "--detach", "--wait", "--no-build")
        print(f"\nup --wait: {time.monotonic() - start:.1f} s")
        yield compose
    finally:
        compose("down", "--volumes")


@pytest.fixture(scope="module")
def client(compose: Compose) -> Iterator[httpx.Client]:
    """With a key made in the container, as an operator makes it."""
    headers = {"Authorization": f"Bearer {compose.make_key()}"}
    with httpx.Client(base_url=URL, headers=headers, timeout=20, trust_env=False) as client:
        yield client


def test_the_page_and_the_api_answer_through_the_published_port(client):
    assert "<title>" in client.get("/").text
    assert client.get("/readyz").json()["cache"] == "reachable"
    answer = client.post("/api/v1/classify", content=example_pictures()["bee"])
    assert answer.json()["answer"]["label"] == "bee"


def test_the_page_answers_in_a_browser(browser, compose):
    page = browser.new_page()
    complaints = open_page_in_container(page, URL)
    choose(page, picture_file("bee.jpg", example_pictures()["bee"]))
    require_answer(page, "A bee")
    page.get_by_role("button", name="Why?").click()
    expect(page.get_by_role("img", name=re.compile("is bright"))).to_be_visible(timeout=20_000)
    page.get_by_role("link", name="The model").click()
    expect(page.get_by_text("It must not decide anything about people.")).to_be_visible()
    page.close()

    assert complaints.found == []
    log = compose("logs", "app")
    assert "Traceback" not in log
    assert "ModuleNotFoundError" not in log


def test_the_image_is_small(compose):
    image = compose.inspect("app")[0]["Config"]["Image"]
    layers = docker("history", "--human=false", "--format", "{{.Size}}", image).split()
    size_bytes = sum(map(int, layers))
    print(f"\n{image}: {size_bytes / 1e6:.0f} MB unpacked")

    assert size_bytes < MAX_IMAGE_BYTES


def test_the_image_has_no_compiler_and_no_installer(compose):
    for program in ("cc", "gcc", "make", "/opt/whatsit/bin/pip"):
        assert not compose("exec", "-T", "app", "sh", "-c", f"command -v {program} || true").strip()


def test_prometheus_gets_a_key_that_works_and_another_when_that_is_revoked(compose, tmp_path):
    file = tmp_path / "metrics-key"

    def run(script: str) -> None:
        subprocess.run(
            ["sh", f"deploy/monitoring/{script}", str(tmp_path)],
            cwd=ROOT,
            env=compose.environment,
            check=True,
            capture_output=True,
        )

    def make_key() -> str:
        run("key.sh")
        return str(file.read_text().strip())

    def status_with(key: str) -> int:
        headers = {"Authorization": f"Bearer {key}"}
        return int(httpx.get(f"{URL}/metrics", headers=headers, trust_env=False).status_code)

    assert status_with("none") == 401
    run("secrets.sh")
    inode = file.stat().st_ino
    first = make_key()
    assert status_with(first) == 200
    assert make_key() == first
    compose("exec", "-T", "app", "whatsit", "keys", "revoke", first.split("_")[1])
    assert wait_until(lambda: status_with(first) == 401)
    assert status_with(make_key()) == 200
    assert file.stat().st_ino == inode, "the container would still see the old file"


def test_the_second_identical_picture_is_a_hit(client):
    picture = example_pictures()["cat"]
    client.post("/api/v1/classify", content=picture)

    assert client.post("/api/v1/classify", content=picture).json()["cache"] == "hit"


def test_strangers_need_a_key():
    refused = httpx.post(f"{URL}/api/v1/classify", content=b"x", trust_env=False)

    assert refused.status_code == 401


def test_redis_refuses_who_has_no_password_and_what_the_app_does_not_need(compose):
    def ask(*words: str) -> str:
        said: str = compose("exec", "-T", "redis", "redis-cli", *words, check=False)
        return said

    assert "NOAUTH" in ask("ping")
    ours = ("--no-auth-warning", "--user", "whatsit", "--pass", compose.redis_password())
    assert "PONG" in ask(*ours, "ping")
    for command in (["flushall"], ["config", "get", "*"], ["keys", "*"], ["get", "other:key"]):
        assert "NOPERM" in ask(*ours, *command), command


def test_redis_is_not_reached_from_outside_its_network(compose):
    (redis,) = compose.inspect("redis")
    assert not any(redis["NetworkSettings"]["Ports"].values())
    image = redis["Config"]["Image"]
    ran = subprocess.run(
        [
            *("docker", "run", "--rm", "--network", f"{PROJECT}_front", image),
            *("timeout", "5", "redis-cli", "-h", "redis", "ping"),
        ],
        capture_output=True,
        text=True,
    )
    assert "PONG" not in ran.stdout
    assert "NOAUTH" not in ran.stdout + ran.stderr, "it was reached"
    assert ran.returncode != 0


@pytest.mark.parametrize("service", ["app", "redis"])
def test_containers_have_no_rights_and_cannot_write_to_themselves(compose, service):
    (container,) = compose.inspect(service)
    facts = container["HostConfig"]

    assert facts["ReadonlyRootfs"] is True
    assert facts["CapDrop"] == ["ALL"]
    assert facts["Memory"] > 0
    assert facts["PidsLimit"] > 0
    assert compose("exec", "-T", service, "id", "-u").strip() != "0"
    assert "Read-only" in compose("exec", "-T", service, "touch", "/usr/x", check=False)


def test_a_restart_of_redis_loses_no_answer(compose, client):
    picture = example_pictures()["coffee"]
    client.post("/api/v1/classify", content=picture)
    restart = subprocess.Popen(
        ["docker", "compose", "restart", "redis"],
        cwd=ROOT,
        env=compose.environment,
        stderr=subprocess.DEVNULL,
    )
    answers: list[httpx.Response] = []
    while restart.poll() is None or len(answers) < 20:
        answers.append(client.post("/api/v1/classify?cache=refresh", content=picture))
    assert [answer.status_code for answer in answers] == [200] * len(answers)
    assert wait_until(lambda: client.get("/readyz").json()["cache"] == "reachable")


def test_a_new_password_of_redis_is_taken_and_no_answer_is_lost(compose, client):
    picture = example_pictures()["citrus"]
    client.post("/api/v1/classify", content=picture)
    old = compose.redis_password()
    compose("exec", "-T", "app", "rm", PASSWORD_FILE)
    compose("restart")
    compose("up", "--detach", "--wait", "--no-build")

    said = compose(
        *("exec", "-T", "redis", "redis-cli", "--user", "whatsit", "--pass", old, "ping"),
        check=False,
    )
    assert "WRONGPASS" in said
    assert wait_until(lambda: client.get("/readyz").json()["cache"] == "reachable")
    assert client.post("/api/v1/classify", content=picture).json()["cache"] == "hit"


def test_who_asks_by_the_container_s_own_address_is_answered(compose, client):
    """As Prometheus asks each replica; the names of others are refused."""
    (app,) = compose.inspect("app")
    for network in app["NetworkSettings"]["Networks"].values():
        answer = client.get("/api/docs", headers={"Host": f"{network['IPAddress']}:8501"})
        assert answer.status_code == 200
    assert client.get("/api/docs", headers={"Host": "192.0.2.1"}).status_code == 421


def test_memory_is_printed_and_bounded(compose, client):
    for picture in example_pictures().values():
        client.post("/api/v1/classify?cache=bypass", content=picture)
    usage = {service: compose.memory(service) for service in ("app", "redis")}
    print(f"\nmemory: {usage}")
    assert all(usage.values())


def test_down_leaves_nothing_but_the_volumes(compose):
    compose("down")
    left = {
        kind: docker(*words, "--quiet", "--filter", f"label=com.docker.compose.project={PROJECT}")
        for kind, words in {
            "containers": ("ps", "--all"),
            "networks": ("network", "ls"),
            "volumes": ("volume", "ls"),
        }.items()
    }
    assert left["containers"] == left["networks"] == ""
    names = (f"{PROJECT}_{name}" for name in ("cache", "secrets", "state"))
    assert sorted(left["volumes"].split()) == list(names)
