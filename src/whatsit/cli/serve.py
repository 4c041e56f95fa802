"""``whatsit serve``."""

from typing import Any

import click

from whatsit.cli.terminal import download_progress, model_option, store_option
from whatsit.errors import SettingsError


@click.command()
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=int, help="Port to listen on; 0 picks a free one.")
@model_option
@store_option
@click.option("--no-ui", is_flag=True, help="Serve the API only, without the page.")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes that serve the API; needs --no-ui, as the page must stay in one process.",
)
def serve(*, no_ui: bool, workers: int, **options: Any) -> None:
    """Start the page and the API."""
    from whatsit.settings import load_settings
    from whatsit.web.processes import serve_in_processes
    from whatsit.web.server import serve

    if workers > 1 and not no_ui:
        raise click.UsageError(
            "Several processes serve the API only: add --no-ui. "
            "For the page, start one process for each port and keep visitors on theirs."
        )

    settings = load_settings(options)
    try:
        with download_progress() as progress:
            if workers > 1:
                serve_in_processes(settings, workers, progress)
            else:
                serve(settings, page_enabled=not no_ui, progress=progress)
    except OSError as error:
        where = "" if error.filename is None else f" ({error.filename})"
        raise SettingsError(f"The server can't run: {error.strerror}{where}.") from error
