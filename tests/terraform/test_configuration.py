"""The configuration is sound, and its own tests pass; seeded mistakes are found."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.terraform.conftest import SOURCE, Outcome, Terraform, resources

pytestmark = pytest.mark.shared

STACKS = sorted(str(path.relative_to(SOURCE)) for path in (SOURCE / "stacks").iterdir())
TESTED = sorted(str(path.parent.relative_to(SOURCE)) for path in SOURCE.glob("*/*/tests"))


OS_DISK = """  os_disk {
    caching              = "ReadWrite"
    storage_account_type = "StandardSSD_LRS"
    disk_size_gb         = var.disk_gb
  }
"""


def test_every_part_is_known_here():
    assert len(STACKS) == 4
    assert len(TESTED) == 9, "each module and each stack has tests"
    assert len(resources()) > 20


def test_the_files_have_the_usual_form():
    if shutil.which("terraform") is None:
        pytest.skip("Terraform is not installed.")
    done = subprocess.run(
        ["terraform", "fmt", "-check", "-recursive", "-diff"],
        cwd=SOURCE,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_is_valid(terraform: Terraform, stack: str):
    terraform.init(stack)

    assert terraform.validate(stack) == []


@pytest.mark.parametrize("part", TESTED)
def test_the_tests_of_a_part_pass(terraform: Terraform, part: str):
    terraform.init(part)
    tested = terraform.test(part)

    assert tested.returncode == 0, tested.complaints or tested.output
    written = "".join(
        file.read_text(encoding="utf-8") for file in (SOURCE / part / "tests").iterdir()
    )
    assert len(tested.passed) == len(re.findall(r'^run "', written, re.MULTILINE))


def test_no_plan_and_no_state_holds_the_password(vm_tests: Outcome):
    assert "redis_password" in vm_tests.output, "the plans are printed"
    stand_in = Path(__file__).with_name("stand_in.py").read_text(encoding="utf-8")
    (password,) = re.findall(r'^PASSWORD = "(\w+)"', stand_in, re.MULTILINE)
    assert password not in vm_tests.output


@pytest.mark.parametrize(
    ("file", "right", "wrong", "complaint"),
    [
        (
            "modules/access/main.tf",
            "rbac_authorization_enabled = true",
            "enable_rbac_authorization = true",
            'An argument named "enable_rbac_authorization" is not expected here',
        ),
        (
            "modules/vm/main.tf",
            OS_DISK,
            "",
            "Insufficient os_disk blocks",
        ),
        (
            "modules/access/main.tf",
            "azurerm_user_assigned_identity.whatsit.principal_id",
            "azurerm_user_assigned_identity.whatsit.object_id",
            'This object has no argument, nested block, or exported attribute named "object_id"',
        ),
        (
            "modules/network/main.tf",
            "default_outbound_access_enabled = false",
            'default_outbound_access_enabled = "never"',
            "a bool is required",
        ),
        (
            "modules/network/main.tf",
            '"azurerm_dns_a_record" "whatsit"',
            '"azurerm_dns_address_record" "whatsit"',
            'does not support resource type "azurerm_dns_address_record"',
        ),
    ],
    ids=["argument", "missing block", "reference", "type", "resource"],
)
def test_a_mistake_is_found_without_running(
    spoilt: Terraform, file: str, right: str, wrong: str, complaint: str
):
    change(spoilt, file, right, wrong)
    spoilt.init("stacks/vm")

    assert re.search(complaint, "\n".join(spoilt.validate("stacks/vm")))


@pytest.mark.parametrize(
    ("part", "file", "right", "wrong", "complaint"),
    [
        (
            "modules/network",
            "modules/network/main.tf",
            '["8501"]',
            '["8501", "6379"]',
            'Open: .*"6379"',
        ),
        (
            "modules/network",
            "modules/network/main.tf",
            "[var.ssh_from]",
            '["0.0.0.0/0"]',
            "22 is open to",
        ),
        (
            "modules/vm",
            "modules/vm/user_data.tf",
            "COMPOSE_FILE =",
            'REDIS_PASSWORD = "hunter2"\nCOMPOSE_FILE =',
            "gets other values",
        ),
        (
            "modules/vm",
            "modules/vm/user_data.tf",
            "COMPOSE_FILE =",
            "REDIS_PASSWORD = ephemeral.random_password.redis.result\nCOMPOSE_FILE =",
            "[Ee]phemeral value",
        ),
        (
            "modules/vm",
            "modules/vm/main.tf",
            "  value_wo         = ephemeral.random_password.redis.result",
            '  value            = "hunter2"',
            "The password is in the state",
        ),
        (
            "modules/access",
            "modules/access/main.tf",
            '"Key Vault Secrets User"',
            '"Key Vault Administrator"',
            "can't read its secret",
        ),
        (
            "modules/web_app",
            "modules/web_app/main.tf",
            '"@Microsoft.KeyVault(SecretUri=${azurerm_key_vault_secret.redis_url[0].versionless_id})"',
            "azurerm_managed_redis.cache[0].default_database[0].primary_access_key",
            "A setting holds a secret",
        ),
        (
            "stacks/vm",
            "stacks/vm/variables.tf",
            ">= 16",
            ">= 0",
            "ssh_from",
        ),
        (
            "stacks/vm",
            "stacks/vm/variables.tf",
            "var.tls || alltrue",
            "true || alltrue",
            "clients_from",
        ),
        (
            "modules/access",
            "modules/access/main.tf",
            'default_action             = "Deny"',
            'default_action             = "Allow"',
            "The vault is open",
        ),
        (
            "modules/vm",
            "modules/vm/user_data.tf",
            '      ["systemctl", "enable", "--now", "whatsit-firewall.service"],\n',
            "",
            "reach the metadata",
        ),
    ],
    ids=[
        *("port", "ssh", "secret in user data", "password in user data", "secret in state"),
        *("role", "setting", "validation", "everybody", "vault", "metadata"),
    ],
)
def test_a_mistake_is_found_by_the_tests(
    spoilt: Terraform, part: str, file: str, right: str, wrong: str, complaint: str
):
    change(spoilt, file, right, wrong)
    spoilt.init(part)
    tested = spoilt.test(part)

    assert tested.returncode != 0
    assert re.search(complaint, tested.complaints)


def change(spoilt: Terraform, file: str, right: str, wrong: str) -> None:
    path = spoilt.folder / file
    text = path.read_text(encoding="utf-8")
    assert right in text
    path.write_text(text.replace(right, wrong), encoding="utf-8")
