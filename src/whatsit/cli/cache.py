"""``whatsit cache``."""

from pathlib import Path
from typing import Any

import click

from whatsit.cli.exit import EXIT_CODES
from whatsit.cli.terminal import download_progress, model_option, print_rows, store_option
from whatsit.errors import InputError


@click.group()
def cache() -> None:
    """Look at, clear and fill the cache of answers."""


@cache.command()
@store_option
def stats(**options: Any) -> None:
    """Print how many answers the shared cache holds, by model."""
    from whatsit.opening import open_shared_cache
    from whatsit.settings import load_settings

    settings = load_settings(options)
    with open_shared_cache(settings) as shared:
        counts = shared.count(settings.cache_namespace)
        trouble = shared.trouble
    rows = [(model[:16], str(number)) for model, number in sorted(counts.items())]
    print_rows(("fingerprint", "entries"), [*rows, ("all", str(sum(counts.values())))])
    if trouble is not None:
        click.echo(f"whatsit: {trouble.sentence}", err=True)


@cache.command()
@store_option
def clear(**options: Any) -> None:
    """Delete all answers from the shared cache; running servers forget theirs within 30 s."""
    from whatsit.opening import open_shared_cache
    from whatsit.settings import load_settings

    settings = load_settings(options)
    with open_shared_cache(settings) as shared:
        cleared = shared.clear(settings.cache_namespace)
    click.echo(f"{cleared} entries deleted.")


@cache.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@model_option
@store_option
@click.pass_context
def warm(context: click.Context, /, *, folder: Path, **options: Any) -> None:
    """Answer every picture of a folder, so that later requests are answered from the cache."""
    from whatsit.folders.find import find_files, read_found, show_path
    from whatsit.opening import open_service
    from whatsit.picture import Picture
    from whatsit.settings import load_settings
    from whatsit.telemetry.logs import configure_logging

    settings = load_settings(options)
    configure_logging("warning", "text")
    outcomes: dict[str, int] = {"hit": 0, "miss": 0, "refused": 0}
    with download_progress() as progress, open_service(settings, progress) as running:
        for found in find_files([folder]):
            outcome: str
            try:
                picture = Picture.of(read_found(found, settings.max_upload_bytes))
                outcome = running.service.classify(picture).cache
            except InputError as error:
                outcome = "refused"
                click.echo(f"{show_path(found.path)}: {error.detail}", err=True)
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
    click.echo(
        f"{outcomes['miss']} answered, {outcomes['hit']} known already, "
        f"{outcomes['refused']} refused."
    )
    if outcomes["refused"]:
        context.exit(EXIT_CODES[InputError])
