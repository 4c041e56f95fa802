"""The shape of the tree: which file may import which, and what happens at import."""

import ast
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from statistics import median

from tests.conftest import ROOT

SOURCE = ROOT / "src" / "whatsit"
MAX_LINES = 400
MAX_MEDIAN_LINES = 150
MAX_TOP_LEVEL_MODULES = 18

LEVELS: tuple[frozenset[str], ...] = (
    frozenset({"clock", "data", "errors", "parallel", "picture", "prediction", "printable"}),
    frozenset({"documents", "files", "outgoing"}),
    frozenset({"cache", "client", "labels", "model_card"}),
    frozenset({"access", "answer", "feedback", "images"}),
    frozenset({"engines", "familiarity"}),
    frozenset({"quality"}),
    frozenset({"drift", "models"}),
    frozenset({"classifier"}),
    frozenset({"explain", "testing"}),
    frozenset({"service"}),
    frozenset({"settings", "telemetry"}),
    frozenset({"running"}),
    frozenset({"opening"}),
    frozenset({"folders", "web"}),
    frozenset({"pipeline"}),
    frozenset({"cli"}),
)
"""Every name below ``whatsit``. A file imports from its own package and from lower levels."""

AT_HOME = {
    "azure": ("pipeline/azure_ml",),
    "click": ("cli",),
    "fastapi": ("web",),
    "fastapi_offline": ("web",),
    "keras": ("models/importers", "pipeline"),
    "mlflow": ("pipeline",),
    "nncf": ("pipeline",),
    "onnx": ("pipeline",),
    "onnxruntime": ("engines/onnxruntime.py",),
    "opentelemetry": ("telemetry/traces.py",),
    "openvino": ("engines",),
    "prometheus_client": ("telemetry",),
    "pydantic_settings": ("settings.py",),
    "psycopg": ("feedback",),
    "redis": ("cache", "access/rate_counters.py"),
    "sqlalchemy": ("feedback",),
    "streamlit": ("web/ui",),
    "tensorflow": ("models/importers", "pipeline"),
    "torch": (),
    "uvicorn": ("web/uvicorn_server.py", "web/caller.py", "web/connection"),
    "yaml": ("pipeline/azure_ml",),
}
"""The only files and folders that import a framework."""

STARTERS = ("cli", "folders/answers.py", "web/processes.py", "web/server.py")
"""What starts something; nothing else imports `whatsit.opening`."""


@cache
def modules() -> dict[str, Path]:
    """The file of every module, by full name."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


@cache
def imports() -> dict[str, frozenset[str]]:
    """Every module that each module imports, anywhere in it, by full name."""
    return {name: frozenset(_imports_of(path)) for name, path in modules().items()}


def _imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} uses a relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in modules() else str(node.module))
    return found


def part_of(module: str) -> str:
    """The first name below ``whatsit``; empty for the package itself."""
    return (*module.split("."), "")[1]


def lies_in(module: str, places: tuple[str, ...]) -> bool:
    path = modules()[module].relative_to(SOURCE).as_posix()
    return any(path == place or path.startswith(f"{place}/") for place in places)


def test_every_top_level_name_is_known():
    assert {part_of(module) for module in modules()} - {"", "__main__"} == set().union(*LEVELS)


def test_a_file_imports_from_its_own_package_and_from_lower_levels():
    level_of = {part: level for level, parts in enumerate(LEVELS) for part in parts}
    wrong = [
        f"{module} imports {imported}"
        for module, found in imports().items()
        for imported in found
        if part_of(module) in level_of
        and part_of(imported) in level_of
        and imported.startswith("whatsit.")
        and part_of(imported) != part_of(module)
        and level_of[part_of(imported)] >= level_of[part_of(module)]
    ]

    assert wrong == []


def test_no_import_goes_in_a_circle():
    graph = {
        module: {imported for imported in found if imported in modules()} - {module}
        for module, found in imports().items()
    }
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise AssertionError(" <- ".join(error.args[1])) from error


def test_each_framework_is_imported_in_one_place():
    wrong = [
        f"{module} imports {imported}"
        for module, found in imports().items()
        for imported in found
        if (home := AT_HOME.get(imported.split(".")[0])) is not None and not lies_in(module, home)
    ]

    assert wrong == []


def test_only_what_starts_something_opens_the_service():
    openers = [module for module, found in imports().items() if "whatsit.opening" in found]

    assert [module for module in openers if not lies_in(module, STARTERS)] == []


def test_no_module_is_long():
    lines = {
        str(path.relative_to(SOURCE)): len(path.read_text(encoding="utf-8").splitlines())
        for path in modules().values()
    }

    assert {name: count for name, count in lines.items() if count > MAX_LINES} == {}
    assert median(lines.values()) <= MAX_MEDIAN_LINES
    assert sum("/" not in name for name in lines if "__" not in name) <= MAX_TOP_LEVEL_MODULES


def test_a_package_says_in_a_sentence_what_it_is():
    silent = [
        module
        for module, path in modules().items()
        if path.name == "__init__.py" and not ast.get_docstring(ast.parse(path.read_text()))
    ]

    assert silent == []


def test_importing_whatsit_opens_nothing_and_loads_nothing_heavy():
    program = """
import sys
events = []
def watch(event, args):
    if event == "open" and not str(args[0]).endswith((".py", ".pyc", ".so")):
        events.append(f"open {args[0]}")
    elif event.startswith(("socket.", "subprocess.")):
        events.append(event)
sys.addaudithook(watch)
import whatsit
heavy = {"numpy", "PIL", "openvino", "pydantic", "fastapi", "streamlit", "redis", "httpx"}
print(*events, *sorted(heavy & set(sys.modules)))
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert run.stdout.split() == []
