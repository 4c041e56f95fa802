"""The components ask for exactly what the verbs of the command line take."""

import re
from typing import Any

import pytest

from tests.azure_ml.definitions import PIPELINE
from whatsit.cli.pipeline import pipeline
from whatsit.pipeline.azure_ml.reader import load_pipeline

JOBS = load_pipeline(PIPELINE).jobs


def defaults_of(name: str) -> dict[str, Any]:
    """What the inputs of a job's component are where nobody says."""
    ports = JOBS[name].component.inputs.values()
    return {port.name: port.default for port in ports if port.default is not None}


@pytest.fixture(scope="module")
def verbs():
    """The verbs of ``whatsit pipeline`` by their names."""
    return pipeline.commands


@pytest.mark.parametrize("name", JOBS)
def test_a_components_command_line_has_exactly_the_options_of_its_verb(verbs, name):
    command = JOBS[name].component.command
    options = {option for parameter in verbs[name].params for option in parameter.opts}

    assert f"whatsit pipeline {name} " in command
    assert sorted(re.findall(r"--[a-z][a-z0-9-]+", command)) == sorted(options)


@pytest.mark.parametrize("name", JOBS)
def test_a_components_inputs_are_named_as_the_options(name):
    component = JOBS[name].component

    for option, place in re.findall(r'--([a-z0-9-]+) "?\$\{\{inputs\.(\w+)\}\}', component.command):
        assert option.replace("-", "_") == place


@pytest.mark.parametrize("name", [name for name in JOBS if defaults_of(name)])
def test_a_components_defaults_are_those_of_its_verb(verbs, name):
    parameters = {parameter.name: parameter for parameter in verbs[name].params}

    assert defaults_of(name) == {port: parameters[port].default for port in defaults_of(name)}
