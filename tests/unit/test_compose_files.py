"""What the compose files promise of every container, without an engine."""

import json
import re
from typing import Any

import click
import pytest
import yaml

from tests.conftest import ROOT
from whatsit.cli import cli

FILES = ("compose.yaml", "compose.tls.yaml")
PAGE = (ROOT / "docs" / "containers.md").read_text(encoding="utf-8")


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # it comes without types
    """Reads `!reset` of Compose as the value behind it."""


_Loader.add_constructor("!reset", lambda loader, node: loader.construct_sequence(node))


def load(path: str) -> dict[str, Any]:
    # A loader that makes nothing but plain values.
    found = yaml.load((ROOT / path).read_text(encoding="utf-8"), _Loader)
    return dict(found)


PLAIN = load("compose.yaml")
TLS = load("compose.tls.yaml")
SERVICES = {**TLS["services"], **PLAIN["services"]}


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_has_few_rights_and_bounds(name):
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["pids_limit"] > 0
    assert service["mem_limit"]
    assert service["restart"] == "unless-stopped"


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
    made = (ROOT / "deploy" / "docker" / "secrets.sh").read_text(encoding="utf-8")
    for name, secret in PLAIN["secrets"].items():
        if "WHATSIT_SECRETS" in secret["file"]:
            assert f'"$folder/{name}"' in made
    for name, service in SERVICES.items():
        for key, value in service.get("environment", {}).items():
            assert not re.search("PASSWORD|TOKEN|SECRET", key) or key.endswith("__FILE"), name
            assert "redis://" not in value


def test_everything_that_is_mounted_from_here_is_here():
    sources = [
        source
        for service in SERVICES.values()
        for volume in service.get("volumes", ())
        if (source := volume.split(":")[0]).startswith("./")
    ]

    assert len(sources) >= 8
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
