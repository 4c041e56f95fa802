"""``whatsit classify``."""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from whatsit.cli.exit import exit_code_of
from whatsit.cli.terminal import download_progress, model_option, require_apart, store_option


@click.command()
@click.argument(
    # As texts: a path can't distinguish `./-` from `-`; unreadable files get a row.
    *("paths",),
    metavar="PATH...",
    nargs=-1,
    required=True,
    type=click.Path(readable=False, allow_dash=True),
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document a line.")
@click.option("--top-k", type=click.IntRange(1, 20), default=5, show_default=True)
@click.option(
    "--why",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="For one picture: a PNG to write, bright where the picture supports the best label.",
)
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="Write a row for each picture: .csv or .jsonl; - for standard output.",
)
@click.option("--resume", is_flag=True, help="Continue the output of an earlier run in --out.")
@click.option("--server", metavar="URL", help="Ask a running server instead of computing here.")
@click.option("--key", envvar="WHATSIT_KEY", show_envvar=True, help="API key for --server.")
@click.option("--threads", type=click.IntRange(1, 64), help="Pictures processed at the same time.")
@model_option
@store_option
@click.pass_context
def classify(
    context: click.Context,
    /,
    *,
    paths: tuple[str, ...],
    as_json: bool,
    top_k: int,
    why: Path | None,
    out: Path | None,
    resume: bool,
    server: str | None,
    key: str | None,
    threads: int | None,
    **options: Any,
) -> None:
    """Say what is in each picture; of a folder, in all pictures below it; - is standard input.

    One bad file does not stop the rest; the exit status then reports it.
    """
    from whatsit.folders.answers import answer_here, answer_there
    from whatsit.folders.classify import show_answers, write_answers
    from whatsit.folders.rows import format_for

    _require_sensible(paths, why, out, resume=resume, as_json=as_json)
    rows = None if out is None else format_for(out, as_json=as_json)
    with ExitStack() as stack:
        if server is not None:
            if any(options.values()):
                raise click.UsageError("A server has its own --model and --store.")
            answers = stack.enter_context(answer_there(server, key, threads))
        else:
            from whatsit.settings import load_settings
            from whatsit.telemetry.logs import configure_logging

            settings = load_settings({**options, "inference_threads": threads})
            configure_logging("warning", "text")
            progress = stack.enter_context(download_progress())
            answers = stack.enter_context(answer_here(settings, progress))
        if out is None or rows is None:
            errors = show_answers(paths, answers, top_k=top_k, as_json=as_json, why=why)
        else:
            errors = write_answers(paths, answers, top_k=top_k, out=out, rows=rows, resume=resume)
    if errors:
        context.exit(max(exit_code_of(error) for error in errors))


def _require_sensible(
    paths: tuple[str, ...], why: Path | None, out: Path | None, *, resume: bool, as_json: bool
) -> None:
    is_file = out is not None and str(out) != "-"
    is_one = len(paths) == 1 and not os.path.isdir(paths[0])  # noqa: PTH112 - it never raises
    if why is not None and (not is_one or out is not None):
        raise click.UsageError("--why takes one picture.")
    if resume and not is_file:
        raise click.UsageError("--resume continues a file: name it with --out.")
    if as_json and is_file:
        raise click.UsageError("With --out the suffix decides: .jsonl for JSON.")
    if paths.count("-") > 1:
        raise click.UsageError("Standard input (-) can be read only once.")
    require_apart({"--why": why, "--out": out if is_file else None}, {"PATH": paths})
