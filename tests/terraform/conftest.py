"""Terraform with providers that have the real argument names and nothing behind them."""

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

SOURCE = ROOT / "deploy" / "azure" / "terraform"
collect_ignore = ["stand_in.py"]
CACHE = ROOT / ".cache" / "terraform"
# The wheel carries the schema of azurerm 5.10.0; it is 45 MB, and `tf` pins other packages, so
# neither goes where whatsit's own dependencies are.
SCHEMA_WHEEL, PROVIDER_PACKAGE = "cdktn-provider-azurerm==18.9.0", "tf==1.2.0"


@dataclass(frozen=True)
class Terraform:
    """Terraform in one copy of the configuration."""

    folder: Path
    providers: str

    def __call__(self, *arguments: str, within: str = ".") -> subprocess.CompletedProcess[str]:
        """Run it in a folder of the copy and hand back what it said."""
        return subprocess.run(
            ["terraform", *arguments],
            cwd=self.folder / within,
            env={
                **{name: value for name, value in os.environ.items() if name[:3] != "TF_"},
                "CHECKPOINT_DISABLE": "1",
                "TF_CLI_CONFIG_FILE": os.devnull,
                "TF_IN_AUTOMATION": "1",
                "TF_REATTACH_PROVIDERS": self.providers,
            },
            capture_output=True,
            text=True,
            timeout=240,
        )

    def init(self, within: str) -> None:
        """Make a folder ready for the other commands."""
        done = self("init", "-backend=false", "-input=false", "-no-color", within=within)
        assert done.returncode == 0, done.stdout + done.stderr

    def validate(self, within: str) -> list[str]:
        """What is wrong with the configuration, a line each; empty where nothing is."""
        said = json.loads(self("validate", "-json", within=within).stdout)
        return [f"{each['summary']}: {each.get('detail', '')}" for each in said["diagnostics"]]

    def test(self, within: str) -> "Outcome":
        """Run the tests of a folder."""
        done = self("test", "-json", "-verbose", within=within)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        return Outcome(done.returncode, lines, done.stdout + done.stderr)


@dataclass(frozen=True)
class Outcome:
    """What ``terraform test`` found."""

    returncode: int
    lines: list[dict[str, Any]]
    output: str

    @property
    def passed(self) -> list[str]:
        """Names of the runs that passed."""
        return [
            line["test_run"]["run"]
            for line in self.lines
            if line["type"] == "test_run" and line["test_run"].get("status") == "pass"
        ]

    @property
    def complaints(self) -> str:
        """What was wrong, as one text."""
        return "\n".join(
            f"{line['diagnostic']['summary']}: {line['diagnostic'].get('detail', '')}"
            for line in self.lines
            if line["type"] == "diagnostic"
        )

    def outputs(self, run: str) -> dict[str, Any]:
        """The outputs of a run that applied."""
        for line in self.lines:
            if line["type"] == "test_state" and line["@testrun"] == run:
                found = line["test_state"]["outputs"]
                return {name: each["value"] for name, each in found.items()}
        raise AssertionError(f"The run {run} has no state.")


def copy_of(folder: Path, providers: str) -> Terraform:
    """A copy of all that the configuration reads, in a folder that does not exist yet."""
    shutil.copytree(ROOT / "deploy", folder / "deploy")
    for file in ROOT.glob("compose*.yaml"):
        shutil.copy(file, folder)
    return Terraform(folder / SOURCE.relative_to(ROOT), providers)


@pytest.fixture(scope="session")
def providers(shared: Path) -> Iterator[str]:
    """How Terraform reaches the two stand-ins, which run as long as the tests do.

    They could be started by Terraform as well, but it does so several times in each run of a test.
    """
    tool = shared / "tools" / "terraform-azurerm" / "extract_schema.py"
    if shutil.which("terraform") is None:
        pytest.skip("Terraform is not installed.")
    if not tool.is_file():
        pytest.skip("The tool that reads azurerm's schema is missing from WHATSIT_SHARED.")
    python = _environment()
    (wheel,) = CACHE.glob("*.whl")
    schema = CACHE / "schema.json"
    subprocess.run(
        [sys.executable, tool, wheel, schema, "provider", *sorted(resources())],
        check=True,
        capture_output=True,
    )
    script = Path(__file__).with_name("stand_in.py")
    commands: tuple[list[str | Path], ...] = (
        [python, script, "azurerm", schema, "--dev"],
        [python, script, "random", "--dev"],
    )
    running = [
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        for command in commands
    ]
    reached: dict[str, Any] = {}
    for process in running:
        assert process.stdout is not None
        line = next(line for line in process.stdout if "TF_REATTACH_PROVIDERS=" in line)
        reached |= json.loads(line.partition("=")[2].strip().strip("'"))
    yield json.dumps(reached)
    for process in running:
        process.terminate()
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()


def _environment() -> Path:
    python = CACHE / "venv" / "bin" / "python"
    ready = CACHE / "ready"
    wanted = f"{SCHEMA_WHEEL} {PROVIDER_PACKAGE}"
    if not ready.is_file() or ready.read_text() != wanted:
        shutil.rmtree(CACHE, ignore_errors=True)
        venv.create(CACHE / "venv", with_pip=True, symlinks=True)
        pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check"]
        for command in (
            [*pip, "install", PROVIDER_PACKAGE],
            [*pip, "download", "--no-deps", "--dest", str(CACHE), SCHEMA_WHEEL],
        ):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                pytest.skip(f"The schema of azurerm can't be had: {done.stderr.strip()[-200:]}")
        ready.write_text(wanted)
    return python


def resources() -> set[str]:
    """What of azurerm the configuration uses."""
    found: set[str] = set()
    for file in SOURCE.rglob("*.tf"):
        text = file.read_text(encoding="utf-8")
        found |= set(re.findall(r'^resource "(azurerm_\w+)"', text, re.MULTILINE))
        found |= {f"data.{name}" for name in re.findall(r'^data "(azurerm_\w+)"', text, re.M)}
    return found


@pytest.fixture(scope="session")
def terraform(providers: str, tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """Terraform in a copy that nobody changes."""
    return copy_of(tmp_path_factory.mktemp("terraform") / "copy", providers)


@pytest.fixture
def spoilt(providers: str, tmp_path: Path) -> Terraform:
    """Terraform in a copy to put a mistake into."""
    return copy_of(tmp_path / "copy", providers)


@pytest.fixture(scope="session")
def vm_tests(terraform: Terraform) -> Outcome:
    """The tests of the stack vm, which apply both variants."""
    terraform.init("stacks/vm")
    return terraform.test("stacks/vm")
