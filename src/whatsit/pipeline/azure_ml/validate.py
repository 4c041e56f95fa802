"""Mistakes in a pipeline, found before anything runs.

The SDK of Azure ML lets most of them pass: they would stop a job minutes after its machine started.
"""

from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

from whatsit.errors import PipelineError
from whatsit.pipeline.azure_ml.command import places_of
from whatsit.pipeline.azure_ml.definition import (
    Component,
    Folder,
    Job,
    Pipeline,
    Port,
    Reference,
    Value,
    nearest,
)


def validate_pipeline(pipeline: Pipeline) -> tuple[str, ...]:
    """Every mistake, one sentence each; none where the pipeline fits together."""
    found = [
        *(mistake for job in pipeline.jobs.values() for mistake in _in_component(job.component)),
        *(mistake for job in pipeline.jobs.values() for mistake in _in_job(pipeline, job)),
        *_in_ends(pipeline),
    ]
    try:
        order_of(pipeline)
    except PipelineError as error:
        found.append(error.detail)
    # Two jobs may share a component, and so its mistakes.
    return tuple(dict.fromkeys(found))


def require_valid(pipeline: Pipeline) -> None:
    """Refuse a pipeline with mistakes.

    Raises:
        PipelineError: It has some; the sentence lists them all.
    """
    mistakes = validate_pipeline(pipeline)
    if mistakes:
        raise PipelineError("\n".join((f"{pipeline.file.name} can't run.", *mistakes)))


def order_of(pipeline: Pipeline) -> tuple[str, ...]:
    """The jobs so that each comes after those whose outputs it reads; else as they are written.

    Raises:
        PipelineError: Jobs wait for each other.
    """
    sorter: TopologicalSorter[str] = TopologicalSorter(
        {
            job.name: [
                bound.job
                for bound in job.inputs.values()
                if isinstance(bound, Reference)
                and bound.job is not None
                and bound.job in pipeline.jobs
            ]
            for job in pipeline.jobs.values()
        }
    )
    try:
        sorter.prepare()
    except CycleError as error:
        raise PipelineError(f"Jobs wait for each other: {' -> '.join(error.args[1])}.") from error
    order: list[str] = []
    written = list(pipeline.jobs)
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=written.index)
        order += ready
        sorter.done(*ready)
    return tuple(order)


def _in_component(component: Component) -> Iterator[str]:
    where = f"Component {component.name}"
    places = places_of(component.command)
    for place in places:
        ports = component.inputs if place.kind == "inputs" else component.outputs
        kind = place.kind.removesuffix("s")
        if place.name not in ports:
            yield (
                f"{where}: its command has {place}, but no such {kind} is declared"
                f"{nearest(place.name, ports)}."
            )
        elif place.kind == "inputs" and ports[place.name].optional and not place.is_optional:
            yield f"{where}: input {place.name} is optional, so {place} must stand within $[[ ]]."
        elif place.is_optional and place.kind == "inputs" and not ports[place.name].optional:
            yield f"{where}: {place} stands within $[[ ]], but the input is not optional."
    used = {(place.kind, place.name) for place in places}
    for kind, ports in (("inputs", component.inputs), ("outputs", component.outputs)):
        for name in ports:
            if (kind, name) not in used:
                yield f"{where}: {kind.removesuffix('s')} {name} is not used in its command."


def _in_job(pipeline: Pipeline, job: Job) -> Iterator[str]:
    where = f"Job {job.name}"
    ports = job.component.inputs
    for name, bound in job.inputs.items():
        if name not in ports:
            yield f"{where} has no input {name}{nearest(name, ports)}."
        elif isinstance(bound, Reference) and bound.job is not None:
            yield from _in_reference(pipeline, f"{where}: input {name}", bound, ports[name])
        elif isinstance(bound, Reference) and bound.name not in pipeline.inputs:
            yield (
                f"{where}: input {name} reads {bound}, but the pipeline has no input {bound.name}"
                f"{nearest(bound.name, pipeline.inputs)}."
            )
        else:
            value = pipeline.inputs[bound.name] if isinstance(bound, Reference) else bound
            whose = f" (the pipeline's {bound.name})" if isinstance(bound, Reference) else ""
            yield from _in_value(f"{where}: input {name}{whose}", job.component, ports[name], value)
    for name, port in ports.items():
        if port.is_required and name not in job.inputs:
            yield f"{where}: input {name} is missing, and must be {port.describe()}."
    for name, target in job.outputs.items():
        if name not in job.component.outputs:
            yield f"{where} has no output {name}{nearest(name, job.component.outputs)}."
        if target not in pipeline.outputs:
            yield (
                f"{where}: output {name} becomes ${{{{parent.outputs.{target}}}}}, but the "
                f"pipeline has no output {target}{nearest(target, pipeline.outputs)}."
            )


def _in_reference(pipeline: Pipeline, where: str, bound: Reference, port: Port) -> Iterator[str]:
    source = pipeline.jobs.get(bound.job or "")
    if source is None:
        hint = nearest(bound.job or "", pipeline.jobs)
        yield f"{where} reads {bound}, but there is no job {bound.job}{hint}."
    elif bound.name not in source.component.outputs:
        hint = nearest(bound.name, source.component.outputs)
        yield f"{where} reads {bound}, but job {bound.job} has no output {bound.name}{hint}."
    elif port.type != "uri_folder":
        yield f"{where} reads {bound}, which is a folder, and must be {port.describe()}."


def _in_value(where: str, component: Component, port: Port, value: Value) -> Iterator[str]:
    shown = value.path if isinstance(value, Folder) else repr(value)
    if not port.accepts(value):
        yield f"{where} is {shown}, and must be {port.describe()}."
        return
    text = value.path if isinstance(value, Folder) else str(value)
    for place in places_of(component.command):
        if (place.kind, place.name) != ("inputs", port.name):
            continue
        if not place.is_safe_for(text):
            # The text becomes part of a command line, here as on Azure ML.
            yield f"{where} is {shown}, and must be free of {place.refused}."


def _in_ends(pipeline: Pipeline) -> Iterator[str]:
    read = {
        bound
        for job in pipeline.jobs.values()
        for bound in job.inputs.values()
        if isinstance(bound, Reference)
    }
    for name in pipeline.inputs:
        if Reference(None, name) not in read:
            yield f"The pipeline's input {name} is not read by any job."
    targets = Counter(target for job in pipeline.jobs.values() for target in job.outputs.values())
    for name in pipeline.outputs:
        if targets[name] != 1:
            yield f"The pipeline's output {name} comes from {targets[name]} jobs, not from one."
    for job in pipeline.jobs.values():
        for name in job.component.outputs:
            if Reference(job.name, name) not in read and name not in job.outputs:
                yield (
                    f"Job {job.name}: output {name} is neither read by a job "
                    "nor an output of the pipeline."
                )
