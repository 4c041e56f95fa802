"""The shape of the tree: who may import whom, and what happens at import."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

SOURCE = ROOT / "src" / "whatsit"

LAYERS: tuple[frozenset[str], ...] = (
    frozenset(
        {
            *("discretion", "errors", "files", "printable", "proxies"),
            *("prediction", "model_card", "labels", "taxonomy"),
        }
    ),
    frozenset(
        {
            *("coded_frames", "containers", "images", "preprocess"),
            *("jpeg", "samples", "shrinking", "strangers", "tiff", "tiff_directory"),
            *("answer", "recognise", "drift", "label_search"),
        }
    ),
    frozenset({"engines"}),
    frozenset({"models"}),
    frozenset({"classifier"}),
    frozenset({"explain", "trial"}),
    frozenset({"cache"}),
    frozenset({"service", "serving", "workers", "client"}),
    frozenset(
        {
            *("exposure", "settings", "bootstrap", "follow", "watch"),
            *("telemetry", "tracing", "keys", "feedback"),
        }
    ),
    frozenset({"web", "jobs", "pipeline"}),
    frozenset({"cli"}),
)
BESIDE_THE_LAYERS = frozenset({"", "data", "testing", "__main__"})
ONE_PLACE = {
    "azure": {"pipeline"},
    "click": {"cli"},
    "fastapi": {"web"},
    "fastapi_offline": {"web"},
    "keras": {"models", "pipeline"},
    "mlflow": {"pipeline"},
    "nncf": {"pipeline"},
    "onnx": {"pipeline"},
    "onnxruntime": {"engines"},
    "opentelemetry": {"tracing"},
    "openvino": {"engines"},
    "prometheus_client": {"telemetry"},
    "pydantic_settings": {"settings"},
    "psycopg": {"feedback"},
    "redis": {"cache"},
    "sqlalchemy": {"feedback"},
    "streamlit": {"web"},
    "tensorflow": {"models", "pipeline"},
    "torch": set[str](),
    "uvicorn": {"web"},
    "yaml": {"pipeline"},
}

MODULES = sorted(SOURCE.rglob("*.py"))


def imports_of(module: Path) -> set[str]:
    """Every module that `module` imports, anywhere in it, by full name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} uses a relative import"
            found.add(str(node.module))
            if node.module == "whatsit":
                found |= {f"whatsit.{alias.name}" for alias in node.names}
    return found


def part_of(module: Path) -> str:
    """The part of the tree that a file belongs to: the first name below ``whatsit``."""
    first = module.relative_to(SOURCE).parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


def level_of(part: str) -> int:
    return next(level for level, parts in enumerate(LAYERS) if part in parts)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_only_point_up_the_list(module):
    part = part_of(module)
    if part in BESIDE_THE_LAYERS:
        return
    for imported in imports_of(module):
        name, _, rest = imported.partition(".")
        target = rest.split(".")[0]
        if name == "whatsit" and target not in {"", "data", "__version__"}:
            assert level_of(target) <= level_of(part), f"{part} imports whatsit.{target}"


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_each_framework_appears_in_one_place(module):
    for imported in imports_of(module):
        places = ONE_PLACE.get(imported.split(".")[0])
        assert places is None or part_of(module) in places, f"{module} imports {imported}"


def test_importing_whatsit_opens_nothing_and_is_quick():
    program = """
import sys, time
events = []
def watch(event, args):
    if event == "open" and not str(args[0]).endswith((".py", ".pyc", ".so")):
        events.append(f"open {args[0]}")
    elif event.startswith(("socket.", "subprocess.")):
        events.append(event)
sys.addaudithook(watch)
start = time.perf_counter()
import whatsit
elapsed = time.perf_counter() - start
print(elapsed, *events)
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    elapsed, *events = run.stdout.split()

    assert events == []
    assert float(elapsed) < 0.5
