"""The report of every step of the pipeline: ``report.json``."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from whatsit import __version__
from whatsit.errors import PipelineError

REPORT_FILE = "report.json"

_RESERVED = frozenset({"step", "whatsit", "arguments", "seconds"})


def write_report(
    folder: Path,
    step: str,
    arguments: Mapping[str, Any],
    facts: Mapping[str, Any],
    seconds: float,
) -> Path:
    """Write the report of a step into its folder, which is made.

    Args:
        folder: The output folder of the step (its ``--out``).
        step: Its name, such as ``prepare``.
        arguments: Its arguments, by name; paths may stand here.
        facts: Its results. No times of day and no absolute paths, so that the reports of two
            runs can be compared.
        seconds: How long it took.

    Returns:
        The file.

    Raises:
        ValueError: A fact has the name of one of the report's own members, or is a number that
            JSON does not know.
    """
    if taken := _RESERVED & facts.keys():
        raise ValueError(f"A report has its own {', '.join(sorted(taken))}.")
    report = {
        "step": step,
        "whatsit": __version__,
        "arguments": {
            name: str(value) if isinstance(value, Path) else value
            for name, value in arguments.items()
        },
        "seconds": round(seconds, 3),
        **facts,
    }
    text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / REPORT_FILE
    file.write_text(text + "\n", encoding="utf-8")
    return file


def read_report(folder: Path, step: str | None = None) -> dict[str, Any]:
    """The report that a step left in a folder.

    Args:
        folder: The output folder of the step.
        step: Which step it must have been; None for any.

    Raises:
        PipelineError: The report is missing or unreadable, or is another step's.
    """
    try:
        report = json.loads((folder / REPORT_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PipelineError(
            f"The folder {folder.name!r} lacks a readable {REPORT_FILE}."
        ) from error
    if not isinstance(report, dict) or "step" not in report:
        raise PipelineError(
            f"{REPORT_FILE} in the folder {folder.name!r} is not a report of a step."
        )
    if step is not None and report["step"] != step:
        raise PipelineError(
            f"{REPORT_FILE} in the folder {folder.name!r} is of {report['step']!r}; "
            f"that of {step!r} is needed."
        )
    return report
