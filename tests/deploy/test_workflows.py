"""What GitHub runs: pinned, with the least rights, and calling only what is there."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
WRITING = {
    ("release.yml", "build"): {"packages"},
    ("release.yml", "publish"): {"contents", "packages", "id-token", "attestations"},
    ("release.yml", "site"): {"pages", "id-token"},
    ("release.yml", "registry"): {"id-token"},
    ("release.yml", "deploy"): {"actions"},
    ("deploy.yml", "plan"): {"id-token"},
    ("deploy.yml", "apply"): {"id-token"},
    ("deploy.yml", "roll-out"): {"id-token"},
    ("azure-ml.yml", "pipeline"): {"id-token"},
}
PINNED = re.compile(r"uses: (?:\$/\S+|[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$")


def read(workflow: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(workflow.read_text(encoding="utf-8")))


JOBS = {
    (workflow.name, name): job
    for workflow in WORKFLOWS
    for name, job in read(workflow)["jobs"].items()
}
STEPS = [(where, step) for where, job in JOBS.items() for step in job.get("steps", [])]
COMMANDS = [(where, step["run"]) for where, step in STEPS if "run" in step]


def test_the_workflows_are_there():
    assert [path.stem for path in WORKFLOWS] == ["azure-ml", "ci", "deploy", "release"]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_every_action_is_pinned_by_a_commit_and_says_its_version(workflow):
    lines = [line.strip().removeprefix("- ") for line in workflow.read_text().splitlines()]
    used = [line for line in lines if line.startswith("uses:")]

    assert used
    assert [line for line in used if not PINNED.match(line)] == []


def test_one_version_of_an_action_everywhere():
    used = set(re.findall(r"uses: (\S+@\S+)", "".join(path.read_text() for path in WORKFLOWS)))

    actions = [reference.split("@")[0] for reference in used]
    assert sorted(actions) == sorted(set(actions))


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_has_no_rights_of_its_own_and_does_not_run_twice_at_once(workflow):
    content = read(workflow)

    assert content["permissions"] == {}
    assert content["concurrency"]["group"]


def test_a_job_may_write_only_what_is_known_here():
    writing = {}
    for where, job in JOBS.items():
        rights = job["permissions"]
        assert set(rights.values()) <= {"read", "write"}, where
        writing[where] = {right for right, level in rights.items() if level == "write"}

    assert {where: rights for where, rights in writing.items() if rights} == WRITING


def test_a_job_ends_in_time_on_a_machine_that_is_named_exactly():
    for where, job in JOBS.items():
        if "uses" not in job:
            assert job["timeout-minutes"] <= 350, where
            assert "latest" not in job["runs-on"], where


def test_a_job_that_signs_in_to_azure_has_an_environment():
    signing_in = {where for where, job in JOBS.items() if "vars.AZURE_CLIENT_ID" in str(job)}

    assert {where: JOBS[where].get("environment") for where in signing_in} == {
        ("release.yml", "registry"): "release",
        ("deploy.yml", "plan"): "plan",
        ("deploy.yml", "apply"): "production",
        ("deploy.yml", "roll-out"): "production",
        ("azure-ml.yml", "pipeline"): "training",
    }


def test_what_others_write_reaches_no_shell():
    assert [where for where, command in COMMANDS if "${{" in command] == []


def test_a_checkout_keeps_no_token():
    checkouts = [
        (where, step) for where, step in STEPS if "actions/checkout@" in step.get("uses", "")
    ]

    assert checkouts
    for where, step in checkouts:
        assert step["with"]["persist-credentials"] is False, where


def test_files_that_a_step_runs_are_there():
    called = {file for _, run in COMMANDS for file in re.findall(r"\bdeploy/[\w./-]+\.\w+", run)}

    assert "deploy/scripts/roll_out.sh" in called
    for file in called:
        assert (ROOT / file).is_file(), file
        assert not file.endswith(".sh") or (ROOT / file).stat().st_mode & 0o100, file


def test_a_make_target_that_a_step_calls_is_there():
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    called = {target for _, run in COMMANDS for target in re.findall(r"\bmake ([a-z-]+)", run)}

    assert {"check", "check-deploy", "test", "test-docker"} <= called
    assert called <= set(targets)


def test_dependabot_looks_where_there_is_something():
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())["updates"]

    ecosystems = {update["package-ecosystem"] for update in updates}
    assert {"pip", "docker", "github-actions", "terraform"} <= ecosystems
    for update in updates:
        for folder in update.get("directories", [update.get("directory")]):
            assert any(ROOT.glob(f"{folder.strip('/')}/*".lstrip("/"))), folder
