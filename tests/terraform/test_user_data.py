"""What a new machine is told: cloud-init takes it, and the scripts in it are sound."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tests.terraform.conftest import SOURCE, Outcome

SCRIPTS = sorted((SOURCE / "modules" / "vm" / "files").glob("*.sh"))


@pytest.fixture(scope="session")
def told(vm_tests: Outcome) -> dict[str, str]:
    """The user data of both variants."""
    return {variant: vm_tests.outputs(variant)["user_data"] for variant in ("plain", "tls")}


def files_in(user_data: str) -> dict[str, str]:
    """Path to content of the files that are written."""
    document: dict[str, Any] = yaml.safe_load(user_data)
    return {file["path"]: file["content"] for file in document["write_files"]}


@pytest.mark.shared
@pytest.mark.parametrize("variant", ["plain", "tls"])
def test_cloud_init_takes_it(told: dict[str, str], variant: str, tmp_path: Path):
    if shutil.which("cloud-init") is None:
        pytest.skip("cloud-init is not installed (apt-get install cloud-init).")
    file = tmp_path / "user-data"
    file.write_text(told[variant], encoding="utf-8")
    done = subprocess.run(
        ["cloud-init", "schema", "--config-file", str(file)], capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Valid" in done.stdout


@pytest.mark.shared
@pytest.mark.parametrize("variant", ["plain", "tls"])
def test_all_that_the_compose_files_mount_is_carried(told: dict[str, str], variant: str):
    files = files_in(told[variant])
    settings = dict(line.partition("=")[::2] for line in files["/opt/whatsit/.env"].splitlines())
    mounted = set()
    for name in settings.get("COMPOSE_FILE", "compose.yaml").split(":"):
        if not (ROOT / name).exists():
            pytest.skip(f"There is no {name} here.")
        for service in yaml.load(files[f"/opt/whatsit/{name}"], Loose)["services"].values():
            if service.get("profiles", ["tls"]) == ["tls"]:
                mounted |= {
                    mount.split(":")[0].removeprefix("./")
                    for mount in service.get("volumes", [])
                    if mount.startswith("./")
                }

    assert "deploy/docker/redis.conf" in mounted
    assert {f"/opt/whatsit/{path}" for path in mounted} <= set(files)


class Loose(yaml.SafeLoader):  # type: ignore[misc]
    """Reads Compose's own tags, such as !reset, as nothing."""


Loose.add_constructor(None, lambda loader, node: None)


@pytest.mark.shared
def test_the_scripts_are_carried_as_they_are_here(told: dict[str, str]):
    files = files_in(told["plain"])

    for script in SCRIPTS:
        assert files[f"/opt/whatsit/{script.name}"] == script.read_text(encoding="utf-8")


def test_the_scripts_are_sound():
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed (apt-get install shellcheck).")
    done = subprocess.run(
        ["shellcheck", "--external-sources", *map(str, SCRIPTS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert len(SCRIPTS) == 4
    assert done.returncode == 0, done.stdout
