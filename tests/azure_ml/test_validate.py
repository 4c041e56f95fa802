"""Mistakes in a pipeline are sentences that name the job, the input and what is allowed."""

import pytest

from tests.azure_ml.definitions import PIPELINE
from whatsit.errors import PipelineError
from whatsit.pipeline.azure_ml.definition import with_inputs
from whatsit.pipeline.azure_ml.reader import load_pipeline
from whatsit.pipeline.azure_ml.validate import require_valid, validate_pipeline

MISTAKES = {
    "dangling job": (
        ("pipeline.yml", "jobs.join.inputs.counted", "${{parent.jobs.cuont.outputs.counted}}"),
        "Job join: input counted reads ${{parent.jobs.cuont.outputs.counted}}, "
        "but there is no job cuont; the nearest is count.",
    ),
    "dangling output": (
        ("pipeline.yml", "jobs.join.inputs.counted", "${{parent.jobs.count.outputs.sum}}"),
        "but job count has no output sum; known: counted.",
    ),
    "dangling input of the pipeline": (
        ("pipeline.yml", "jobs.count.inputs.times", "${{parent.inputs.time}}"),
        "Job count: input times reads ${{parent.inputs.time}}, "
        "but the pipeline has no input time; the nearest is times.",
    ),
    "unknown input": (
        ("pipeline.yml", "jobs.count.inputs.tmies", 3),
        "Job count has no input tmies; the nearest is times.",
    ),
    "missing input": (
        ("pipeline.yml", "jobs.count.inputs.data", None),
        "Job count: input data is missing, and must be a folder.",
    ),
    "out of range": (
        ("pipeline.yml", "jobs.count.inputs.share", 1.5),
        "Job count: input share is 1.5, and must be a number from 0 to 1.",
    ),
    "out of range through the pipeline": (
        ("pipeline.yml", "inputs.times", 6),
        "Job count: input times (the pipeline's times) is 6, and must be an integer from 1 to 5.",
    ),
    "no number": (
        ("pipeline.yml", "jobs.count.inputs.share", float("nan")),
        "Job count: input share is nan, and must be a number from 0 to 1.",
    ),
    "wrong type": (
        ("pipeline.yml", "inputs.times", 2.5),
        "is 2.5, and must be an integer from 1 to 5.",
    ),
    "true is no number": (
        ("pipeline.yml", "inputs.times", True),
        "is True, and must be an integer from 1 to 5.",
    ),
    "a number is no text": (
        ("pipeline.yml", "jobs.count.inputs.note", 5),
        "Job count: input note is 5, and must be a text.",
    ),
    "a text is no truth": (
        ("pipeline.yml", "jobs.count.inputs.loud", "yes"),
        "Job count: input loud is 'yes', and must be true or false.",
    ),
    "none of the choices": (
        ("pipeline.yml", "jobs.count.inputs.mode", "fsat"),
        "Job count: input mode is 'fsat', and must be one of fast, slow.",
    ),
    "a value for a folder": (
        ("pipeline.yml", "jobs.count.inputs.data", 7),
        "Job count: input data is 7, and must be a folder.",
    ),
    "a folder for a value": (
        ("pipeline.yml", "jobs.count.inputs.times", "${{parent.jobs.join.outputs.joined}}"),
        "which is a folder, and must be an integer from 1 to 5.",
    ),
    "a circle": (
        ("pipeline.yml", "jobs.count.inputs.data", "${{parent.jobs.join.outputs.joined}}"),
        "Jobs wait for each other: ",
    ),
    "an output that nobody reads": (
        ("pipeline.yml", "jobs.join.outputs", None),
        "Job join: output joined is neither read by a job nor an output of the pipeline.",
    ),
    "an output of the pipeline from nowhere": (
        ("pipeline.yml", "outputs.more", {"type": "uri_folder"}),
        "The pipeline's output more comes from 0 jobs, not from one.",
    ),
    "an output bound to nothing": (
        ("pipeline.yml", "jobs.join.outputs.joined", "${{parent.outputs.jioned}}"),
        "but the pipeline has no output jioned; the nearest is joined.",
    ),
    "an unknown output": (
        ("pipeline.yml", "jobs.join.outputs.jioned", "${{parent.outputs.joined}}"),
        "Job join has no output jioned; the nearest is joined.",
    ),
    "an input of the pipeline that nobody reads": (
        ("pipeline.yml", "inputs.more", 1),
        "The pipeline's input more is not read by any job.",
    ),
    "a command with an unknown place": (
        ("join.yml", "command", "cp ${{inputs.cuonted}} ${{inputs.counted}} ${{outputs.joined}}"),
        "Component join: its command has ${{inputs.cuonted}}, but no such input is declared; "
        "the nearest is counted.",
    ),
    "a command without an input": (
        ("join.yml", "command", "touch ${{outputs.joined}}/a"),
        "Component join: input counted is not used in its command.",
    ),
    "a command without an output": (
        ("join.yml", "command", "ls ${{inputs.counted}}"),
        "Component join: output joined is not used in its command.",
    ),
    "an optional input outside the brackets": (
        ("join.yml", "inputs.counted.optional", True),
        "Component join: input counted is optional, so ${{inputs.counted}} must stand within",
    ),
    "a required input within the brackets": (
        ("count.yml", "inputs.note.optional", False),
        "Component count: ${{inputs.note}} stands within $[[ ]], but the input is not optional.",
    ),
    "a text that the shell would take apart": (
        ("pipeline.yml", "jobs.count.inputs.note", "$(rm -r x)"),
        "Job count: input note is '$(rm -r x)', and must be free of quotes, $, ` and \\.",
    ),
}
REFUSED = {
    "an unknown key": (
        ("pipeline.yml", "jobs.count.input", {}),
        "Job count has an unknown key input; the nearest is inputs.",
    ),
    "an unknown key of an input": (
        ("count.yml", "inputs.times.maximum", 3),
        "count.yml: input times has an unknown key maximum",
    ),
    "another kind of job": (
        ("pipeline.yml", "jobs.count.type", "sweep"),
        "Job count must say: type: command.",
    ),
    "another kind of output": (
        ("count.yml", "outputs.counted.type", "mltable"),
        "count.yml: output counted has the type 'mltable'; known here: uri_folder.",
    ),
    "half a reference": (
        ("pipeline.yml", "jobs.count.inputs.times", "${{inputs.times}}"),
        "Job count: input times is '${{inputs.times}}', and must be ${{parent.inputs.NAME}}",
    ),
    "a component that is missing": (
        ("pipeline.yml", "jobs.count.component", "cuont.yml"),
        "cuont.yml can't be read: No such file or directory.",
    ),
    "a default out of range": (
        ("count.yml", "inputs.times.default", 9),
        "count.yml: input times has the default 9, and must be an integer from 1 to 5.",
    ),
    "no end without a limit": (
        ("count.yml", "inputs.share", {"type": "number", "default": float("inf")}),
        "count.yml: input share has the default inf, and must be a number.",
    ),
    "going on after a failure": (
        ("pipeline.yml", "settings", {"continue_on_step_failure": True}),
        "pipeline.yml must say continue_on_step_failure: false",
    ),
    "no jobs": (("pipeline.yml", "jobs", {}), "pipeline.yml defines no jobs."),
}


def test_the_small_pipeline_has_no_mistakes(small):
    assert validate_pipeline(load_pipeline(small.write())) == ()


@pytest.mark.parametrize(("change", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_in_a_sentence(small, change, sentence):
    small.change(*change)

    mistakes = validate_pipeline(load_pipeline(small.write()))

    assert any(sentence in mistake for mistake in mistakes), mistakes


@pytest.mark.parametrize(("change", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_known_here_is_refused_while_reading(small, change, sentence):
    small.change(*change)

    with pytest.raises(PipelineError) as refusal:
        load_pipeline(small.write())

    assert sentence in refusal.value.detail


def test_no_yaml_is_refused_with_its_place(small):
    file = small.write()
    file.write_text("jobs: [", encoding="utf-8")

    with pytest.raises(PipelineError, match=r"pipeline.yml is not YAML: .* line 1"):
        load_pipeline(file)


def test_all_mistakes_are_told_at_once(small):
    small.change("pipeline.yml", "inputs.times", 6)
    small.change("pipeline.yml", "jobs.count.inputs.mode", "fsat")

    with pytest.raises(PipelineError) as refusal:
        require_valid(load_pipeline(small.write()))

    assert "times is 6" in refusal.value.detail.replace(" (the pipeline's times)", "")
    assert "fsat" in refusal.value.detail


@pytest.mark.parametrize(
    ("name", "text", "is_right"),
    [
        ("times", "5", True),
        ("times", "6", False),
        ("times", "five", False),
        ("times", "2.0", False),
        ("count.share", "1", True),
        ("count.share", "1e-2", True),
        ("count.share", "inf", False),
        ("count.loud", "true", True),
        ("count.loud", "1", False),
        ("count.note", "CC BY 4.0", True),
        ("count.mode", "slow", True),
    ],
)
def test_a_text_from_the_command_line_becomes_a_value_of_the_inputs_type(
    small, name, text, is_right
):
    pipeline = with_inputs(load_pipeline(small.write()), {name: text})

    assert (validate_pipeline(pipeline) == ()) is is_right


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("tmies", "The pipeline has no input tmies; the nearest is times."),
        ("cuont.times", "There is no job cuont; the nearest is count."),
        ("count.tmies", "Job count has no input tmies; the nearest is times."),
    ],
)
def test_an_input_that_does_not_exist_is_refused(small, name, sentence):
    with pytest.raises(PipelineError) as refusal:
        with_inputs(load_pipeline(small.write()), {name: "1"})

    assert refusal.value.detail == sentence


def test_the_pipeline_of_the_repository_has_no_mistakes():
    pipeline = load_pipeline(PIPELINE)

    assert validate_pipeline(pipeline) == ()
    assert list(pipeline.jobs) == [
        *("prepare", "finetune", "evaluate", "optimise", "register", "promote"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "allowed"),
    [
        ("epochs", "0", "an integer from 1 to 1000"),
        ("validation_ratio", "0.7", "a number from 0 to 0.5"),
        ("mode", "heads", "one of head, full"),
        ("finetune.learning_rate", "-1", "a number from 1e-07 to 1"),
    ],
)
def test_a_value_out_of_range_is_refused_by_the_pipeline_of_the_repository(name, text, allowed):
    (mistake, *others) = validate_pipeline(with_inputs(load_pipeline(PIPELINE), {name: text}))

    assert mistake.endswith(f"and must be {allowed}.")
    # The seed of one input may be read by several jobs; these values are read by one.
    assert not others
