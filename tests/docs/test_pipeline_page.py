"""The commands of docs/pipeline.md are run in their order, for each needs what was made before."""

import shutil
import subprocess
from pathlib import Path

from tests.conftest import ROOT
from tests.docs.test_documents import blocks, environment
from tests.support.datasets import photographs, write_folders
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
    for block in blocks(ROOT / "docs" / "pipeline.md", "sh"):
        command = block.strip()
        assert "\n" not in command, "one command a block"
        if command.startswith("whatsit pipeline "):
            found.append((command.split()[2], command))
    return found


def test_the_steps_run_in_the_order_of_the_page(tmp_path):
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
        done = subprocess.run(
            ["bash", "-euc", command],
            cwd=tmp_path,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()
        assert read_report(tmp_path / "work" / verb, verb)
        ran.append(verb)

    assert ran == ["prepare", "evaluate", "register", "promote"]


def test_the_page_shows_every_verb():
    from whatsit.cli.pipeline import pipeline

    on_azure_ml = {"local", "validate", "submit"}  # on a page of their own
    assert {verb for verb, _ in verbs_and_commands()} == set(pipeline.commands) - on_azure_ml
