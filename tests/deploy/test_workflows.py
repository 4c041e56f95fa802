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


JOBS = [
    pytest.param(workflow.name, name, job, id=f"{workflow.stem}-{name}")
    for workflow in WORKFLOWS
    for name, job in read(workflow)["jobs"].items()
]
STEPS = [
    pytest.param(step, id=f"{workflow.stem}-{name}-{index}")
    for workflow in WORKFLOWS
    for name, job in read(workflow)["jobs"].items()
    for index, step in enumerate(job.get("steps", []))
]


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


@pytest.mark.parametrize(("workflow", "name", "job"), JOBS)
def test_a_job_may_write_only_what_is_known_here(workflow, name, job):
    rights = job["permissions"]

    assert set(rights.values()) <= {"read", "write"}
    writing = {right for right, level in rights.items() if level == "write"}
    assert writing == WRITING.get((workflow, name), set())


@pytest.mark.parametrize(("workflow", "name", "job"), JOBS)
def test_a_job_ends_in_time_on_a_machine_that_is_named_exactly(workflow, name, job):
    if "uses" in job:
        return
    assert job["timeout-minutes"] <= 350
    assert "latest" not in job["runs-on"]


@pytest.mark.parametrize(("workflow", "name", "job"), JOBS)
def test_a_job_that_signs_in_to_azure_has_an_environment(workflow, name, job):
    uses = [step.get("uses", "") for step in job.get("steps", [])]
    signs_in = any(action.startswith("azure/login@") for action in uses)

    assert not (signs_in or "ARM_USE_OIDC" in job.get("env", {})) or job["environment"]


@pytest.mark.parametrize("step", STEPS)
def test_what_others_write_reaches_no_shell(step):
    assert "${{" not in step.get("run", "")


@pytest.mark.parametrize("step", STEPS)
def test_a_checkout_keeps_no_token(step):
    if step.get("uses", "").startswith("actions/checkout@"):
        assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("step", STEPS)
def test_files_that_a_step_runs_are_there(step):
    for file in re.findall(r"\bdeploy/[\w./-]+\.\w+", step.get("run", "")):
        path = ROOT / file
        assert path.is_file()
        assert path.suffix != ".sh" or path.stat().st_mode & 0o100


@pytest.mark.parametrize("step", STEPS)
def test_a_make_target_that_a_step_calls_is_there(step):
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert set(re.findall(r"\bmake ([a-z-]+)", step.get("run", ""))) <= set(targets)


def test_dependabot_looks_where_there_is_something():
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())["updates"]

    ecosystems = {update["package-ecosystem"] for update in updates}
    assert {"pip", "docker", "github-actions", "terraform"} <= ecosystems
    for update in updates:
        for folder in update.get("directories", [update.get("directory")]):
            assert list(ROOT.glob(folder.strip("/") or ".")), folder
