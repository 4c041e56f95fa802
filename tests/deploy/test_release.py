"""What a tag becomes."""

import os
import subprocess
import sys
import tomllib

import pytest
import yaml

from tests.conftest import ROOT
from tests.deploy.scripts import run, write_program

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
SOURCE = f"ghcr.io/example/whatsit@sha256:{'a' * 64}"


def notes(tag: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "deploy" / "scripts" / "release_notes.py"), tag, *arguments],
        capture_output=True,
        text=True,
    )


def test_the_notes_are_those_of_the_version(tmp_path):
    changelog = tmp_path / "CHANGELOG.md"
    changelog.write_text(
        "## [Unreleased]\n\n- Later.\n\n"
        f"## [{VERSION}] - 2026-12-01\n\n- This.\n\n"
        "## [0.0.9]\n\n- Old.\n"
    )
    ran = notes(f"v{VERSION}", str(changelog))

    assert ran.stdout == "- This.\n"


def test_a_tag_of_another_version_is_refused():
    ran = notes("v99.0.0")

    assert ran.returncode == 1
    assert f"pyproject.toml says {VERSION}" in ran.stderr


def test_a_version_without_notes_is_refused(tmp_path):
    (tmp_path / "CHANGELOG.md").write_text("## [Unreleased]\n\n- Later.\n")
    ran = notes(f"v{VERSION}", str(tmp_path / "CHANGELOG.md"))

    assert ran.returncode == 1
    assert "says nothing" in ran.stderr


def compose_of(image: str) -> subprocess.CompletedProcess[str]:
    script = ROOT / "deploy" / "scripts" / "release_compose.py"
    return subprocess.run([sys.executable, str(script), image], capture_output=True, text=True)


def test_the_released_compose_file_starts_the_released_image_and_is_else_the_same():
    image = SOURCE.replace("@", f":v{VERSION}@")
    ran = compose_of(image)
    ours = (ROOT / "compose.yaml").read_text(encoding="utf-8")

    assert ran.returncode == 0
    released, kept = yaml.safe_load(ran.stdout), yaml.safe_load(ours)
    assert released["services"]["app"].pop("image") == f"${{WHATSIT_IMAGE:-{image}}}"
    assert kept["services"]["app"].pop("image") == "${WHATSIT_IMAGE:-whatsit}"
    assert released == kept


@pytest.mark.parametrize("image", ["whatsit", "ghcr.io/example/whatsit:v1.2.3", SOURCE])
def test_a_compose_file_for_an_image_without_tag_and_digest_is_refused(image):
    ran = compose_of(image)

    assert ran.returncode == 2
    assert "is not NAME:TAG@sha256:DIGEST" in ran.stderr
    assert ran.stdout == ""


@pytest.fixture
def registry(tmp_path):
    """A registry, as far as ``docker buildx imagetools`` tells, with a digest of our choice."""
    write_program(
        tmp_path / "bin" / "docker",
        f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n'
        f'case $3 in inspect) printf \'{{"digest": "%s"}}\' "$(cat {tmp_path}/digest)" ;; esac\n',
    )
    (tmp_path / "digest").write_text(SOURCE.split("@")[1])
    return tmp_path


def publish(registry, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = f"{registry / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return run("publish_image.sh", "a.azurecr.io/whatsit", *arguments, PATH=path)


def test_a_copy_keeps_its_digest(registry):
    ran = publish(registry, "v1.2.3", SOURCE)

    assert ran.returncode == 0, ran.stderr
    digest = SOURCE.split("@")[1]
    assert ran.stdout == f"digest={digest}\nimage=a.azurecr.io/whatsit@{digest}\n"
    assert "--tag a.azurecr.io/whatsit:latest" in (registry / "asked").read_text()


def test_a_copy_with_another_digest_is_an_error(registry):
    (registry / "digest").write_text(f"sha256:{'b' * 64}")
    ran = publish(registry, "v1.2.3", SOURCE)

    assert ran.returncode == 1
    assert not ran.stdout


def test_a_pre_release_is_not_the_latest(registry):
    assert publish(registry, "v1.2.3-rc1", SOURCE, SOURCE).returncode == 0

    assert "latest" not in (registry / "asked").read_text()


def test_a_source_without_a_digest_is_refused(registry):
    assert publish(registry, "v1.2.3", "ghcr.io/example/whatsit:v1.2.3").returncode == 2
