"""``stack.sh`` with the real Terraform and a configuration that needs no provider."""

import shutil
from pathlib import Path

import pytest

from tests.deploy.scripts import run

needs_terraform = pytest.mark.skipif(
    shutil.which("terraform") is None, reason="Terraform is not installed."
)
_STACK = """\
variable "name" {
  type    = string
  default = "unnamed"
}

resource "terraform_data" "machine" {
  input = var.name
}

output "vm_name" {
  value = terraform_data.machine.output
}

output "password" {
  value     = "hunter2"
  sensitive = true
}

output "lines" {
  value = "one\\nurl=https://example.org"
}
"""
_TEST = """\
run "plan" {
  command = plan

  assert {
    condition     = terraform_data.machine.input == "unnamed"
    error_message = "The name is another."
  }
}
"""


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    folder = tmp_path / "vm"
    folder.mkdir()
    (folder / "main.tf").write_text(_STACK)
    return folder


@needs_terraform
def test_a_plan_is_shown_and_changes_nothing(stack, tmp_path):
    summary = tmp_path / "summary"
    values = {"TFVARS": 'name = "whatsit-vm"', "GITHUB_STEP_SUMMARY": str(summary)}
    ran = run("stack.sh", "plan", str(stack), **values)

    assert ran.returncode == 0, ran.stderr
    assert "### Plan of vm" in summary.read_text()
    assert '+ input  = "whatsit-vm"' in summary.read_text()
    assert "hunter2" not in summary.read_text() + ran.stdout + ran.stderr
    assert not (stack / "terraform.tfstate").exists()


@needs_terraform
def test_what_was_applied_is_told_to_the_next_step_without_secrets(stack, tmp_path):
    output = tmp_path / "output"
    values = {"TFVARS": 'name = "whatsit-vm"', "GITHUB_OUTPUT": str(output)}
    assert run("stack.sh", "apply", str(stack), **values).returncode == 0
    ran = run("stack.sh", "outputs", str(stack), **values)

    assert ran.returncode == 0, ran.stderr
    assert output.read_text() == "vm_name=whatsit-vm\n"


@needs_terraform
@pytest.mark.parametrize(
    ("good", "bad", "own_test"),
    [
        ("  type    =", "  type =  ", False),
        ("terraform_data.machine.output", "terraform_data.other.output", False),
        ('"unnamed"', '"renamed"', True),
    ],
    ids=["form", "validity", "its own test"],
)
def test_the_test_finds(stack, good, bad, own_test):
    if own_test:
        (stack / "name.tftest.hcl").write_text(_TEST)
    assert run("stack.sh", "test", str(stack.parent)).returncode == 0
    (stack / "main.tf").write_text((stack / "main.tf").read_text().replace(good, bad))

    assert run("stack.sh", "test", str(stack.parent)).returncode != 0


@pytest.mark.parametrize("arguments", [("destroy", "."), ("plan",), ("plan", "/nowhere")])
def test_what_it_does_not_know_is_refused(arguments):
    assert run("stack.sh", *arguments).returncode == 2
