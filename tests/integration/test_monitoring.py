"""Dashboard and alerts speak only of metrics that a real server exports."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import promql_parser as promql
import pytest
import yaml
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import ROOT
from tests.integration.test_api import CLASSIFY, EXPLAIN
from tests.support.running import RunningServer, start_server
from whatsit.data import example_pictures
from whatsit.drift.signals import SHAPE_SIGNALS
from whatsit.telemetry.metrics import Telemetry

FOLDER = ROOT / "deploy" / "monitoring"
DASHBOARD = json.loads((FOLDER / "grafana-dashboard.json").read_text(encoding="utf-8"))
RULES = yaml.safe_load((FOLDER / "prometheus-rules.yml").read_text(encoding="utf-8"))
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]
TARGET_LABELS = {"instance", "job"}
"""Prometheus gives these to everything that it scrapes."""
ONE_A_SCRAPE = {"up"}
"""Prometheus makes these itself."""
COUNTER_FUNCTIONS = {"rate", "increase", "irate", "resets"}


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def expressions() -> dict[str, str]:
    """Every PromQL expression, by where it stands."""
    found = {f"alert {rule['alert']}": rule["expr"] for rule in ALERTS}
    for panel in panels():
        for target in panel["targets"]:
            found[f"panel {panel['title']} {target['refId']}"] = target["expr"]
    for annotation in DASHBOARD["annotations"]["list"]:
        found[f"annotation {annotation['name']}"] = annotation["expr"]
    return {where: text.replace("$__rate_interval", "5m") for where, text in found.items()}


@dataclass
class Use:
    """What an expression asks for: a metric, and how."""

    metric: str
    functions: tuple[str, ...]
    labels: set[str] = field(default_factory=set)
    values: list[tuple[str, str]] = field(default_factory=list)


def uses_of(text: str) -> list[Use]:
    """Every metric of an expression, with the functions around it and the labels asked of it."""
    return list(_walk(promql.parse(text), (), frozenset()))


def _walk(node: Any, functions: tuple[str, ...], labels: frozenset[str]) -> Iterator[Use]:
    if isinstance(node, promql.VectorSelector):
        matchers = node.matchers.matchers
        values = [
            (matcher.name, value)
            for matcher in matchers
            if matcher.op in (promql.MatchOp.Equal, promql.MatchOp.Re)
            for value in matcher.value.split("|")
        ]
        names = {matcher.name for matcher in matchers}
        yield Use(str(node.name), functions, {*labels, *names}, values)
    elif isinstance(node, promql.MatrixSelector):
        yield from _walk(node.vector_selector, functions, labels)
    elif isinstance(node, promql.Call):
        for argument in node.args:
            yield from _walk(argument, (*functions, node.func.name), labels)
    elif isinstance(node, promql.AggregateExpr):
        grouping = set(node.modifier.labels) if node.modifier else set()
        yield from _walk(node.expr, functions, labels | grouping)
    elif isinstance(node, promql.BinaryExpr):
        yield from _walk(node.lhs, functions, labels)
        yield from _walk(node.rhs, functions, labels)
    elif isinstance(node, promql.ParenExpr | promql.UnaryExpr | promql.SubqueryExpr):
        yield from _walk(node.expr, functions, labels)
    else:
        assert isinstance(node, promql.NumberLiteral | promql.StringLiteral), type(node)


@dataclass(frozen=True)
class Exported:
    """What a server exports: samples by name, each with its kind and its labels."""

    kinds: dict[str, str]
    labels: dict[str, list[dict[str, str]]]


def exported_by(server: RunningServer) -> Exported:
    with server.client() as client:
        for params in ({}, {}, {"cache": "bypass"}):
            client.post(CLASSIFY, params=params, content=example_pictures()["bee"])
        client.post(EXPLAIN, content=example_pictures()["bee"])
        client.post(CLASSIFY, content=b"no picture")
        text = client.get("/metrics").text
    kinds: dict[str, str] = {}
    labels: dict[str, list[dict[str, str]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            kinds[sample.name] = family.type
            labels.setdefault(sample.name, []).append(sample.labels)
    return Exported(kinds, labels)


@pytest.fixture(scope="module", params=[1, 2], ids=["one process", "two processes"])
def workers(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def exported(workers: int, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    home = tmp_path_factory.mktemp("home")
    options = ("--no-ui", "--workers", str(workers))
    with start_server(home, *options, model="efficientnet-lite2") as server:
        return exported_by(server)


def test_every_metric_and_label_that_is_asked_for_is_exported(exported):
    asked = 0
    for where, text in expressions().items():
        for use in uses_of(text):
            if use.metric in ONE_A_SCRAPE:
                continue
            asked += 1
            assert use.metric in exported.kinds, f"{where}: {use.metric}"
            known = {name for labels in exported.labels[use.metric] for name in labels}
            assert use.labels - TARGET_LABELS <= known, f"{where}: {use.metric}"
    assert asked > 40


@pytest.mark.extended
def test_every_value_that_is_asked_for_can_occur(exported):
    checked = 0
    for where, text in expressions().items():
        for use in uses_of(text):
            for name, value in use.values:
                watched = {"cache", "code", "failure", "route", "verdict", "window"}
                if name not in watched or value.endswith("*"):
                    continue
                checked += 1
                seen = {labels[name] for labels in exported.labels[use.metric]}
                assert value in seen, f"{where}: {name}={value}"
    assert checked > 10


def test_functions_fit_the_kind_of_the_metric(exported):
    for where, text in expressions().items():
        for use in uses_of(text):
            kind = exported.kinds.get(use.metric, "gauge")
            is_rate = bool(COUNTER_FUNCTIONS & set(use.functions))
            # A histogram's parts and counters only grow, so only their rate says anything.
            grows = kind in {"counter", "histogram"}
            assert is_rate == grows, f"{where}: {use.metric} is a {kind}"
            if "histogram_quantile" in use.functions:
                assert use.metric.endswith("_bucket"), where
                assert "le" in use.labels, f"{where}: the buckets are summed away"


def test_legends_and_sentences_name_labels_that_are_left(exported, workers):
    def require(where: str, template: str, pattern: str, text: str) -> None:
        left = set(TARGET_LABELS)
        tree = promql.parse(text)
        grouped = [node for node in _aggregations(tree) if node.modifier]
        for node in grouped:
            left |= set(node.modifier.labels)
        if not grouped:
            left |= {
                name
                for use in uses_of(text)
                for labels in exported.labels.get(use.metric, [])
                for name in labels
            }
        # With one process there is no such label, and an empty legend in its place.
        left |= {"process"} if workers == 1 else set()
        assert set(re.findall(pattern, template)) <= left, where

    for panel in panels():
        for target in panel["targets"]:
            text = target["expr"].replace("$__rate_interval", "5m")
            require(panel["title"], target["legendFormat"], r"\{\{(\w+)\}\}", text)
    for rule in ALERTS:
        sentences = " ".join(rule["annotations"].values())
        require(rule["alert"], sentences, r"\$labels\.(\w+)", rule["expr"])


def _aggregations(node: Any) -> Iterator[Any]:
    found: list[Any] = []

    def see(inner: Any) -> bool:
        found.append(inner)
        return True

    promql.walk(node, see)
    return (inner for inner in found if isinstance(inner, promql.AggregateExpr))


def test_every_metric_of_ours_is_exported_as_it_is_documented(exported, workers):
    ends = {"histogram": "_bucket"}
    for metric in Telemetry().describe():
        sample = metric.name + ends.get(metric.kind, "")
        assert exported.kinds.get(sample) == metric.kind, metric.name
        further = {"process"} if workers > 1 else set()
        further |= {"le"} if metric.kind == "histogram" else set()
        for labels in exported.labels[sample]:
            assert set(labels) == {*metric.labels, *further}, metric.name


def test_every_metric_that_is_exported_is_documented(exported):
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    parts = re.compile(r"_(bucket|count|sum)$")
    for sample, kind in exported.kinds.items():
        name = parts.sub("", sample) if kind == "histogram" else sample
        assert f"`{name}`" in page


def test_every_alert_says_what_happened_and_what_to_do():
    page = (ROOT / "docs" / "run" / "operate.md").read_text(encoding="utf-8")
    for rule in ALERTS:
        assert set(rule["annotations"]) == {"summary", "description", "runbook"}
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert f"`{rule['alert']}`" in page


@pytest.mark.parametrize("name", ["WhatsitPicturesDifferent", "WhatsitCorrectedMoreOften"])
def test_an_alert_about_pictures_or_answers_names_the_commands_of_the_next_step(name):
    (rule,) = (rule for rule in ALERTS if rule["alert"] == name)

    for command in ("whatsit feedback export", "whatsit pipeline run"):
        assert f"`{command}" in rule["annotations"]["runbook"]


def test_the_alert_about_pictures_leaves_their_size_alone(exported):
    (rule,) = (rule for rule in ALERTS if rule["alert"] == "WhatsitPicturesDifferent")
    signals = {labels["signal"] for labels in exported.labels["whatsit_drift_state"]}
    (excluded,) = re.findall(r'signal!~"([^"]+)"', rule["expr"])

    assert set(excluded.split("|")) == SHAPE_SIGNALS
    assert signals > SHAPE_SIGNALS


def test_every_panel_says_what_to_do_and_uses_the_variables():
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    assert variables == {"datasource", "instance"}
    for panel in panels():
        assert len(panel["description"]) > 60, panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}"
        for target in panel["targets"]:
            assert 'instance=~"$instance"' in target["expr"], panel["title"]


def test_panels_do_not_lie_on_each_other():
    taken: dict[tuple[int, int], str] = {}
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, (panel["title"], taken.get((x, y)))
                taken[x, y] = panel["title"]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_promtool_accepts_rules_and_configuration(tmp_path):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: the package prometheus).")
    key = tmp_path / "whatsit.key"
    key.write_text("a-key")
    configuration = (FOLDER / "prometheus.yml").read_text(encoding="utf-8")
    copy = tmp_path / "prometheus.yml"
    copy.write_text(configuration.replace("/etc/prometheus/whatsit.key", str(key)))
    shutil.copy(FOLDER / "prometheus-rules.yml", tmp_path)

    # The configuration names the rules, so they are checked along with it.
    done = subprocess.run(
        [promtool, "check", "config", str(copy)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert f"{len(ALERTS)} rules found" in done.stdout


def test_metrics_told_by_several_processes_keep_their_kind():
    families: dict[str, Metric] = {
        family.name: family
        for family in text_string_to_metric_families(Telemetry().exposition().decode())
    }
    assert families["whatsit_answers"].type == "counter"
    assert not [name for name in families if name.endswith("_created")]
