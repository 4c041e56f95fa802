"""Which tests belong to ``make test``, and which skips ``make test-all`` accepts."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent
EXTENDED = (
    "azure_ml",
    "contract/test_odd_models.py",
    "deploy",
    "docker",
    "e2e/test_keys.py",
    "e2e/test_languages.py",
    "e2e/test_nothing_leaves.py",
    "e2e/test_policy.py",
    "e2e/test_prefix.py",
    "e2e/test_proxies.py",
    "e2e/test_sign_in.py",
    "e2e/test_visits.py",
    "e2e/test_watch.py",
    "hostile/test_bodies.py",
    "hostile/test_floods.py",
    "hostile/test_hostile.py",
    "integration/test_drift.py",
    "integration/test_pipeline.py",
    "integration/test_processes.py",
    "integration/test_redis_trouble.py",
    "integration/test_tracing.py",
    "model",
    "terraform",
    "training",
    "trouble",
    "unit/test_odd_pictures.py",
)
"""Folders and files that only ``make test-all`` runs; single tests have the mark ``extended``."""

STRICT = "--fail-on-unexpected-skips"


def mark_extended(items: list[pytest.Item]) -> None:
    """Mark each test that stands in `EXTENDED`."""
    places = [TESTS / place for place in EXTENDED]
    for item in items:
        if any(item.path.is_relative_to(place) for place in places):
            item.add_marker(pytest.mark.extended)


class SkipWatch:
    """Fails the run if a test was skipped for a reason that no line of a file allows.

    Args:
        allowed: A file with a regular expression a line; ``#`` begins a comment.
    """

    def __init__(self, allowed: Path) -> None:
        lines = allowed.read_text(encoding="utf-8").splitlines()
        self._allowed = [re.compile(line) for line in lines if line and not line.startswith("#")]
        self._unexpected: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Look at the outcome of one test; tests that are expected to fail count as run."""
        if report.skipped and not hasattr(report, "wasxfail"):
            self._look_at(report.nodeid, report.longrepr)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Look at a module that left itself out."""
        if report.skipped:
            self._look_at(report.nodeid, report.longrepr)

    def _look_at(self, name: str, why: object) -> None:
        reason = str(why[2] if isinstance(why, tuple) else why).removeprefix("Skipped: ")
        if not any(allowed.search(reason) for allowed in self._allowed):
            self._unexpected.append(f"{name}: {reason}")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Turn a green run red."""
        if self._unexpected and session.exitstatus in {pytest.ExitCode.OK, 0}:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """List what was skipped without leave."""
        if self._unexpected:
            terminalreporter.section("skipped, and tests/allowed_skips.txt does not allow it")
            for line in self._unexpected:
                terminalreporter.line(line)
