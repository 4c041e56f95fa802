"""The page's own modules: their unit tests under Node, their size, and what imports what."""

import os
import posixpath
import re
import subprocess
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import playwright
import pytest

from tests.conftest import ROOT

ASK = ROOT / "src/whatsit/web/ui/assets/ask"
TESTS = ROOT / "tests/page"
MOST_LINES = 400
MODULES = {path.relative_to(ASK).as_posix(): path.read_text("utf-8") for path in ASK.rglob("*.js")}
# The Node that Playwright brings: a browser is installed for `make test` anyway.
NODE = Path(playwright.__file__).parent / "driver" / "node"


def imports(path: str) -> set[str]:
    """The modules that one imports when it runs; types are not there then."""
    named = re.findall(r'^(?:import|export)\b[^;]*?from "([^"]+)";', MODULES[path], re.MULTILINE)
    return {posixpath.normpath(f"{path}/../{name}") for name in named}


def circle(graph: dict[str, set[str]]) -> list[str]:
    """The modules of a circle, the first and the last the same; empty where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_their_unit_tests_pass():
    files = sorted(str(path.relative_to(ROOT)) for path in TESTS.glob("*.test.js"))
    done = subprocess.run(
        [NODE, "--test", "--test-reporter=tap", *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        # Days and times in words depend on both.
        env=os.environ | {"TZ": "UTC", "LANG": "en_US.UTF-8", "NODE_NO_WARNINGS": "1"},
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert len(files) > 8
    assert re.search(r"^# pass [1-9]\d\d", done.stdout, re.MULTILINE), done.stdout


@pytest.mark.parametrize("suffix", ["js", "css"])
def test_each_can_be_read_at_one_sitting(suffix):
    lengths = {
        path.relative_to(ASK).as_posix(): len(path.read_text("utf-8").splitlines())
        for path in ASK.rglob(f"*.{suffix}")
    }

    assert len(lengths) > 10
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_none_imports_itself_by_way_of_others():
    graph = {path: imports(path) for path in MODULES}

    assert sum(map(len, graph.values())) > 100
    assert set().union(*graph.values()) <= set(graph)
    assert circle(graph) == []


def test_a_circle_is_seen():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})


def test_the_library_knows_nothing_of_the_page():
    for path in MODULES:
        if path.startswith("lib/"):
            assert all(name.startswith("lib/") for name in imports(path)), path
