"""A pipeline's YAML runs on this machine as Azure ML would run it."""

import json

import pytest
from click.testing import CliRunner

from tests.azure_ml.local_run import fill_command, run_pipeline
from whatsit.cli.azure_ml import validate
from whatsit.errors import PipelineError, SettingsError
from whatsit.pipeline.azure_ml.definition import with_inputs
from whatsit.pipeline.azure_ml.reader import load_pipeline


def run(small, data, out, **inputs):
    values = {"data": str(data), **inputs}
    return run_pipeline(with_inputs(load_pipeline(small.write()), values), out)


def test_jobs_run_in_the_order_of_their_references(small, data, tmp_path):
    runs = run(small, data, tmp_path / "out")

    assert [run.name for run in runs] == ["count", "join"]
    report = json.loads((tmp_path / "out" / "join" / "joined" / "report.json").read_text())
    assert report == {"names": ["a.txt", "b.txt"]}


def test_the_summary_gathers_the_reports(small, data, tmp_path):
    run(small, data, tmp_path / "out")

    summary = json.loads((tmp_path / "out" / "report.json").read_text())
    assert list(summary["jobs"]) == ["count", "join"]
    assert summary["jobs"]["join"]["reports"]["joined"] == {"names": ["a.txt", "b.txt"]}


@pytest.mark.parametrize(
    ("inputs", "arguments"),
    [
        ({}, "3 0.5 fast False"),
        ({"times": "5", "count.share": "1e-2", "count.loud": "true"}, "5 0.01 fast True"),
        ({"count.note": "CC BY 4.0"}, "3 0.5 fast False --note CC BY 4.0"),
    ],
)
def test_a_command_gets_defaults_and_values_and_no_trace_of_what_was_left_out(
    small, data, tmp_path, inputs, arguments
):
    run(small, data, tmp_path / "out", **inputs)

    written = (tmp_path / "out" / "count" / "counted" / "arguments").read_text()
    assert written.strip() == arguments


def test_optional_parts_vanish_one_by_one():
    command = 'a $[[-x ${{inputs.x}}]] $[[-y "${{ inputs.y }}/."]] ${{outputs.out}}'

    assert fill_command(command, {"y": "2"}, {"out": "o"}) == 'a  -y "2/." o'


def test_nothing_starts_after_a_job_that_failed(small, data, tmp_path):
    small.change(
        "count.yml", "command", f"echo it broke >&2; exit 7; {small.files['count.yml']['command']}"
    )

    with pytest.raises(PipelineError) as failure:
        run(small, data, tmp_path / "out")

    assert "Job count ended with exit status 7. Not started: join." in failure.value.detail
    assert "it broke" in failure.value.detail
    assert not (tmp_path / "out" / "join").exists()
    summary = json.loads((tmp_path / "out" / "report.json").read_text())
    assert {name: job["exit_status"] for name, job in summary["jobs"].items()} == {"count": 7}


def test_nothing_starts_where_there_is_a_mistake(small, data, tmp_path):
    with pytest.raises(PipelineError, match="must be an integer from 1 to 5"):
        run(small, data, tmp_path / "out", times="6")

    assert not (tmp_path / "out").exists()


def test_a_folder_that_only_azure_ml_has_is_asked_for(small, tmp_path):
    with pytest.raises(PipelineError) as refusal:
        run_pipeline(load_pipeline(small.write()), tmp_path / "out")

    assert "--input data=FOLDER" in refusal.value.detail


def test_a_folder_that_is_missing_is_named(small, tmp_path):
    with pytest.raises(PipelineError, match="this folder does not exist"):
        run(small, tmp_path / "nowhere", tmp_path / "out")


def test_what_an_earlier_run_wrote_stays_as_it_is(small, data, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").touch()

    with pytest.raises(PipelineError, match="is not empty"):
        run(small, data, tmp_path / "out")


def test_a_folder_whose_name_the_shell_would_take_apart_is_refused(small, data, tmp_path):
    with pytest.raises(PipelineError, match="must be free of quotes"):
        run(small, data, tmp_path / "$HOME")


def test_validate_prints_a_line_or_the_mistakes(small):
    file = str(small.write())

    assert "2 jobs and no mistakes" in CliRunner().invoke(validate, [file]).stdout
    wrong = CliRunner().invoke(validate, [file, "--input", "times=6"])
    assert isinstance(wrong.exception, PipelineError)
    shapeless = CliRunner().invoke(validate, [file, "--input", "times"])
    assert isinstance(shapeless.exception, SettingsError)
