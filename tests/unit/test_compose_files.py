"""What the compose files promise of every container, without an engine."""

import json
import os
import re
import subprocess
from typing import Any

import click
import pytest
import yaml

from tests.conftest import ROOT
from whatsit.cli import cli

AZURE_ML = "deploy/azure/ml/environment/Dockerfile"
VM_VARIABLES = "deploy/azure/terraform/stacks/vm/variables.tf"
FILES = ("compose.yaml", "compose.tls.yaml", "compose.monitoring.yaml", "compose.build.yaml")
PAGE = (ROOT / "docs" / "run" / "containers.md").read_text(encoding="utf-8")


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # it comes without types
    """Reads `!reset` of Compose as the value behind it."""


_Loader.add_constructor("!reset", lambda loader, node: loader.construct_sequence(node))


def load(path: str) -> dict[str, Any]:
    # A loader that makes nothing but plain values.
    found = yaml.load((ROOT / path).read_text(encoding="utf-8"), _Loader)
    return dict(found)


PLAIN = load("compose.yaml")
TLS = load("compose.tls.yaml")
MONITORING = load("compose.monitoring.yaml")
SERVICES = {**TLS["services"], **MONITORING["services"], **PLAIN["services"]}
ENTRYPOINT = (ROOT / "deploy" / "docker" / "entrypoint.sh").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_has_few_rights_and_bounds(name):
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["pids_limit"] > 0
    assert service["mem_limit"]
    assert service["restart"] == "unless-stopped"
    assert service["logging"]["driver"] == "json-file"
    assert set(service["logging"]["options"]) == {"max-size", "max-file"}


def test_one_file_is_enough():
    """Nothing of this folder is read, built or mounted, and nothing secret is written in it."""
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")

    assert "name" not in PLAIN, "two folders would be one installation"
    assert not {"secrets", "configs", "include"} & set(PLAIN)
    for service in PLAIN["services"].values():
        assert not {"build", "env_file", "secrets", "configs", "extends"} & set(service)
        sources = [volume.split(":")[0] for volume in service["volumes"]]
        assert set(sources) <= set(PLAIN["volumes"])
    assert "./" not in re.sub(r"#.*", "", text)


def test_the_password_is_made_in_a_volume_that_two_users_read():
    app, redis = PLAIN["services"]["app"], PLAIN["services"]["redis"]
    file = app["environment"]["WHATSIT_REDIS_PASSWORD_FILE"]
    folder = file.rsplit("/", 1)[0]

    assert redis["environment"]["PASSWORD_FILE"] == file
    assert f"secrets:{folder}" in app["volumes"]
    assert f"secrets:{folder}:ro" in redis["volumes"]
    dockerfile = (ROOT / "deploy" / "docker" / "Dockerfile").read_text(encoding="utf-8")
    (group,) = redis["group_add"]
    assert f"groupadd --gid {group} whatsit" in dockerfile
    assert re.search(rf"install .*--mode 0750 .*{folder}$", dockerfile.replace("\\\n", ""), re.M)


@pytest.fixture
def start(tmp_path):
    """Run the entrypoint with an empty model folder, and say what the server would be told."""

    def run(**variables: str) -> dict[str, str]:
        ran = subprocess.run(
            ["sh", "-c", ENTRYPOINT, "sh", "env"],
            env={"PATH": os.environ["PATH"], "WHATSIT_STORE": str(tmp_path), **variables},
            check=True,
            capture_output=True,
            text=True,
        )
        assert ran.stderr == ""
        return dict(line.split("=", 1) for line in ran.stdout.splitlines() if "=" in line)

    return run


def test_the_entrypoint_makes_a_password_once_and_hands_on_its_file_only(start, tmp_path):
    file = tmp_path / "redis-password"
    told = start(WHATSIT_REDIS_PASSWORD_FILE=str(file))
    made = file.read_text()

    assert re.fullmatch("[0-9a-f]{64}", made)
    assert file.stat().st_mode & 0o777 == 0o640
    assert made not in str(told)
    start(WHATSIT_REDIS_PASSWORD_FILE=str(file))
    assert file.read_text() == made
    assert list(tmp_path.iterdir()) == [file]

    other = tmp_path / "other" / "redis-password"
    other.parent.mkdir()
    start(WHATSIT_REDIS_PASSWORD_FILE=str(other))
    assert other.read_text() != made


def test_the_entrypoint_allows_this_machine_s_addresses_beside_the_names_that_are_allowed(start):
    assert start(WHATSIT_ALLOWED_HOSTS="a.example")["WHATSIT_ALLOWED_HOSTS"].startswith("a.example")
    for kept in ("*", "auto"):
        assert start(WHATSIT_ALLOWED_HOSTS=kept)["WHATSIT_ALLOWED_HOSTS"] == kept
    assert "WHATSIT_ALLOWED_HOSTS" not in start()


def test_unless_told_otherwise_this_machine_alone_reaches_the_app_by_its_own_names():
    app = PLAIN["services"]["app"]

    assert app["ports"] == ["${WHATSIT_PUBLISH:-127.0.0.1:8501}:8501"]
    hosts = app["environment"]["WHATSIT_ALLOWED_HOSTS"]
    assert hosts == "${WHATSIT_ALLOWED_HOSTS:-localhost,127.0.0.1,[::1]}"
    # Behind a proxy, the name that the proxy has.
    hosts = TLS["services"]["app"]["environment"]["WHATSIT_ALLOWED_HOSTS"]
    assert hosts == "${WHATSIT_ALLOWED_HOSTS:-${WHATSIT_DOMAIN:-localhost}}"


@pytest.mark.parametrize("path", [*FILES, "deploy/docker/Dockerfile", AZURE_ML, VM_VARIABLES])
def test_images_of_others_are_named_by_tag_and_digest(path):
    text = (ROOT / path).read_text(encoding="utf-8")
    named = re.findall(
        r"(?:[A-Z]+_IMAGE:-|ARG PYTHON_IMAGE=|default     = \"redis:)([^}\"\s]+)", text
    )

    assert named
    for image in named:
        if image != "whatsit":
            assert re.search(r"[\w.-]+@sha256:[0-9a-f]{64}$", image), image


def test_one_image_of_others_has_one_digest():
    digests: dict[str, set[str]] = {}
    for path in (*FILES, "deploy/docker/Dockerfile", AZURE_ML, VM_VARIABLES):
        text = (ROOT / path).read_text(encoding="utf-8")
        for name, digest in re.findall(r"([\w/]+:[\w.-]+)@(sha256:[0-9a-f]{64})", text):
            digests.setdefault(name, set()).add(digest)

    assert len(digests) == 6
    assert all(len(found) == 1 for found in digests.values()), digests


def test_who_asks_for_no_profile_gets_two_containers():
    assert [name for name, one in SERVICES.items() if "profiles" not in one] == ["app", "redis"]
    assert {name: one["profiles"] for name, one in SERVICES.items() if "profiles" in one} == {
        "caddy": ["tls"],
        "nginx": ["tls-nginx"],
        "prometheus": ["monitoring"],
        "grafana": ["monitoring"],
    }


def test_with_tls_the_proxy_alone_is_published_and_shares_one_network_with_the_app():
    app = TLS["services"]["app"]

    assert app["ports"] == []
    for proxy in ("caddy", "nginx"):
        assert set(app["networks"]) & set(TLS["services"][proxy]["networks"]) == {"inside"}
    (subnet,) = TLS["networks"]["inside"]["ipam"]["config"]
    assert app["environment"]["WHATSIT_TRUSTED_PROXIES"] == subnet["subnet"]


def test_what_watches_is_published_to_this_machine_only():
    for name in ("prometheus", "grafana"):
        assert all(port.startswith("127.0.0.1:") for port in SERVICES[name]["ports"])


def test_secrets_are_files_that_are_made_on_first_use():
    made = (ROOT / "deploy" / "monitoring" / "secrets.sh").read_text(encoding="utf-8")
    for name, secret in MONITORING["secrets"].items():
        assert "WHATSIT_SECRETS" in secret["file"]
        assert f'"$folder/{name}"' in made
    for name, service in SERVICES.items():
        for key, value in service.get("environment", {}).items():
            assert not re.search("PASSWORD|TOKEN|SECRET", key) or key.endswith("_FILE"), name
            assert not re.search("://.*:.*@", value)


def test_everything_that_is_mounted_from_here_is_here():
    sources = [
        source
        for service in SERVICES.values()
        for volume in service.get("volumes", ())
        if (source := volume.split(":")[0]).startswith("./")
    ]

    assert len(sources) >= 7
    for source in sources:
        assert (ROOT / source).exists(), source


def test_prometheus_watches_the_job_that_the_alerts_speak_of():
    (job,) = load("deploy/monitoring/prometheus-compose.yml")["scrape_configs"]
    rules = (ROOT / "deploy" / "monitoring" / "prometheus-rules.yml").read_text(encoding="utf-8")

    assert f'job="{job["job_name"]}"' in rules
    key = job["authorization"]["credentials_file"]
    assert key.removeprefix("/run/secrets/") in SERVICES["prometheus"]["secrets"]
    (names,) = job["dns_sd_configs"]
    assert names["names"] == ["app"]


def test_grafana_finds_prometheus_and_the_dashboard():
    (source,) = load("deploy/monitoring/grafana/datasource.yml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert source["isDefault"] is True
    (provider,) = load("deploy/monitoring/grafana/dashboards.yml")["providers"]
    targets = [volume.split(":")[1] for volume in SERVICES["grafana"]["volumes"]]
    dashboard = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert dashboard in targets
    assert dashboard.startswith(provider["options"]["path"])
    text = (ROOT / "deploy" / "monitoring" / "grafana-dashboard.json").read_text(encoding="utf-8")
    variables = json.loads(text)["templating"]["list"]
    assert any(one["type"] == "datasource" and one["query"] == source["type"] for one in variables)


def test_every_variable_is_documented_with_its_default():
    used = {
        found
        for name in FILES
        for found in re.findall(r"\$\{(\w+)", (ROOT / name).read_text(encoding="utf-8"))
    }

    assert len(used) > 20
    assert sorted(name for name in used if f"`{name}`" not in PAGE) == []
    documented = set(re.findall(r"`(\w+_(?:IMAGE|PUBLISH\w*|MEMORY|REPLICAS|DOMAIN))`", PAGE))
    assert documented <= used


def test_the_commands_of_the_page_name_what_there_is():
    known = {profile for one in SERVICES.values() for profile in one.get("profiles", ())}
    shown = re.findall(r'PROFILE="?([a-z -]+?)"?(?:`| ARGS|\n)', PAGE)
    assert {name for words in shown for name in words.split()} == known - {"tls-nginx"}
    commands = re.findall(r"docker compose (exec|logs|restart) (\w+)(?: ([^`\n]+))?", PAGE)
    assert len(commands) >= 5
    groups = {name: one for name, one in cli.commands.items() if isinstance(one, click.Group)}
    for verb, service, rest in commands:
        assert service in SERVICES
        if verb == "exec" and rest.startswith("whatsit"):
            _, group, command, *_ = rest.split()
            assert command in groups[group].commands
