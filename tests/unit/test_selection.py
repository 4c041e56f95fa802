"""A skip that nobody expected fails a run that asks for it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.selection import EXTENDED, TESTS

CONFTEST = """
from pathlib import Path
from tests.support.selection import SkipWatch

def pytest_configure(config):
    config.pluginmanager.register(SkipWatch(Path(__file__).parent / "allowed.txt"))
"""


def test_every_extended_place_exists():
    assert [place for place in EXTENDED if not (TESTS / place).exists()] == []


@pytest.mark.parametrize(
    ("reason", "expected"), [("There is no moon tonight.", 0), ("I did not feel like it.", 1)]
)
@pytest.mark.parametrize("place", ["test", "module"])
def test_a_skip_has_to_be_expected(tmp_path: Path, reason: str, expected: int, place: str):
    leave_out = f"import pytest\npytest.skip({reason!r}, allow_module_level=True)\n"
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "allowed.txt").write_text("# The sky:\n^There is no moon\n")
    (tmp_path / "test_runs.py").write_text("def test_runs():\n    pass\n")
    (tmp_path / "test_skips.py").write_text(
        leave_out
        if place == "module"
        else f"import pytest\ndef test_s():\n    pytest.skip({reason!r})\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:xdist"]
    done = subprocess.run(
        [*command, "-c", "/dev/null", "--rootdir", str(tmp_path), str(tmp_path)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == expected, done.stdout + done.stderr
    assert (reason in done.stdout) == bool(expected)
