"""The commands of docs/models/pipeline.md run in the order of the page."""

import shutil
from pathlib import Path

from click.testing import CliRunner

from tests.docs.fences import all_fences
from tests.support.datasets import photographs, write_folders
from whatsit.cli import cli
from whatsit.models.catalogue import bundled_folder
from whatsit.pipeline.report import read_report

NEED_TRAINING = {
    "finetune": Path("work", "finetune"),
    "optimise": Path("work", "optimise"),
    "run": None,
}
"""Run by the tests of the extra; here the bundled model stands where they would write theirs."""


def verbs_and_commands() -> list[tuple[str, str]]:
    found = []
    for fence in all_fences():
        if fence.page.endswith("pipeline.md") and fence.language == "sh":
            for command in fence.commands:
                if command.startswith("whatsit pipeline "):
                    found.append((command.split()[2], command))
    return found


def test_the_steps_run_in_the_order_of_the_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WHATSIT_STORE", str(tmp_path / "home"))
    monkeypatch.setenv("WHATSIT_MODEL", "efficientnet-lite2")
    write_folders(tmp_path / "pictures", photographs())
    ran = []
    for verb, command in verbs_and_commands():
        if verb in NEED_TRAINING:
            if (model := NEED_TRAINING[verb]) is not None:
                assert f"--out {model}" in command
                shutil.copytree(bundled_folder(), tmp_path / model)
            continue
        if verb == "promote":
            command += " --latency-budget-ms 60000"  # this is not about speed
        done = CliRunner().invoke(cli, command.split()[1:])
        if done.exception is not None:
            raise done.exception
        assert done.stdout.strip()
        assert read_report(tmp_path / "work" / verb, verb)
        ran.append(verb)

    assert ran == ["prepare", "evaluate", "register", "promote"]


def test_the_page_shows_every_verb():
    from whatsit.cli.pipeline import pipeline

    on_azure_ml = {"validate", "submit"}  # on a page of their own
    assert {verb for verb, _ in verbs_and_commands()} == set(pipeline.commands) - on_azure_ml
