"""What a new machine is told: cloud-init takes it, and the scripts in it are sound."""

import configparser
import re
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
        for service in yaml.load(files[f"/opt/whatsit/{name}"], Loose)["services"].values():
            if service.get("profiles", ["tls"]) == ["tls"]:
                mounted |= {
                    mount.split(":")[0].removeprefix("./")
                    for mount in service.get("volumes", [])
                    if mount.startswith("./")
                }

    assert (variant == "tls") == bool(mounted), "the two containers alone mount nothing"
    assert {f"/opt/whatsit/{path}" for path in mounted} <= set(files)


class Loose(yaml.SafeLoader):  # type: ignore[misc]
    """Reads Compose's own tags, such as !reset, as nothing."""


Loose.add_constructor(None, lambda loader, node: None)


@pytest.mark.shared
def test_the_scripts_are_carried_as_they_are_here(told: dict[str, str]):
    files = files_in(told["plain"])

    for script in SCRIPTS:
        assert files[f"/opt/whatsit/{script.name}"] == script.read_text(encoding="utf-8")


@pytest.mark.shared
@pytest.mark.parametrize("variant", ["plain", "tls"])
def test_containers_are_kept_from_the_metadata_at_each_start_of_docker(
    told: dict[str, str], variant: str
):
    files = files_in(told[variant])
    unit = configparser.ConfigParser(strict=False)
    unit.read_string(files["/etc/systemd/system/whatsit-firewall.service"])
    service = configparser.ConfigParser(strict=False)
    service.read_string(files["/etc/systemd/system/whatsit.service"])

    # After the chain is made, again whenever Docker starts again, and at each boot.
    for name in ("After", "Requires", "PartOf"):
        assert unit["Unit"][name] == "docker.service"
    assert unit["Install"]["WantedBy"] == "docker.service"
    assert unit["Service"]["ExecStart"] in files
    # No container of ours starts where it failed.
    for name in ("After", "Requires"):
        assert "whatsit-firewall.service" in service["Unit"][name].split()
    commands = yaml.safe_load(told[variant])["runcmd"]
    assert commands.index(["systemctl", "enable", "--now", "docker.service"]) < commands.index(
        ["systemctl", "enable", "--now", "whatsit-firewall.service"]
    )


@pytest.mark.shared
def test_systemd_takes_the_units(told: dict[str, str], tmp_path: Path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed (apt-get install systemd).")
    paths = []
    for path, content in files_in(told["plain"]).items():
        if path.startswith("/etc/systemd/system/"):
            # The programs are those of the machine, which this one is not.
            content = re.sub(r"^Exec(\w+)=.*", r"Exec\1=/bin/true", content, flags=re.MULTILINE)
            paths.append(tmp_path / Path(path).name)
            paths[-1].write_text(content, encoding="utf-8")
    docker = tmp_path / "docker.service"
    docker.write_text("[Service]\nExecStart=/bin/true\n", encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", *map(str, [*paths, docker])], capture_output=True, text=True
    )

    assert len(paths) == 2
    assert str(tmp_path) not in done.stderr, done.stderr
    assert done.returncode == 0, done.stderr


def test_the_scripts_are_sound():
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed (apt-get install shellcheck).")
    done = subprocess.run(
        ["shellcheck", "--external-sources", *map(str, SCRIPTS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert len(SCRIPTS) == 5
    assert done.returncode == 0, done.stdout
