"""``run_pipeline.sh``: ``az`` is replaced, GitHub's tokens come from a small server."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.deploy.scripts import run, write_program
from tests.scripted_server import Prepared, ScriptedServer

# Answers one status after the other; ``expired`` is what Azure says an hour after signing in.
_AZ = """#!{python}
import sys
from pathlib import Path
folder = Path({folder!r})
arguments = sys.argv[1:]
with (folder / "asked").open("a") as asked:
    print(*arguments, file=asked)
if arguments[:1] == ["login"]:
    (folder / "signed-in").touch()
elif arguments[:3] == ["ml", "job", "create"]:
    print("calm_owl_1")
elif "services.Studio.endpoint" in arguments:
    print("https://ml.azure.com/runs/calm_owl_1")
elif "status" in arguments:
    states = (folder / "states").read_text().split()
    if states[0] == "expired" and not (folder / "signed-in").exists():
        sys.exit("AADSTS700024: Client assertion is not within its valid time range.")
    states = states[1:] if states[0] == "expired" else states
    (folder / "states").write_text(" ".join(states[1:] or states))
    print(states[0])
"""


class Workspace:
    """A workspace of Azure ML that a script reaches by ``az`` alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        write_program(folder / "bin" / "az", _AZ.format(python=sys.executable, folder=str(folder)))
        (folder / "pipeline.yml").write_text("type: pipeline\n")

    def run(self, states: Sequence[str], *arguments: str, **variables: str):
        """Submit the pipeline, which goes through some states."""
        (self.folder / "states").write_text(" ".join(states))
        return run(
            "run_pipeline.sh",
            str(self.folder / "pipeline.yml"),
            *arguments,
            **{
                "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
                "RESOURCE_GROUP": "whatsit",
                "ML_WORKSPACE": "whatsit-ml",
                "POLL_SECONDS": "0.05",
                **variables,
            },
        )

    @property
    def asked(self) -> list[str]:
        """Commands that were given to ``az``."""
        return (self.folder / "asked").read_text().splitlines()


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path)


def test_it_waits_until_the_pipeline_completed(workspace):
    summary = workspace.folder / "summary"
    ran = workspace.run(
        ["Queued", "Running", "Running", "Completed"],
        *("--set", "inputs.epochs=5"),
        GITHUB_STEP_SUMMARY=str(summary),
    )

    assert ran.returncode == 0, ran.stderr
    assert "inputs.epochs=5" in workspace.asked[0]
    assert ran.stderr.count("pipeline: Running\n") == 1
    assert "https://ml.azure.com/runs/calm_owl_1" in summary.read_text()
    assert "It completed." in summary.read_text()


@pytest.mark.parametrize("end", ["Failed", "Canceled"])
def test_a_pipeline_that_does_not_complete_fails(workspace, end):
    ran = workspace.run(["Running", end])

    assert ran.returncode == 1
    assert f"It ended as {end}." in ran.stderr


def test_it_signs_in_again_when_its_time_is_over(workspace):
    with ScriptedServer(Prepared(body=b'{"value": "a-fresh-token"}')) as github:
        ran = workspace.run(
            ["Running", "expired", "Running", "Completed"],
            ACTIONS_ID_TOKEN_REQUEST_URL=f"{github.url}/token?version=1",
            ACTIONS_ID_TOKEN_REQUEST_TOKEN="of-the-job",
            AZURE_CLIENT_ID="client",
            AZURE_TENANT_ID="tenant",
            AZURE_SUBSCRIPTION_ID="subscription",
        )

    assert ran.returncode == 0, ran.stderr
    assert "GET /token?version=1&audience=api://AzureADTokenExchange" in github.heads[0]
    assert "Bearer of-the-job" in github.heads[0]
    (login,) = [line for line in workspace.asked if line.startswith("login")]
    assert "--username client --tenant tenant --federated-token a-fresh-token" in login
    assert "::add-mask::a-fresh-token" in ran.stdout


def test_it_gives_up_when_azure_stays_silent(workspace):
    ran = workspace.run(["expired"], POLL_TROUBLES="2")

    assert ran.returncode == 1
    assert "may still be running" in ran.stderr
