"""Shared by the commands: options, tables and the progress of a download."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from whatsit.printable import make_printable

store_option = click.option(
    "--store", help="Folder of models, keys, corrections and the embedded cache."
)
model_option = click.option("--model", help="Name of the model that answers, or live.")


def open_store(options: Mapping[str, Any]) -> Any:  # ModelStore, imported only when needed
    """The model store that the options and the settings name."""
    from whatsit.models.store import ModelStore
    from whatsit.settings import load_settings

    return ModelStore(load_settings(options).store)


def open_alias(options: Mapping[str, Any]) -> Any:  # LiveAlias, imported only when needed
    """The live alias of the store that the options and the settings name."""
    from whatsit.models.live import LiveAlias
    from whatsit.settings import load_settings

    return LiveAlias(load_settings(options).store)


def require_apart(
    outputs: Mapping[str, Path | None], inputs: Mapping[str, Path | Sequence[str | Path] | None]
) -> None:
    """Refuse to overwrite an input, by whichever path or link it is named.

    Args:
        outputs: Files or folders to write, by the options that name them; None is not given.
        inputs: Files or folders to read, likewise; or several of a kind.

    Raises:
        click.UsageError: Two of them are the same file or folder.
    """
    for output, target in outputs.items():
        for name, given in inputs.items():
            sources = [given] if isinstance(given, Path) else given or ()
            if target is not None and any(_is_same(target, source) for source in sources):
                raise click.UsageError(
                    f"{output} would overwrite an input ({name}). Name another place."
                )


def _is_same(one: Path, other: str | Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False  # one that is not there yet is nothing that is read


def print_rows(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print a table, its columns as wide as they need to be.

    Cells may come from strangers, as labels do; they are made printable.
    """
    rows = [tuple(map(make_printable, row)) for row in rows]
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    for row in [head, *rows]:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


@contextmanager
def download_progress() -> Iterator[Any]:
    """A bar on standard error; call the yielded function for every chunk of a download."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    bar = Progress(
        TextColumn("Downloading the model"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task: TaskID | None = None

    def report(present: int, total: int) -> None:
        nonlocal task
        if task is None:
            bar.start()
            task = bar.add_task("download", total=total)
        bar.update(task, completed=present)
        if present >= total:
            bar.stop()

    try:
        yield report
    finally:
        if task is not None:
            bar.stop()
