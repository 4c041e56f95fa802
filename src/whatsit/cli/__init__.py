"""The command line. Results go to standard output, everything else to standard error."""

import sys
from typing import NoReturn

import click

from whatsit import __version__
from whatsit.cli.cache import cache
from whatsit.cli.classify import classify
from whatsit.cli.exit import exit_code_of
from whatsit.cli.feedback import feedback
from whatsit.cli.keys import keys
from whatsit.cli.models import models
from whatsit.cli.pipeline import pipeline
from whatsit.cli.serve import serve
from whatsit.cli.streams import open_standard_streams
from whatsit.errors import WhatsitError
from whatsit.printable import make_printable


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="whatsit")
def cli() -> None:
    """Show it a picture; it tells you what it is, in words."""


def main() -> NoReturn:
    """The console script: one sentence instead of a traceback for every known error."""
    open_standard_streams()
    try:
        status = cli(standalone_mode=False)
        sys.stdout.flush()
    except WhatsitError as error:
        # It may repeat what a file or a server says.
        sentence = "\n".join(map(make_printable, error.detail.split("\n")))
        click.echo(f"whatsit: {sentence}", err=True)
        sys.exit(exit_code_of(error))
    except OSError as error:
        # An unexpected failure; the expected ones have their own sentences.
        what = make_printable(str(error.filename)) if error.filename else "A file"
        click.echo(f"whatsit: {what} can't be used: {error.strerror or error}.", err=True)
        sys.exit(exit_code_of(WhatsitError()))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    sys.exit(status if isinstance(status, int) else 0)


@cli.command("settings")
def show_settings() -> None:
    """Print the effective settings, secrets masked."""
    from whatsit.settings import load_settings, masked

    for variable, value in masked(load_settings()).items():
        click.echo(f"{variable}={value}")


for command in (serve, classify, cache, models, pipeline, keys, feedback):
    cli.add_command(command)
