"""Runs a pipeline of Azure ML on this machine: the same YAML, the same command lines."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from whatsit.errors import PipelineError
from whatsit.pipeline.azure_ml.command import OPTIONAL, PLACE, places_of
from whatsit.pipeline.azure_ml.definition import Folder, Job, Pipeline, Reference
from whatsit.pipeline.azure_ml.validate import order_of, require_valid

LOG = "std_log.txt"
_SHOWN_LINES = 10


@dataclass(frozen=True, slots=True)
class JobRun:
    """The outcome of a job.

    Attributes:
        exit_status: 0 where it did what it should.
        outputs: The folders that it wrote, by the name of the output.
    """

    name: str
    exit_status: int
    seconds: float
    outputs: dict[str, Path]


def run_pipeline(
    pipeline: Pipeline,
    out: Path,
    *,
    on_start: Callable[[str], None] = lambda name: None,
    on_end: Callable[[JobRun], None] = lambda run: None,
) -> tuple[JobRun, ...]:
    """Run the jobs one after the other, each in a process of its own.

    Args:
        pipeline: With its inputs on this machine.
        out: A new or empty folder. Below it each job has a folder with its outputs, by their
            names, and its log; ``report.json`` gathers what the jobs reported so far.
        on_start: Called with the name of a job that begins.
        on_end: Called with the outcome of a job, also of a failed one.

    Raises:
        PipelineError: The pipeline has mistakes, an input is not on this machine, `out` is not
            empty, or a job failed; those after it were not started.
    """
    require_valid(pipeline)
    _require_local(pipeline)
    if out.exists() and any(out.iterdir()):
        raise PipelineError(f"The folder {out.name} is not empty. Choose a new one.")
    runs: dict[str, JobRun] = {}
    order = order_of(pipeline)
    for name in order:
        on_start(name)
        runs[name] = _run_job(pipeline, pipeline.jobs[name], runs, out.absolute() / name)
        _write_summary(tuple(runs.values()), out)
        on_end(runs[name])
        if runs[name].exit_status != 0:
            raise PipelineError(_failure(runs[name], out / name / LOG, order[len(runs) :]))
    return tuple(runs.values())


def _run_job(pipeline: Pipeline, job: Job, before: dict[str, JobRun], home: Path) -> JobRun:
    outputs = {name: home / name for name in job.component.outputs}
    inputs = {
        name: str(port.default)
        for name, port in job.component.inputs.items()
        if port.default is not None
    }
    for name, bound in job.inputs.items():
        if isinstance(bound, Reference) and bound.job is not None:
            inputs[name] = str(before[bound.job].outputs[bound.name])
        else:
            value = pipeline.inputs[bound.name] if isinstance(bound, Reference) else bound
            inputs[name] = value.path if isinstance(value, Folder) else str(value)
    texts = {name: str(folder) for name, folder in outputs.items()}
    _require_safe(job, {"inputs": inputs, "outputs": texts})
    command = fill_command(job.component.command, inputs, texts)
    # Azure ML hands over folders that exist and are empty.
    for folder in outputs.values():
        folder.mkdir(parents=True)
    # The whatsit and the Python of a command line are those that run now.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    start = time.perf_counter()
    with (home / LOG).open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            ["bash", "-c", command],
            cwd=home,
            env={**os.environ, "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            exit_status = process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
            raise
    return JobRun(job.name, exit_status, time.perf_counter() - start, outputs)


def _require_local(pipeline: Pipeline) -> None:
    bound = [
        *((name, value) for name, value in pipeline.inputs.items()),
        *(
            (f"{job.name}.{name}", value)
            for job in pipeline.jobs.values()
            for name, value in job.inputs.items()
        ),
    ]
    for name, value in bound:
        if not isinstance(value, Folder):
            continue
        if not value.is_local:
            raise PipelineError(
                f"Input {name} is {value.path}, which only Azure ML has. "
                f"Name a folder on this machine: --input {name}=FOLDER."
            )
        if not Path(value.path).is_dir():
            raise PipelineError(f"Input {name} is {value.path}, and this folder does not exist.")


def _require_safe(job: Job, texts: Mapping[str, Mapping[str, str]]) -> None:
    for place in places_of(job.component.command):
        text = texts[place.kind].get(place.name)
        if text is not None and not place.is_safe_for(text):
            raise PipelineError(
                f"Job {job.name}: {place} would be {text}, and must be free of {place.refused}."
            )


def _failure(run: JobRun, log: Path, left: tuple[str, ...]) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_SHOWN_LINES:]
    not_run = f" Not started: {', '.join(left)}." if left else ""
    return "\n".join(
        (
            f"Job {run.name} ended with exit status {run.exit_status}.{not_run} "
            f"The end of its log, {log}:",
            *(f"  {line}" for line in lines),
        )
    )


def _write_summary(runs: tuple[JobRun, ...], out: Path) -> None:
    summary = {
        "jobs": {
            run.name: {
                "exit_status": run.exit_status,
                "seconds": round(run.seconds, 3),
                "reports": {
                    name: json.loads(report.read_text(encoding="utf-8"))
                    for name, folder in run.outputs.items()
                    if (report := folder / "report.json").is_file()
                },
            }
            for run in runs
        }
    }
    (out / "report.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")


def fill_command(command: str, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> str:
    """The command line with every place filled as Azure ML does: the text as it is, unquoted.

    Args:
        command: Of a component without mistakes.
        inputs: By name; optional ones that were not given are missing.
        outputs: By name.
    """
    texts = {"inputs": inputs, "outputs": outputs}

    def keep_or_drop(match: re.Match[str]) -> str:
        given = all(name in texts[kind] for kind, name in PLACE.findall(match[1]))
        return match[1] if given else ""

    return PLACE.sub(lambda match: texts[match[1]][match[2]], OPTIONAL.sub(keep_or_drop, command))
