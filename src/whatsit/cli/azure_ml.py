"""``whatsit pipeline validate`` and ``submit``: the pipeline's YAML for Azure ML."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from whatsit.errors import SettingsError

_pipeline_argument = click.argument(
    "pipeline", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)


def _inputs_of(
    context: click.Context, parameter: click.Parameter, given: tuple[str, ...]
) -> dict[str, str]:
    for entry in given:
        if not entry.partition("=")[1]:
            raise SettingsError(f"An input is NAME=VALUE, and {entry!r} has no '='.")
    return {name: value for name, _, value in (entry.partition("=") for entry in given)}


_inputs_option: Callable[[Any], Any] = click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_inputs_of,
    help="An input of the pipeline, or of a job as JOB.NAME; may be repeated.",
)


@click.command()
@_pipeline_argument
@_inputs_option
def validate(*, pipeline: Path, inputs: dict[str, str]) -> None:
    """Find mistakes in a pipeline's YAML for Azure ML, without running it."""
    from whatsit.pipeline.azure_ml.definition import with_inputs
    from whatsit.pipeline.azure_ml.reader import load_pipeline
    from whatsit.pipeline.azure_ml.validate import require_valid

    loaded = with_inputs(load_pipeline(pipeline), inputs)
    require_valid(loaded)
    click.echo(f"{pipeline.name} has {len(loaded.jobs)} jobs and no mistakes.")


@click.command()
@_pipeline_argument
@_inputs_option
@click.option(
    "--subscription", envvar="AZURE_SUBSCRIPTION_ID", required=True, help="Id of the subscription."
)
@click.option(
    "--resource-group", envvar="AZURE_ML_RESOURCE_GROUP", required=True, help="Of the workspace."
)
@click.option("--workspace", envvar="AZURE_ML_WORKSPACE", required=True, help="Its name.")
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of pictures to upload as the next version of the data asset.",
)
@click.option("--image", help="Image of the steps, IMAGE@sha256:...; built from here if left out.")
@click.option("--compute", help="Name of the compute cluster [the YAML's].")
@click.option("--schedule", is_flag=True, help="Also run it regularly, as schedule.yml says.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until it has ended.")
@click.option(
    "--timeout-minutes",
    type=click.FloatRange(min=1),
    default=360,
    show_default=True,
    help="How long to wait; the job continues.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="New folder for the store that the job writes.",
)
def submit(
    *,
    pipeline: Path,
    inputs: dict[str, str],
    subscription: str,
    resource_group: str,
    workspace: str,
    data: Path | None,
    timeout_minutes: float,
    **options: Any,
) -> None:
    """Run a pipeline on Azure ML and register the model that passes its gate."""
    from whatsit.pipeline.azure_ml.submit import connect, submit_pipeline

    done = submit_pipeline(
        connect(subscription, resource_group, workspace),
        pipeline,
        values=inputs,
        pictures=data,
        root=Path.cwd(),
        timeout_seconds=timeout_minutes * 60,
        on_status=lambda line: click.echo(line, err=True),
        **options,
    )
    if done.folder is None:
        click.echo(f"{done.job} runs: {done.studio_url}")
        return
    click.echo(f"{done.model} passed the gate and is registered as {done.asset}.")
    click.echo("On the machine that serves:")
    click.echo(f"  whatsit models add {done.folder}")
    click.echo(
        f"  whatsit pipeline promote --model {done.model} --data ... --manifest ... --out ..."
    )
