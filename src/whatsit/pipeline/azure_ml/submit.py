"""Hands the pipeline to Azure ML, waits for it, and registers the model that passed the gate.

The model is registered as a folder (`custom_model`): MLflow from 2.19 on can't log models to the
server of Azure ML.
"""

import json
import os
import re
import shutil
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whatsit.errors import ModelError, PipelineError
from whatsit.model_card import ModelCard
from whatsit.models.folder import open_folder
from whatsit.pipeline.azure_ml.definition import Folder, Pipeline, Reference, Value, with_inputs
from whatsit.pipeline.azure_ml.reader import load_pipeline
from whatsit.pipeline.azure_ml.validate import require_valid

_DONE = ("Completed", "Failed", "Canceled", "NotResponding", "Paused")
_IMAGE_PARTS = (
    *("requirements.lock", "deploy/locked.py", "pyproject.toml", "README.md", "LICENSE", "NOTICE"),
    "src",
)
_MODEL_OUTPUT = "registration"


@dataclass(frozen=True, slots=True)
class Submission:
    """The outcome of a pipeline on Azure ML.

    Attributes:
        job: Its name in the workspace.
        studio_url: Where to watch it.
        model: The model that passed the gate, ``NAME.vN``; None without waiting.
        asset: ``NAME:VERSION`` of the registered model asset; None likewise.
        folder: The model's folder on this machine; None likewise.
    """

    job: str
    studio_url: str
    model: str | None = None
    asset: str | None = None
    folder: Path | None = None


def connect(subscription: str, resource_group: str, workspace: str) -> Any:  # an MLClient
    """A client of a workspace.

    In a workflow of GitHub that may ask for tokens (``id-token: write``) it signs in with a fresh
    one whenever needed, so waiting may take longer than a token lives. Elsewhere it finds who
    is signed in by itself: ``az login``, a managed identity, or the environment.

    Raises:
        PipelineError: The extra ``azure-ml`` is not installed.
    """
    sdk = _sdk()
    from azure.identity import ClientAssertionCredential, DefaultAzureCredential

    environment = os.environ
    if "ACTIONS_ID_TOKEN_REQUEST_URL" in environment and "AZURE_CLIENT_ID" in environment:
        credential = ClientAssertionCredential(
            environment["AZURE_TENANT_ID"], environment["AZURE_CLIENT_ID"], github_token
        )
    else:
        credential = DefaultAzureCredential()
    return sdk.MLClient(credential, subscription, resource_group, workspace, enable_telemetry=False)


def github_token() -> str:
    """A fresh token that names the workflow to Entra ID."""
    request = urllib.request.Request(
        f"{os.environ['ACTIONS_ID_TOKEN_REQUEST_URL']}&audience=api://AzureADTokenExchange",
        headers={"Authorization": f"Bearer {os.environ['ACTIONS_ID_TOKEN_REQUEST_TOKEN']}"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return str(json.load(response)["value"])


def submit_pipeline(
    client: Any,
    file: Path,
    *,
    values: Mapping[str, str],
    out: Path,
    image: str | None = None,
    pictures: Path | None = None,
    root: Path | None = None,
    compute: str | None = None,
    wait: bool = True,
    schedule: bool = False,
    timeout_seconds: float = 6 * 3600,
    poll_seconds: float = 20,
    on_status: Callable[[str], None] = lambda line: None,
) -> Submission:
    """Run a pipeline in a workspace and register the model that passed its gate.

    Args:
        client: An ``MLClient``, or what has its ``environments``, ``data``, ``jobs``, ``schedules``
            and ``models``.
        file: The YAML; ``environment/environment.yml``, ``data.yml`` and ``schedule.yml`` stand
            beside it.
        values: Inputs, as `with_inputs` takes them.
        out: A new or empty folder for what ``register`` wrote: the model and its report.
        image: The image of the steps, with its digest; else one is built from `root`.
        pictures: A folder to upload as the next version of the data asset.
        root: The repository, where the image is to be built.
        compute: Name of the compute cluster, if not the one that the YAML names.
        wait: Stay until the job has ended; else only submit it.
        schedule: Also run it regularly from now on, as ``schedule.yml`` says.
        timeout_seconds: How long to wait at most; the job itself goes on.
        poll_seconds: How often to ask.
        on_status: Called with each line of progress.

    Raises:
        PipelineError: The pipeline has mistakes, the job failed or took too long, or its model did
            not arrive whole.
    """
    sdk = _sdk()
    if image is not None and "@sha256:" not in image:
        raise PipelineError(f"The image {image} lacks a digest. Name it as IMAGE@sha256:....")
    if out.exists() and any(out.iterdir()):
        raise PipelineError(f"The folder {out.name} is not empty. Choose a new one.")
    pipeline = with_inputs(load_pipeline(file), values)
    require_valid(pipeline)
    beside = file.parent
    overrides = _overrides(pipeline, values)
    environment = _environment(sdk, client, beside, image, root)
    on_status(f"The environment is {environment.name}:{environment.version}.")
    overrides += [
        {f"jobs.{name}.environment": f"azureml:{environment.name}:{environment.version}"}
        for name in pipeline.jobs
    ]
    if pictures is not None:
        data = sdk.load_data(
            beside / "data.yml", params_override=[{"path": str(pictures.absolute())}]
        )
        data = client.data.create_or_update(data)
        on_status(f"The pictures are {data.name}:{data.version}.")
        overrides.append({"inputs.data.path": f"azureml:{data.name}:{data.version}"})
    if compute is not None:
        overrides.append({"settings.default_compute": f"azureml:{compute}"})
    job = sdk.load_job(file, params_override=overrides)
    if schedule:
        on_status(_schedule(client, beside / "schedule.yml", job))
    job = client.jobs.create_or_update(job)
    on_status(f"The job is {job.name}: {job.studio_url}")
    if not wait:
        return Submission(job.name, job.studio_url)
    _wait(client, job.name, timeout_seconds, poll_seconds, on_status)
    client.jobs.download(job.name, download_path=out, output_name=_MODEL_OUTPUT)
    folder = out / "named-outputs" / _MODEL_OUTPUT
    card = _card_of(folder)
    asset = client.models.create_or_update(
        _model_asset(card.name, folder, job.name, _flat(card.quality))
    )
    return Submission(job.name, job.studio_url, card.name, f"{asset.name}:{asset.version}", folder)


def _sdk() -> Any:
    try:
        from azure.ai import ml
    except ImportError as error:
        raise PipelineError("Azure ML needs its SDK: pip install 'whatsit[azure-ml]'.") from error
    return ml


def _overrides(pipeline: Pipeline, values: Mapping[str, str]) -> list[dict[str, Any]]:
    """The differences from the YAML, in the form of the SDK."""
    overrides: list[dict[str, Any]] = []
    for name in values:
        job, dot, input_name = name.partition(".")
        if not dot:
            value = pipeline.inputs[name]
            key = f"inputs.{name}.path" if isinstance(value, Folder) else f"inputs.{name}"
            overrides.append({key: _plain(value)})
            continue
        bound = pipeline.jobs[job].inputs[input_name]
        plain = _plain(bound) if not isinstance(bound, Reference) else str(bound)
        if isinstance(bound, Folder):
            plain = {"type": "uri_folder", "path": plain}
        overrides.append({f"jobs.{job}.inputs.{input_name}": plain})
    return overrides


def _plain(value: Value) -> Any:  # what YAML can say
    return value.path if isinstance(value, Folder) else value


def _environment(
    sdk: Any, client: Any, beside: Path, image: str | None, root: Path | None
) -> Any:  # an Environment
    file = beside / "environment" / "environment.yml"
    environment = sdk.load_environment(file)
    if image is not None:
        from azure.ai.ml.entities import Environment

        return client.environments.create_or_update(
            Environment(name=environment.name, description=environment.description, image=image)
        )
    if root is None or not (root / "pyproject.toml").is_file():
        raise PipelineError(
            "To build the image of the steps, run this in the repository; "
            "or name one: --image IMAGE@sha256:...."
        )
    with build_context(root, file.with_name("Dockerfile")) as context:
        built = sdk.load_environment(file, params_override=[{"build.path": str(context)}])
        return client.environments.create_or_update(built)


@contextmanager
def build_context(root: Path, dockerfile: Path) -> Iterator[Path]:
    """A folder with what the image of the steps is built from, and nothing else of `root`."""
    with tempfile.TemporaryDirectory(prefix="whatsit-training-") as name:
        context = Path(name)
        shutil.copy2(dockerfile, context / "Dockerfile")
        for part in _IMAGE_PARTS:
            source = root / part
            (context / part).parent.mkdir(exist_ok=True)
            if source.is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
                shutil.copytree(source, context / part, ignore=ignored)
            else:
                shutil.copy2(source, context / part)
        yield context


def _schedule(client: Any, file: Path, job: Any) -> str:
    import yaml
    from azure.ai.ml.entities import JobSchedule, RecurrencePattern, RecurrenceTrigger

    facts = yaml.safe_load(file.read_text(encoding="utf-8"))
    trigger = facts["trigger"]
    when = RecurrenceTrigger(
        frequency=trigger["frequency"],
        interval=trigger["interval"],
        time_zone=trigger["time_zone"],
        schedule=RecurrencePattern(**trigger["schedule"]),
    )
    client.schedules.begin_create_or_update(
        JobSchedule(
            name=facts["name"],
            display_name=facts["display_name"],
            description=facts["description"],
            trigger=when,
            create_job=job,
        )
    ).result()
    return f"The schedule is {facts['name']}."


def _wait(
    client: Any,
    name: str,
    timeout_seconds: float,
    poll_seconds: float,
    on_status: Callable[[str], None],
) -> None:
    reported: dict[str, str] = {}
    deadline = time.monotonic() + timeout_seconds
    while True:
        job = client.jobs.get(name)
        steps = {step.display_name: step.status for step in client.jobs.list(parent_job_name=name)}
        for step, status in steps.items():
            if reported.get(step) != status:
                on_status(f"{step}: {status}")
        reported = steps
        if job.status == "Completed":
            return
        if job.status in _DONE:
            failed = [step for step, status in steps.items() if status != "Completed"]
            raise PipelineError(
                f"The job {name} ended as {job.status} (not completed: {', '.join(failed)}). "
                f"Nothing was registered. Its logs: {job.studio_url}"
            )
        if time.monotonic() > deadline:
            raise PipelineError(
                f"The job {name} is still {job.status} after {timeout_seconds / 60:.0f} minutes. "
                f"It goes on: {job.studio_url}"
            )
        time.sleep(poll_seconds)


def _card_of(folder: Path) -> ModelCard:
    try:
        # Its card, labels and the digest of its weights are checked on the way.
        return open_folder(folder).card
    except ModelError as error:
        raise PipelineError(
            f"The model did not arrive whole, so it was not registered: {error.detail}"
        ) from error


def _model_asset(name: str, folder: Path, job: str, quality: Mapping[str, str]) -> Any:  # a Model
    from azure.ai.ml.entities import Model

    return Model(
        name=re.sub(r"\.v\d+$", "", name),
        path=folder,
        type="custom_model",
        description=f"A model folder of whatsit, {name}.",
        tags={"model": name, "job": job, **quality},
    )


def _flat(quality: Mapping[str, Any]) -> dict[str, str]:
    return {
        key: str(value) for key, value in quality.items() if isinstance(value, str | int | float)
    }
