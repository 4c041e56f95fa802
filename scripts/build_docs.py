"""Write the pages that are made from the code: settings, errors and metrics in docs/reference."""

import re
from pathlib import Path

from whatsit.cli.exit import exit_code_of
from whatsit.errors import WhatsitError
from whatsit.settings import Settings
from whatsit.telemetry.metrics import Telemetry
from whatsit.web.api.problems import STATUS_BY_ERROR

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference"

SEE = re.compile(r"\bsee (security|sign-in)\.md")


def settings_page() -> str:
    """The page of all settings."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = "see text" if field.default_factory else field.default
        shown = "" if default in (None, "") else f"`{default}`"
        meaning = SEE.sub(r"see [\1](../run/\1.md)", str(field.description))
        rows.append(f"| `WHATSIT_{name.upper()}` | {shown} | {meaning} |")
    return "\n".join(
        [
            "# Settings",
            "",
            "<!-- Written by scripts/build_docs.py from src/whatsit/settings.py. -->",
            "",
            "An option of the command line wins over the environment, which wins over a file "
            "`.env` in the working folder, which wins over the default.",
            "An unknown `WHATSIT_...` variable stops the start, with the nearest known name.",
            "`whatsit settings` prints the effective values, with secrets masked.",
            "",
            "| variable | default | meaning |",
            "|---|---|---|",
            *rows,
            "",
            "`WHATSIT_STORE` is the user's data folder by default, such as "
            "`~/.local/share/whatsit`; "
            "`WHATSIT_INFERENCE_THREADS` is two more than there are cores.",
            "",
        ]
    )


def errors_page() -> str:
    """The page of all errors."""
    kinds = sorted(_subclasses(WhatsitError), key=lambda kind: kind.code)
    rows = [
        f"| `{kind.code}` | {STATUS_BY_ERROR.get(kind, '')!s} | {_exit_code(kind)} "
        f"| {(kind.__doc__ or '').splitlines()[0]} |"
        for kind in kinds
    ]
    return "\n".join(
        [
            "# Errors",
            "",
            "<!-- Written by scripts/build_docs.py from src/whatsit/errors.py. -->",
            "",
            "Over HTTP an error is a problem document (RFC 9457) with `type`, `title`, `status`, "
            "`detail` and `code`; on the command line it is a sentence and an exit status.",
            "`code` never changes its meaning; `detail` is for people and may be reworded.",
            "An error without an HTTP status does not reach a request.",
            "",
            "| code | HTTP | exit status | meaning |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def metrics_page() -> str:
    """The page of all metrics."""
    rows = [
        f"| `{metric.name}` | {metric.kind} | {', '.join(f'`{name}`' for name in metric.labels)} "
        f"| {metric.meaning} |"
        for metric in Telemetry().describe()
    ]
    return "\n".join(
        [
            "# Metrics",
            "",
            "<!-- Written by scripts/build_docs.py from src/whatsit/telemetry/catalogue.py. -->",
            "",
            "`/metrics` returns these metrics in the text format of Prometheus.",
            "With `whatsit serve --no-ui --workers N` each sample also has the label `process`, "
            "from 1 to N.",
            "A histogram has the endings `_bucket`, `_count` and `_sum`.",
            "[Operate](../run/operate.md) explains how to watch them.",
            "",
            "| metric | kind | labels | meaning |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _subclasses(kind: type[WhatsitError]) -> set[type[WhatsitError]]:
    direct = {sub for sub in kind.__subclasses__() if not sub.__name__.startswith("_")}
    return direct | {deeper for sub in direct for deeper in _subclasses(sub)}


def _exit_code(kind: type[WhatsitError]) -> int:
    return exit_code_of(kind.__new__(kind))


PAGES = {
    "settings.md": settings_page,
    "errors.md": errors_page,
    "metrics.md": metrics_page,
}


if __name__ == "__main__":
    for file, page in PAGES.items():
        (FOLDER / file).write_text(page(), encoding="utf-8")
