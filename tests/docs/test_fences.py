"""Every command that a document shows is run by a test, or the page says why not."""

import re

import pytest

from tests.docs.fences import REASONS, all_fences, complaint, is_command, pages, read_fences

FENCES = all_fences()


@pytest.mark.parametrize("fence", FENCES, ids=str)
def test_a_fence_is_run_or_says_why_not(fence):
    assert complaint(fence) == ""


def test_every_note_stands_above_a_fence():
    pattern = re.compile(r"^ *<!-- (?:not run|run by)\b", re.MULTILINE)
    notes = sum(len(pattern.findall(page.read_text("utf-8"))) for page in pages())

    assert notes == sum(bool(fence.note) for fence in FENCES)


def test_every_reason_is_used():
    assert {f"not run: {reason}" for reason in REASONS} <= {fence.note for fence in FENCES}


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        ("```\nwhatsit serve\n```\n", "the language ''"),
        ("```py\nprint(1)\n```\n", "the language 'py'"),
        ("```text\nbee.jpg\nA=1 whatsit serve\n```\n", "a command stands in"),
        ("1. Do it:\n\n   ```ini\n   make run\n   ```\n", "a command stands in"),
        ("<!-- not run: too lazy -->\n```sh\nmake run\n```\n", "the reason 'too lazy'"),
        ("<!-- not run: needs root -->\n```json\n{}\n```\n", "a note stands above"),
        ("<!-- run by tests/gone.py -->\n```sh\nmake run\n```\n", "does not exist"),
        (
            "<!-- run by tests/docs/fences.py -->\n```sh\nwhatsit models fly-away x\n```\n",
            r"does not mention \['fly-away'\]",
        ),
    ],
)
def test_a_fence_that_breaks_a_rule_is_found(page, sentence):
    [fence] = read_fences(page, "page.md")

    assert re.search(sentence, complaint(fence))


def test_a_command_is_known_by_its_program():
    assert is_command("WHATSIT_PORT=1 whatsit serve")
    assert is_command("$ make run")
    assert not is_command("WHATSIT_PUBLISH=8501")
    assert not is_command("make-believe")
