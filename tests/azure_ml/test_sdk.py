"""The SDK of Azure ML loads what is submitted, and finds nothing wrong with it."""

import json
import shutil
import threading
import warnings
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import chain
from types import SimpleNamespace
from typing import Any

import pytest

from tests.azure_ml.definitions import PIPELINE
from tests.conftest import ROOT
from whatsit.errors import PipelineError
from whatsit.pipeline.azure_ml.reader import load_pipeline
from whatsit.pipeline.azure_ml.submit import github_token, submit_pipeline

pytestmark = [
    pytest.mark.training,
    # The SDK's own use of libraries is not ours to change.
    pytest.mark.filterwarnings("ignore"),
]
HOME = PIPELINE.parent
BUNDLED = ROOT / "src" / "whatsit" / "data" / "models" / "efficientnet-lite2"
IMAGE = f"example.azurecr.io/whatsit-training@sha256:{'0' * 64}"


@pytest.fixture(scope="module")
def sdk() -> Any:
    """The SDK."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(
            "azure.ai.ml",
            reason="The extra azure-ml is not installed: pip install -e '.[azure-ml]'",
        )


@pytest.mark.parametrize("file", sorted((HOME / "components").glob("*.yml")), ids=lambda f: f.stem)
def test_the_sdk_reads_a_component_as_we_do(sdk, file):
    theirs = sdk.load_component(file)
    ours = load_pipeline(PIPELINE).jobs[file.stem].component

    assert theirs._validate().passed
    assert theirs.command == ours.command
    assert set(theirs.outputs) == set(ours.outputs)
    for name, port in ours.inputs.items():
        their = theirs.inputs[name]
        assert (their.type, bool(their.optional)) == (port.type, port.optional)
        assert (their.default, their.min, their.max) == (port.default, port.minimum, port.maximum)
        assert (tuple(their.enum) if their.enum else None) == port.choices


def test_the_sdk_finds_no_mistake_in_the_pipeline(sdk):
    job = sdk.load_job(PIPELINE)

    result = job._validate()
    assert result.passed, result.error_messages
    assert set(job.jobs) == set(load_pipeline(PIPELINE).jobs)
    # What is sent: each job with what it is bound to.
    sent = job._to_rest_object().properties
    assert sent.jobs["promote"]["inputs"]["store"]["value"] == (
        "${{parent.jobs.register.outputs.store}}"
    )


def test_the_sdk_loads_everything_beside_the_pipeline(sdk):
    from azure.ai.ml.entities._load_functions import load_schedule

    assert sdk.load_environment(HOME / "environment" / "environment.yml").build is not None
    assert sdk.load_data(HOME / "data.yml").name == "whatsit-pictures"
    compute = sdk.load_compute(HOME / "compute.yml")
    assert (compute.min_instances, compute.name) == (0, "cpu-cluster")
    assert load_schedule(HOME / "schedule.yml").trigger.frequency == "week"


def test_the_sdk_lets_mistakes_pass_that_we_find(sdk, small):
    """Should this ever fail, the SDK has learnt, and ours may become smaller."""
    small.change("pipeline.yml", "jobs.join.inputs.counted", "${{parent.jobs.cuont.outputs.x}}")
    small.change("pipeline.yml", "inputs.times", 6)

    assert sdk.load_job(small.write())._validate().passed


class StandInWorkspace:
    """What a workspace of Azure ML answers to the calls that a submission makes.

    It is no MLClient of theirs, only an object with the same methods; it keeps what it is given.
    """

    def __init__(self, statuses: tuple[str, ...] = ("Running", "Completed")) -> None:
        self.statuses = list(statuses)
        self.given: dict[str, Any] = {}
        self.is_damaged = False
        self.context: list[str] = []
        self.environments = SimpleNamespace(create_or_update=self._environment)
        self.data = SimpleNamespace(create_or_update=lambda data: self._keep("data", data, "4"))
        self.models = SimpleNamespace(
            create_or_update=lambda model: self._keep("model", model, "2")
        )
        self.schedules = SimpleNamespace(begin_create_or_update=self._schedule)
        self.jobs = SimpleNamespace(
            create_or_update=self._submit, get=self._get, list=self._steps, download=self._download
        )

    def _keep(self, kind: str, entity: Any, version: str) -> Any:
        self.given[kind] = entity
        return SimpleNamespace(name=entity.name, version=version)

    def _environment(self, environment: Any) -> Any:
        if environment.path is not None:
            self.context = [
                file.relative_to(environment.path).as_posix()
                for file in environment.path.rglob("*")
                if file.is_file()
            ]
        return self._keep("environment", environment, "3")

    def _schedule(self, schedule: Any) -> Any:
        self.given["schedule"] = schedule
        return SimpleNamespace(result=lambda: schedule)

    def _submit(self, job: Any) -> Any:
        self.given["job"] = job
        return SimpleNamespace(name="brave_owl_1", studio_url="https://ml.example/brave_owl_1")

    def _get(self, name: str) -> Any:
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return SimpleNamespace(status=status, studio_url=f"https://ml.example/{name}")

    def _steps(self, parent_job_name: str) -> list[Any]:
        status = "Failed" if self.statuses == ["Failed"] else "Completed"
        return [
            SimpleNamespace(display_name="prepare", status="Completed"),
            SimpleNamespace(display_name="promote", status=status),
        ]

    def _download(self, name: str, *, download_path: Any, output_name: str) -> None:
        assert name == "brave_owl_1"
        shutil.copytree(BUNDLED, download_path / "named-outputs" / output_name)
        if self.is_damaged:
            weights = next((download_path / "named-outputs" / output_name).glob("*.onnx"))
            weights.write_bytes(weights.read_bytes()[:-1])


def submit(workspace: StandInWorkspace, tmp_path, **options: Any) -> Any:
    options = {"image": IMAGE, "values": {}, "timeout_seconds": 5, **options}
    return submit_pipeline(workspace, PIPELINE, out=tmp_path / "out", poll_seconds=0.01, **options)


def test_a_submission_pins_the_environment_and_sends_the_inputs(sdk, tmp_path):
    workspace = StandInWorkspace()

    done = submit(
        workspace,
        tmp_path,
        values={"epochs": "5", "finetune.learning_rate": "1e-3", "name": "owls"},
    )

    sent = workspace.given["job"]._to_rest_object().properties
    assert sent.inputs["epochs"].value == "5"
    assert sent.inputs["name"].value == "owls"
    assert sent.jobs["finetune"]["inputs"]["learning_rate"]["value"] == "0.001"
    assert {node.environment for node in workspace.given["job"].jobs.values()} == {
        "whatsit-training:3"
    }
    assert workspace.given["environment"].image == IMAGE
    assert done.job == "brave_owl_1"


def test_a_model_that_passed_is_registered_as_a_folder(sdk, tmp_path):
    workspace = StandInWorkspace()

    done = submit(workspace, tmp_path)

    asset = workspace.given["model"]
    assert asset.type == "custom_model"
    assert (tmp_path / "out" / "named-outputs" / "registration").samefile(asset.path)
    assert asset.tags["model"] == done.model == "efficientnet-lite2"
    assert done.asset == "efficientnet-lite2:2"


def test_a_model_that_did_not_arrive_whole_is_not_registered(sdk, tmp_path):
    workspace = StandInWorkspace()
    workspace.is_damaged = True

    with pytest.raises(PipelineError, match="did not arrive whole"):
        submit(workspace, tmp_path)

    assert "model" not in workspace.given


def test_a_job_that_failed_registers_nothing_and_names_the_step(sdk, tmp_path):
    workspace = StandInWorkspace(("Running", "Failed"))

    with pytest.raises(PipelineError, match=r"ended as Failed \(not completed: promote\)"):
        submit(workspace, tmp_path)

    assert "model" not in workspace.given


def test_waiting_ends_in_time(sdk, tmp_path):
    with pytest.raises(PipelineError, match="is still Running after"):
        submit(StandInWorkspace(("Running",)), tmp_path, timeout_seconds=0.05)


def test_who_does_not_wait_gets_the_address(sdk, tmp_path):
    workspace = StandInWorkspace(("Running",))

    done = submit(workspace, tmp_path, wait=False)

    assert done.studio_url == "https://ml.example/brave_owl_1"
    assert done.model is None
    assert "model" not in workspace.given


def test_pictures_are_uploaded_and_trained_on(sdk, tmp_path, data):
    workspace = StandInWorkspace()

    submit(workspace, tmp_path, pictures=data)

    assert str(workspace.given["data"].path) == str(data)
    sent = workspace.given["job"]._to_rest_object().properties
    assert sent.inputs["data"].uri == "whatsit-pictures:4"


def test_a_schedule_is_made_of_the_same_job(sdk, tmp_path):
    workspace = StandInWorkspace()

    submit(workspace, tmp_path, schedule=True, values={"epochs": "7"})

    schedule = workspace.given["schedule"]
    assert schedule.trigger.schedule.week_days == ["monday"]
    assert schedule.create_job._to_rest_object().properties.inputs["epochs"].value == "7"


def test_the_image_is_built_from_what_the_dockerfile_copies_and_nothing_else(sdk, tmp_path):
    workspace = StandInWorkspace()

    submit(workspace, tmp_path, image=None, root=ROOT)

    dockerfile = (HOME / "environment" / "Dockerfile").read_text(encoding="utf-8")
    copied = [
        word
        for line in dockerfile.splitlines()
        if line.startswith("COPY")
        for word in line.split()[1:-1]
    ]
    parts = ["Dockerfile", *copied]
    belongs = {
        part: [file for file in workspace.context if file == part or file.startswith(f"{part}/")]
        for part in parts
    }
    assert [part for part, files in belongs.items() if not files] == []
    assert sorted(chain.from_iterable(belongs.values())) == sorted(workspace.context)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"image": "whatsit-training:latest"}, "lacks a digest"),
        ({"image": None}, "--image IMAGE@sha256"),
        ({"values": {"epochs": "0"}}, "must be an integer from 1 to 1000"),
    ],
)
def test_what_can_not_work_is_refused_before_anything_is_made(sdk, tmp_path, options, sentence):
    workspace = StandInWorkspace()

    with pytest.raises(PipelineError) as refusal:
        submit(workspace, tmp_path, **options)

    assert sentence in refusal.value.detail
    assert workspace.given == {}


def test_a_workflow_gets_a_fresh_token_for_azure(monkeypatch):
    asked = []

    class Issuer(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers["Authorization"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"value": f"token {len(asked)}"}).encode())

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Issuer) as issuer:
        threading.Thread(target=issuer.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{issuer.server_port}/token?api-version=2"
        monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", address)
        monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "of-the-workflow")
        tokens = [github_token(), github_token()]
        issuer.shutdown()

    assert tokens == ["token 1", "token 2"]
    wanted = "/token?api-version=2&audience=api://AzureADTokenExchange"
    assert asked == [(wanted, "Bearer of-the-workflow")] * 2
