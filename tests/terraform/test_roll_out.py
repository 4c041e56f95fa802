"""deploy.sh with a real engine: images come from a registry by digest, and go back by themselves.

Azure is three services on a loopback port. The image is a small server in place of whatsit, one
that answers and one that does not; the compose file, Redis and the secrets are the real ones.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.terraform.azure import CLIENT_ID, Azure
from tests.terraform.conftest import SOURCE

pytestmark = pytest.mark.docker

PORT = 18503
PROJECT = "whatsit-roll-out"
SERVER = """
import http.server, os
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        open(os.environ["WHATSIT_REDIS_PASSWORD_FILE"]).read()
        self.send_response(int(os.environ["STATUS"]))
        self.end_headers()
        self.wfile.write(os.environ["VERSION"].encode())
http.server.ThreadingHTTPServer(("", 8501), Answer).serve_forever()
"""
DOCKERFILE = """
ARG PYTHON_IMAGE=python:3.13-slim-trixie
FROM ${PYTHON_IMAGE}
COPY server.py /server.py
ENV VERSION=%s STATUS=%s
HEALTHCHECK --interval=1s --timeout=2s --retries=2 CMD ["python", "-c", \
"import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/readyz')"]
CMD ["python", "/server.py"]
"""


@dataclass
class Machine:
    """A folder laid out as /opt/whatsit on the machine."""

    folder: Path
    azure: Azure
    images: dict[str, str]

    def run(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of its scripts."""
        return subprocess.run(
            [self.folder / script, *arguments],
            env={**os.environ, "START_SECONDS": "40", "COMPOSE_PROJECT_NAME": PROJECT},
            capture_output=True,
            text=True,
            timeout=180,
        )

    def deploy(self, name: str) -> subprocess.CompletedProcess[str]:
        """Roll an image out."""
        return self.run("deploy.sh", self.images.get(name, name))

    def known(self, file: str) -> str:
        """The name of the image that a file holds; empty where there is none."""
        path = self.folder / file
        image = path.read_text().strip() if path.exists() else ""
        return next((name for name, each in self.images.items() if each == image), image)

    def redis(self, password: str) -> str:
        """What Redis says to a client with this password."""
        return docker(
            *("compose", "--project-name", PROJECT, "exec", "-T", "redis"),
            *("redis-cli", "--user", "whatsit", "--pass", password, "--no-auth-warning", "ping"),
            folder=self.folder,
        )


def docker(*arguments: str, folder: Path = ROOT) -> str:
    done = subprocess.run(
        ["docker", *arguments], cwd=folder, capture_output=True, text=True, timeout=180
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def answer() -> str:
    """What the service says now."""
    return subprocess.run(
        ["curl", "--silent", "--noproxy", "*", f"http://127.0.0.1:{PORT}/"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azure]:
    azure = Azure()
    yield azure
    azure.close()


@pytest.fixture(scope="module")
def images(azure: Azure, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Name to reference by digest, none of them on the engine any more."""
    repository = f"{azure.host}/whatsit"
    folder = tmp_path_factory.mktemp("image")
    login = str(tmp_path_factory.mktemp("login"))
    (folder / "server.py").write_text(SERVER)
    identity = ("--username", "00000000-0000-0000-0000-000000000000")
    docker("--config", login, "login", azure.host, *identity, "--password", "refresh-token")
    made = {}
    for name, status in (("one", 200), ("two", 200), ("three", 200), ("broken", 503)):
        (folder / "Dockerfile").write_text(DOCKERFILE % (name, status))
        base = f"PYTHON_IMAGE={os.environ.get('PYTHON_IMAGE', 'python:3.13-slim-trixie')}"
        tag = f"{repository}:{name}"
        docker("build", "--quiet", "--build-arg", base, "--tag", tag, str(folder))
        docker("--config", login, "push", "--quiet", tag)
        digest = docker("image", "inspect", "--format", "{{index .RepoDigests 0}}", tag).strip()
        docker("image", "rm", tag)
        made[name] = digest
    yield made
    for image in docker("image", "ls", "--quiet", repository).split():
        docker("image", "rm", "--force", image)


@pytest.fixture(scope="module")
def machine(
    azure: Azure, images: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("opt-whatsit")
    carried = SOURCE / "modules" / "vm" / "files"
    for file in (ROOT / "compose.yaml", carried / "compose.password.yaml"):
        shutil.copy(file, folder)
    for script in carried.glob("*.sh"):
        shutil.copy(script, folder)
        (folder / script.name).chmod(0o755)
    redis = os.environ.get("REDIS_IMAGE", "redis:8-trixie")
    (folder / ".env").write_text(
        f"COMPOSE_FILE=compose.yaml:compose.password.yaml\n"
        f"REDIS_IMAGE={redis}\nWHATSIT_PUBLISH={PORT}\n"
    )
    (folder / "identity.env").write_text(
        f"CLIENT_ID={CLIENT_ID}\nVAULT_URL=http://{azure.host}\nREGISTRY={azure.host}\n"
        f"METADATA_URL=http://{azure.host}\nREGISTRY_URL=http://{azure.host}\n"
    )
    yield Machine(folder, azure, images)
    docker("compose", "--project-name", PROJECT, "down", "--volumes", folder=folder)


def test_an_image_goes_out_and_back(machine: Machine):
    """One story, because each step begins where the one before ended."""
    tag = machine.run("deploy.sh", f"{machine.azure.host}/whatsit:one")
    assert tag.returncode == 64
    assert "by its digest" in tag.stdout

    waiting = machine.run("start.sh")
    assert waiting.returncode == 0, "a new machine waits for its first image"
    assert "no image yet" in waiting.stdout

    nothing = machine.deploy("broken")
    assert nothing.returncode == 2
    assert "nothing ran before" in nothing.stdout.splitlines()[-1]
    assert machine.known("current-image") == ""

    first = machine.deploy("one")
    assert first.returncode == 0, first.stderr
    assert first.stdout.splitlines()[-1] == f"deployed: {machine.images['one']}"
    assert answer() == "one"
    assert machine.azure.logins > 0, "pulled by identity"
    assert machine.redis(machine.azure.password).strip() == "PONG"

    second = machine.deploy("two")
    assert second.returncode == 0, second.stderr
    assert answer() == "two"
    assert (machine.known("current-image"), machine.known("previous-image")) == ("two", "one")

    broken = machine.deploy("broken")
    assert broken.returncode == 1
    assert broken.stdout.splitlines()[-1].startswith("rolled back: ")
    assert answer() == "two"
    assert (machine.known("current-image"), machine.known("previous-image")) == ("two", "one")

    absent = machine.deploy(f"{machine.azure.host}/whatsit@sha256:{'0' * 64}")
    assert absent.returncode == 1
    assert "nothing was changed" in absent.stdout
    assert answer() == "two"

    back = machine.deploy("previous")
    assert back.returncode == 0, back.stderr
    assert answer() == "one"
    assert (machine.known("current-image"), machine.known("previous-image")) == ("one", "two")

    third = machine.deploy("three")
    assert third.returncode == 0, third.stderr
    kept = docker(
        "image", "ls", "--digests", "--format", "{{.Digest}}", f"{machine.azure.host}/whatsit"
    )
    assert {f"{machine.azure.host}/whatsit@{digest}" for digest in kept.split()} == {
        machine.images["three"],
        machine.images["one"],
    }

    before, machine.azure.password = machine.azure.password, "TheSecondPasswordOfRedis"
    restarted = machine.run("start.sh")
    assert restarted.returncode == 0, restarted.stderr
    assert machine.redis("TheSecondPasswordOfRedis").strip() == "PONG"
    assert "PONG" not in machine.redis(before)
    assert answer() == "three"

    machine.azure.vault_answers = False
    restarted = machine.run("start.sh")
    assert restarted.returncode == 0, restarted.stderr
    assert "password of the last start" in restarted.stderr
    assert answer() == "three"
    secrets = machine.folder / "secrets"
    assert secrets.stat().st_mode & 0o777 == 0o700
