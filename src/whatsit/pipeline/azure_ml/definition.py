"""The YAML of a pipeline: its jobs, their components, and their bindings.

Of the language of Azure ML it reads what is needed here: command components, inputs that are a
folder or a literal, and outputs that are folders. Whatever it does not know it refuses, because
what is skipped on this machine would still happen on Azure ML.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, cast

from whatsit.errors import PipelineError

PortType = Literal["boolean", "integer", "number", "string", "uri_folder"]

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


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of a component.

    Attributes:
        minimum: None where any number will do; so are `maximum` and `choices`.
    """

    name: str
    type: PortType
    optional: bool = False
    default: "Value | None" = None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] | None = None

    @property
    def is_required(self) -> bool:
        """True if a job must give a value."""
        return not self.optional and self.default is None

    def describe(self) -> str:
        """The values it may have, in words that follow "must be"."""
        if self.choices is not None:
            return f"one of {', '.join(self.choices)}"
        words = {
            "boolean": "true or false",
            "integer": "an integer",
            "number": "a number",
            "string": "a text",
            "uri_folder": "a folder",
        }[self.type]
        if self.minimum is not None and self.maximum is not None:
            return f"{words} from {self.minimum:g} to {self.maximum:g}"
        if self.minimum is not None:
            return f"{words} from {self.minimum:g} on"
        return words if self.maximum is None else f"{words} up to {self.maximum:g}"

    def accepts(self, value: "Value") -> bool:
        """True if a value has its type and lies in its range."""
        if self.type == "uri_folder" or isinstance(value, Folder):
            return self.type == "uri_folder" and isinstance(value, Folder)
        if self.type == "boolean" or isinstance(value, bool):
            return self.type == "boolean" and isinstance(value, bool)
        if self.type == "string" or isinstance(value, str):
            is_text = self.type == "string" and isinstance(value, str)
            return is_text and (self.choices is None or value in self.choices)
        if self.type == "integer" and not isinstance(value, int):
            return False
        return (
            math.isfinite(value)
            and (self.minimum is None or value >= self.minimum)
            and (self.maximum is None or value <= self.maximum)
        )

    def parse(self, text: str) -> "Value":
        """The value that a text from the command line stands for; the text itself where none."""
        if self.type == "boolean":
            return {"true": True, "false": False}.get(text.lower(), text)
        if self.type in ("integer", "number"):
            try:
                return int(text)
            except ValueError:
                return text if self.type == "integer" else _float_or_text(text)
        return Folder(text) if self.type == "uri_folder" else text


@dataclass(frozen=True, slots=True)
class Folder:
    """Where a folder is: a path on this machine, or an address that Azure ML knows."""

    path: str

    @property
    def is_local(self) -> bool:
        """True if it is a path on this machine."""
        return re.match(r"[a-z]{2,}:", self.path) is None


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference to an input of the pipeline (`job` is None) or an output of another job."""

    job: str | None
    name: str

    def __str__(self) -> str:
        where = "inputs" if self.job is None else f"jobs.{self.job}.outputs"
        return f"${{{{parent.{where}.{self.name}}}}}"


Value = str | int | float | bool | Folder


@dataclass(frozen=True, slots=True)
class Component:
    """One step: a command line with places for its inputs and outputs."""

    name: str
    command: str
    inputs: Mapping[str, Port]
    outputs: Mapping[str, Port]


@dataclass(frozen=True, slots=True)
class Job:
    """A component at work in a pipeline.

    Attributes:
        inputs: The values and references for the inputs of the component.
        outputs: The output of the pipeline that an output of the component becomes.
    """

    name: str
    component: Component
    inputs: Mapping[str, Value | Reference]
    outputs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Jobs that hand folders to each other."""

    file: Path
    inputs: Mapping[str, Value]
    outputs: tuple[str, ...]
    jobs: Mapping[str, Job]


def load_pipeline(file: Path) -> Pipeline:
    """Read a pipeline's YAML and that of its components.

    It reads the files only; `validate_pipeline` checks that they fit together.

    Raises:
        PipelineError: A file is missing, is not YAML, or contains something unknown.
    """
    facts = _read(file)
    _require_keys(facts, "pipeline", str(file.name))
    _require(facts.get("type") == "pipeline", f"{file.name} must say: type: pipeline.")
    settings = _mapping(facts, "settings", file.name)
    jobs = {
        name: _job(name, entry, file) for name, entry in _mapping(facts, "jobs", file.name).items()
    }
    _require(bool(jobs), f"{file.name} defines no jobs.")
    _require(
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


def with_inputs(pipeline: Pipeline, values: Mapping[str, str]) -> Pipeline:
    """The same pipeline with other inputs.

    Args:
        pipeline: Stays as it is.
        values: By name: ``epochs`` for an input of the pipeline, ``finetune.learning_rate`` for an
            input of a job. A folder's path starts from the working directory.

    Raises:
        PipelineError: The input does not exist.
    """
    inputs, jobs = dict(pipeline.inputs), dict(pipeline.jobs)
    for name, text in values.items():
        job_name, dot, input_name = name.partition(".")
        if not dot:
            _require(
                name in inputs,
                f"The pipeline has no input {name}{nearest(name, inputs)}.",
            )
            inputs[name] = _parse(port_of(pipeline, name, inputs[name]), text)
            continue
        _require(job_name in jobs, f"There is no job {job_name}{nearest(job_name, jobs)}.")
        job = jobs[job_name]
        ports = job.component.inputs
        _require(
            input_name in ports,
            f"Job {job_name} has no input {input_name}{nearest(input_name, ports)}.",
        )
        value = _parse(ports[input_name], text)
        jobs[job_name] = replace(job, inputs={**job.inputs, input_name: value})
    return replace(pipeline, inputs=inputs, jobs=jobs)


def port_of(pipeline: Pipeline, name: str, value: Value) -> Port:
    """The component's input that an input of the pipeline is bound to; one made up if to none."""
    for job in pipeline.jobs.values():
        for input_name, bound in job.inputs.items():
            if bound == Reference(None, name) and input_name in job.component.inputs:
                return job.component.inputs[input_name]
    return Port(name, "uri_folder" if isinstance(value, Folder) else "string")


def nearest(name: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
    """The end of a sentence about an unknown name: what may have been meant, or what there is."""
    close = get_close_matches(name, list(known), n=1)
    if close:
        return f"; the nearest is {close[0]}"
    return f"; known: {', '.join(known)}" if known else "; there is none at all"


def _parse(port: Port, text: str) -> Value:
    value = port.parse(text)
    if isinstance(value, Folder) and value.is_local:
        return Folder(str(Path(value.path).absolute()))
    return value


def _float_or_text(text: str) -> Value:
    try:
        return float(text)
    except ValueError:
        return text


def _job(name: str, entry: Any, file: Path) -> Job:
    where = f"Job {name}"
    _require(isinstance(entry, dict), f"{where} must be a mapping.")
    _require_keys(entry, "job", where)
    _require(entry.get("type", "command") == "command", f"{where} must say: type: command.")
    component = entry.get("component")
    _require(
        isinstance(component, str) and Folder(component.removeprefix("file:")).is_local,
        f"{where} must name the file of its component.",
    )
    inputs: dict[str, Value | Reference] = {}
    for key, bound in _mapping(entry, "inputs", where).items():
        inputs[key] = _bound(bound, f"{where}: input {key}", file.parent)
    outputs = {}
    for key, bound in _mapping(entry, "outputs", where).items():
        match = _OUTPUT_REFERENCE.fullmatch(bound) if isinstance(bound, str) else None
        _require(
            match is not None,
            f"{where}: output {key} is {bound!r}, and must be ${{{{parent.outputs.NAME}}}}.",
        )
        outputs[key] = cast(re.Match[str], match).group(1)
    path = file.parent / cast(str, component).removeprefix("file:")
    return Job(name, _component(path), inputs, outputs)


def _component(file: Path) -> Component:
    facts = _read(file)
    _require_keys(facts, "component", file.name)
    _require(facts.get("type") == "command", f"{file.name} must say: type: command.")
    for key in ("name", "command", "environment"):
        _require(isinstance(facts.get(key), str), f"{file.name} must have a text for {key}.")
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
    _require(isinstance(entry, dict), f"{where} must be a mapping.")
    _require_keys(entry, kind, where)
    known = _PORT_TYPES if kind == "input" else ("uri_folder",)
    _require(
        entry.get("type") in known,
        f"{where} has the type {entry.get('type')!r}; known here: {', '.join(known)}.",
    )
    limits = [entry[key] for key in ("min", "max") if key in entry]
    _require(
        all(isinstance(limit, int | float) and not isinstance(limit, bool) for limit in limits),
        f"{where} has a limit that is not a number.",
    )
    choices = entry.get("enum")
    _require(
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
    _require(
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
        _require(
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
    _require(isinstance(found, dict), f"{where}: {key} must be a mapping.")
    return cast(Mapping[str, Any], found)


def _require_keys(facts: Mapping[str, Any], kind: str, where: str) -> None:
    known = tuple(sorted(_KEYS[kind]))
    for key in facts:
        _require(key in known, f"{where} has an unknown key {key}{nearest(str(key), known)}.")


def _require(claim: bool, sentence: str) -> None:
    if not claim:
        raise PipelineError(sentence)


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
    _require(isinstance(facts, dict), f"{file.name} must be a mapping.")
    return cast(dict[str, Any], facts)
