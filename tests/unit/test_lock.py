"""The lock: the versions of `constraints.txt` with hashes, by purpose."""

import json
import re

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.locked import locked
from scripts.lock import purposes
from tests.conftest import ROOT

LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PINS = re.compile(r"^([\w.-]+)==([^\s;]+)", re.MULTILINE)
STALE = "Run: make lock"


def test_it_has_the_versions_of_the_constraints():
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pinned = set(PINS.findall(constraints))
    further = set(PINS.findall(LOCK)) - pinned

    assert pinned <= set(PINS.findall(LOCK)), STALE
    # What builds the package is no dependency of it.
    assert further <= set(PINS.findall(locked(LOCK, {"build"}))), STALE


def test_every_entry_has_hashes_and_a_purpose_and_no_address():
    entries = re.split(r"^(?=\w)", LOCK, flags=re.MULTILINE)[1:]

    assert len(entries) == len(PINS.findall(LOCK)) > 200
    for entry in entries:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\n", entry), entry
        assert re.search(r"\n    # for (\w+ ?)+\n$", entry), entry
    assert not re.search(r"://|--index|--find-links|@ ", LOCK)


@pytest.mark.parametrize("purpose", purposes())
def test_what_a_purpose_asks_for_is_locked_for_it(purpose):
    pinned = dict(PINS.findall(locked(LOCK, {purpose})))
    for line in purposes()[purpose]:
        asked = Requirement(line)
        if asked.marker is None or asked.marker.evaluate():
            assert pinned[canonicalize_name(asked.name)] in asked.specifier, STALE


def test_a_server_needs_nothing_for_training():
    assert not re.search("^(tensorflow|keras|pytest|mypy)", locked(LOCK, {"run", "image"}), re.M)


def test_a_purpose_that_nothing_is_locked_for_is_refused():
    with pytest.raises(ValueError, match="Nothing is locked for: servng"):
        locked(LOCK, {"run", "servng"})


def test_what_checks_the_page_is_locked_by_digest_and_comes_from_npm_itself():
    lock = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))
    asked = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))["devDependencies"]
    own, *packages = lock["packages"].values()

    assert own["devDependencies"] == asked
    assert len(packages) > len(asked)
    for package in packages:
        assert package["integrity"].startswith("sha512-")
        address = package.get("resolved", "https://registry.npmjs.org/")
        assert address.startswith("https://registry.npmjs.org/")


def test_nothing_is_installed_without_a_hash():
    installing = re.compile(r"pip(?:\"| |$).*\b(?:install|wheel|download)\b")
    for path in (
        "Makefile",
        "deploy/docker/Dockerfile",
        "deploy/azure/ml/environment/Dockerfile",
        ".github/workflows/azure-ml.yml",
    ):
        text = (ROOT / path).read_text(encoding="utf-8").replace("\\\n", " ")
        lines = [line for line in re.split("\n|&&", text) if installing.search(line)]
        assert lines
        for line in lines:
            by_hash = "--require-hashes" in line or "-r deploy/checks.txt" in line
            assert by_hash or "--no-index" in line, f"{path}: {line}"
    for name in ("checks.txt", "site.txt"):
        pins = (ROOT / "deploy" / name).read_text(encoding="utf-8")
        hashed = re.findall(r"^\S.*\\\n    --hash=sha256", pins, re.M)
        assert len(PINS.findall(pins)) == len(hashed) > 10
