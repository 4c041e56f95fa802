"""The YAML of a pipeline: its jobs, their components, and their bindings.

Of the language of Azure ML it reads what is needed here: command components, inputs that are a
folder or a literal, and outputs that are folders. Whatever it does not know it refuses, because
a part that the checks skip would still run on Azure ML.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from whatsit.errors import PipelineError

PortType = Literal["boolean", "integer", "number", "string", "uri_folder"]


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
            require(
                name in inputs,
                f"The pipeline has no input {name}{nearest(name, inputs)}.",
            )
            inputs[name] = _parse(port_of(pipeline, name, inputs[name]), text)
            continue
        require(job_name in jobs, f"There is no job {job_name}{nearest(job_name, jobs)}.")
        job = jobs[job_name]
        ports = job.component.inputs
        require(
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


def require(claim: bool, sentence: str) -> None:
    """Refuse a definition about which `claim` is not true.

    Raises:
        PipelineError: With the sentence.
    """
    if not claim:
        raise PipelineError(sentence)
