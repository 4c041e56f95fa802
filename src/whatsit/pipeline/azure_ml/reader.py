"""Reads the definition of a pipeline from Azure's YAML."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

from whatsit.errors import PipelineError
from whatsit.pipeline.azure_ml.definition import (
    Component,
    Folder,
    Job,
    Pipeline,
    Port,
    Reference,
    Value,
    nearest,
    require,
)

_PORT_TYPES = ("boolean", "integer", "number", "string", "uri_folder")


_KEYS = {
    "pipeline": {
        *("$schema", "type", "name", "display_name", "experiment_name", "description", "tags"),
        *("settings", "inputs", "outputs", "jobs"),
    },
    "job": {
        *("type", "component", "display_name", "description", "compute", "environment"),
        *("inputs", "outputs"),
    },
    "component": {
        *("$schema", "type", "name", "display_name", "description", "version", "tags"),
        *("is_deterministic", "environment", "inputs", "outputs", "command"),
    },
    "input": {"type", "description", "default", "min", "max", "enum", "optional", "mode"},
    "output": {"type", "description", "mode"},
}


_FOLDER_KEYS = {"type", "path", "mode"}


_REFERENCE = re.compile(
    r"\$\{\{\s*parent\.(?:inputs\.(?P<input>\w+)|jobs\.(?P<job>\w+)\.outputs\.(?P<output>\w+))\s*\}\}"
)


_OUTPUT_REFERENCE = re.compile(r"\$\{\{\s*parent\.outputs\.(\w+)\s*\}\}")


def load_pipeline(file: Path) -> Pipeline:
    """Read a pipeline's YAML and that of its components.

    It reads the files only; `validate_pipeline` checks that they fit together.

    Raises:
        PipelineError: A file is missing, is not YAML, or contains something unknown.
    """
    facts = _read(file)
    _require_keys(facts, "pipeline", str(file.name))
    require(facts.get("type") == "pipeline", f"{file.name} must say: type: pipeline.")
    settings = _mapping(facts, "settings", file.name)
    jobs = {
        name: _job(name, entry, file) for name, entry in _mapping(facts, "jobs", file.name).items()
    }
    require(bool(jobs), f"{file.name} defines no jobs.")
    require(
        not settings.get("continue_on_step_failure", False),
        f"{file.name} must say continue_on_step_failure: false; "
        "no job starts after another one failed.",
    )
    return Pipeline(
        file,
        {
            name: _value(entry, f"{file.name}: input {name}", file.parent)
            for name, entry in _mapping(facts, "inputs", file.name).items()
        },
        tuple(
            _port(name, entry, "output", file.name).name
            for name, entry in _mapping(facts, "outputs", file.name).items()
        ),
        jobs,
    )


def _job(name: str, entry: Any, file: Path) -> Job:
    where = f"Job {name}"
    require(isinstance(entry, dict), f"{where} must be a mapping.")
    _require_keys(entry, "job", where)
    require(entry.get("type", "command") == "command", f"{where} must say: type: command.")
    component = entry.get("component")
    require(
        isinstance(component, str) and Folder(component.removeprefix("file:")).is_local,
        f"{where} must name the file of its component.",
    )
    inputs: dict[str, Value | Reference] = {}
    for key, bound in _mapping(entry, "inputs", where).items():
        inputs[key] = _bound(bound, f"{where}: input {key}", file.parent)
    outputs = {}
    for key, bound in _mapping(entry, "outputs", where).items():
        match = _OUTPUT_REFERENCE.fullmatch(bound) if isinstance(bound, str) else None
        require(
            match is not None,
            f"{where}: output {key} is {bound!r}, and must be ${{{{parent.outputs.NAME}}}}.",
        )
        outputs[key] = cast(re.Match[str], match).group(1)
    path = file.parent / cast(str, component).removeprefix("file:")
    return Job(name, _component(path), inputs, outputs)


def _component(file: Path) -> Component:
    facts = _read(file)
    _require_keys(facts, "component", file.name)
    require(facts.get("type") == "command", f"{file.name} must say: type: command.")
    for key in ("name", "command", "environment"):
        require(isinstance(facts.get(key), str), f"{file.name} must have a text for {key}.")
    return Component(
        facts["name"],
        facts["command"],
        {
            name: _port(name, entry, "input", file.name)
            for name, entry in _mapping(facts, "inputs", file.name).items()
        },
        {
            name: _port(name, entry, "output", file.name)
            for name, entry in _mapping(facts, "outputs", file.name).items()
        },
    )


def _port(name: str, entry: Any, kind: Literal["input", "output"], where: str) -> Port:
    where = f"{where}: {kind} {name}"
    require(isinstance(entry, dict), f"{where} must be a mapping.")
    _require_keys(entry, kind, where)
    known = _PORT_TYPES if kind == "input" else ("uri_folder",)
    require(
        entry.get("type") in known,
        f"{where} has the type {entry.get('type')!r}; known here: {', '.join(known)}.",
    )
    limits = [entry[key] for key in ("min", "max") if key in entry]
    require(
        all(isinstance(limit, int | float) and not isinstance(limit, bool) for limit in limits),
        f"{where} has a limit that is not a number.",
    )
    choices = entry.get("enum")
    require(
        choices is None
        or (isinstance(choices, list) and all(isinstance(choice, str) for choice in choices)),
        f"{where} has an enum that is not a list of texts.",
    )
    default = entry.get("default")
    port = Port(
        name,
        entry["type"],
        entry.get("optional", False) is True,
        None if default is None else _value(default, where, Path()),
        entry.get("min"),
        entry.get("max"),
        None if choices is None else tuple(choices),
    )
    require(
        port.default is None or port.accepts(port.default),
        f"{where} has the default {default!r}, and must be {port.describe()}.",
    )
    return port


def _bound(entry: Any, where: str, base: Path) -> Value | Reference:
    if isinstance(entry, str) and "${{" in entry:
        match = _REFERENCE.fullmatch(entry.strip())
        if match is None:
            raise PipelineError(
                f"{where} is {entry!r}, and must be ${{{{parent.inputs.NAME}}}}, "
                "${{parent.jobs.JOB.outputs.NAME}} or a value."
            )
        if match["input"] is not None:
            return Reference(None, match["input"])
        return Reference(match["job"], match["output"])
    return _value(entry, where, base)


def _value(entry: Any, where: str, base: Path) -> Value:
    if isinstance(entry, dict):
        unknown = sorted(set(entry) - _FOLDER_KEYS)
        require(
            not unknown
            and entry.get("type") == "uri_folder"
            and isinstance(entry.get("path"), str),
            f"{where} must be a value, or a folder with the keys type (uri_folder), path and mode.",
        )
        folder = Folder(entry["path"])
        return Folder(str((base / folder.path).absolute())) if folder.is_local else folder
    if isinstance(entry, str | int | float | bool):
        return entry
    raise PipelineError(f"{where} has no value.")


def _mapping(facts: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    found = facts.get(key) or {}
    require(isinstance(found, dict), f"{where}: {key} must be a mapping.")
    return cast(Mapping[str, Any], found)


def _require_keys(facts: Mapping[str, Any], kind: str, where: str) -> None:
    known = tuple(sorted(_KEYS[kind]))
    for key in facts:
        require(key in known, f"{where} has an unknown key {key}{nearest(str(key), known)}.")


def _read(file: Path) -> dict[str, Any]:
    try:
        import yaml
    except ImportError as error:
        raise PipelineError(
            "Pipelines in YAML need PyYAML: pip install 'whatsit[azure-ml]'."
        ) from error
    try:
        facts = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise PipelineError(f"{file.name} can't be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PipelineError(f"{file.name} is not YAML: {' '.join(str(error).split())}.") from error
    require(isinstance(facts, dict), f"{file.name} must be a mapping.")
    return cast(dict[str, Any], facts)
