"""``whatsit feedback``."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from whatsit.cli.terminal import print_rows, store_option
from whatsit.errors import FeedbackUnavailable


@click.group()
def feedback() -> None:
    """Look at, export and forget the corrections of answers."""


@feedback.command("list")
@store_option
def list_feedback(**options: Any) -> None:
    """List all corrections, oldest first."""
    head = ("at", "verdict", "label", "answered", "by", "picture", "sha256")
    with _open_feedback(options) as store:
        records = list(store.database.records()) if store.database.exists() else []
    rows = []
    for record in records:
        said = record.correction
        answered = record.answered.label if record.answered else ""
        kept = "kept" if record.picture_format else ""
        who = record.who or ""
        rows.append((said.at, said.verdict, said.label or "", answered, who, kept, said.sha256))
    print_rows(head, rows)


@feedback.command("export")
@click.argument("folder", metavar="OUT_FOLDER", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "folders"]),
    default="csv",
    show_default=True,
    help="csv: feedback.csv alone; folders: also the kept pictures, in one folder for each class.",
)
@store_option
def export_feedback(*, folder: Path, form: str, **options: Any) -> None:
    """Write the newest correction of each picture as a dataset into OUT_FOLDER."""
    from whatsit.feedback.export import export_corrections

    with _open_feedback(options) as store:
        done = export_corrections(store, folder, with_pictures=form == "folders")
    click.echo(f"{done.corrections} corrections, {done.pictures} pictures: {folder}")
    if done.missing:
        click.echo(f"{done.missing} kept pictures are not here, or are damaged.", err=True)


@feedback.command()
@click.option("--sha256", metavar="DIGEST", help="Of the picture to forget.")
@click.option("--all", "everything", is_flag=True, help="Forget all of them.")
@store_option
def forget(*, sha256: str | None, everything: bool, **options: Any) -> None:
    """Delete corrections and their pictures; running servers forget them within seconds."""
    if (sha256 is None) != everything:
        raise click.UsageError("Say which: --sha256 DIGEST or --all.")
    if sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise click.UsageError("A digest has 64 digits from 0 to f, in lower case.")
    with _open_feedback(options) as store:
        gone = store.forget(sha256)
    click.echo(f"{gone} corrections deleted.")


@contextmanager
def _open_feedback(options: Mapping[str, Any]) -> Iterator[Any]:
    from whatsit.opening import open_feedback_store
    from whatsit.settings import load_settings

    store = open_feedback_store(load_settings(options))
    try:
        yield store
    except FeedbackUnavailable as error:
        click.echo(error.reason, err=True)
        raise
    finally:
        store.database.close()
