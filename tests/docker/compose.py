"""``docker compose`` for a project of a test's own."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Page

from tests.conftest import ROOT
from tests.e2e.visitor import Complaints, open_page

PASSWORD_FILE = "/var/lib/whatsit-secrets/redis-password"


def docker(*arguments: str) -> str:
    """What the engine's command prints."""
    ran = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=300)
    if ran.returncode != 0:
        raise AssertionError(f"docker {' '.join(arguments)}: {ran.stderr}")
    return ran.stdout.strip()


def image_to_run(published: str, stand_in: str, folder: Path) -> str:
    """The published image where it can be had, else one built from a folder with a Dockerfile."""
    pulled = subprocess.run(["docker", "pull", "--quiet", published], capture_output=True)
    if pulled.returncode == 0:
        return published
    base = os.environ.get("PYTHON_IMAGE", "python:3.13-slim-trixie")
    docker("build", "--quiet", "--build-arg", f"BASE={base}", "--tag", stand_in, str(folder))
    return stand_in


def open_page_in_container(page: Page, url: str) -> Complaints:
    """Open the page, and again where this machine's networks came or went meanwhile.

    A browser gives up all requests then, and starting containers makes networks.

    Returns:
        What the page has complained of since it was opened the last time.
    """
    complaints, lost = Complaints(page, url), []
    page.on("requestfailed", lambda sent: lost.append(sent.failure))
    for _ in range(6):
        complaints.found.clear()
        lost.clear()
        try:
            open_page(page, url)
        except PlaywrightError:
            if not any("ERR_NETWORK_CHANGED" in str(failure) for failure in lost):
                raise
        page.wait_for_timeout(1000)
        if not any("ERR_NETWORK_CHANGED" in str(failure) for failure in lost):
            return complaints
    raise AssertionError("The networks of this machine do not come to rest.")


class Compose:
    """``docker compose`` for a project of its own.

    Args:
        project: Its name; whatever a run before has left of it is removed by `down`.
        environment: Further variables.
        arguments: Options of all commands, such as files and profiles.
        folder: Where the commands run.
    """

    def __init__(
        self,
        project: str,
        environment: Mapping[str, str],
        *arguments: str,
        folder: Path = ROOT,
    ) -> None:
        self.environment = {**os.environ, "COMPOSE_PROJECT_NAME": project, **environment}
        self._arguments = arguments
        self._folder = folder

    def __call__(self, *arguments: str, check: bool = True) -> str:
        """What the command prints."""
        ran = subprocess.run(
            ["docker", "compose", *self._arguments, *arguments],
            cwd=self._folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        if check and ran.returncode != 0:
            raise AssertionError(f"docker compose {' '.join(arguments)}: {ran.stderr}")
        return ran.stdout + ran.stderr

    def inspect(self, service: str) -> list[dict[str, Any]]:
        """What the engine knows about each of a service's containers."""
        found = json.loads(docker("inspect", *self("ps", "--quiet", service).split()))
        return [dict(container) for container in found]

    def redis_password(self) -> str:
        """The password that was made at the first start."""
        return self("exec", "-T", "app", "cat", PASSWORD_FILE).strip()

    def make_key(self) -> str:
        """A new key of the API, made as an operator makes it."""
        printed = self("exec", "-T", "app", "whatsit", "keys", "create", "test")
        return next(word for word in printed.split() if word.startswith("wi_"))

    def memory(self, service: str) -> list[str]:
        """Memory in use and its limit, of each of a service's containers."""
        return [
            docker("stats", "--no-stream", "--format", "{{.MemUsage}}", container["Id"])
            for container in self.inspect(service)
        ]
