"""The command line. Results go to standard output, everything else to standard error."""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click

from whatsit import __version__
from whatsit.errors import (
    FeedbackUnavailable,
    InputError,
    ModelError,
    SettingsError,
    UnknownModel,
    WhatsitError,
)

EXIT_CODES: Mapping[type[WhatsitError], int] = {
    InputError: 1,
    SettingsError: 2,
    UnknownModel: 2,
    ModelError: 3,
    WhatsitError: 4,
}
"""Exit status by class of error; the nearest base class counts."""


def exit_code_of(error: WhatsitError) -> int:
    """The exit status that tells of `error`."""
    return next(EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="whatsit")
def cli() -> None:
    """Show it a picture; it tells you what it is, in words."""


def main() -> NoReturn:
    """The console script: one sentence instead of a traceback for every known error."""
    try:
        status = cli(standalone_mode=False)
    except WhatsitError as error:
        click.echo(f"whatsit: {error.detail}", err=True)
        sys.exit(exit_code_of(error))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    sys.exit(status if isinstance(status, int) else 0)


_store_option = click.option(
    "--store", help="Folder of models, keys, corrections and the embedded cache."
)
_model_option = click.option("--model", help="Name of the model that answers.")


@cli.command()
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=int, help="Port to listen on; 0 picks a free one.")
@_model_option
@_store_option
@click.option("--no-ui", is_flag=True, help="Serve the API only, without the page.")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes that serve the API; needs --no-ui, as the page has to stay in one process.",
)
def serve(*, no_ui: bool, workers: int, **options: Any) -> None:
    """Start the page and the API."""
    from whatsit.settings import load_settings
    from whatsit.web.processes import serve_in_processes
    from whatsit.web.serve import serve

    if workers > 1 and not no_ui:
        raise click.UsageError(
            "Several processes serve the API only: add --no-ui. "
            "For the page, start one process for each port and keep visitors on theirs."
        )

    settings = load_settings(options)
    try:
        with _download_progress() as progress:
            if workers > 1:
                serve_in_processes(settings, workers, progress)
            else:
                serve(settings, page_enabled=not no_ui, progress=progress)
    except OSError as error:
        address = f"{settings.host}:{settings.port}"
        raise SettingsError(f"Can't listen on {address}: {error.strerror}.") from error


@cli.command()
@click.argument(
    "paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document a line.")
@click.option("--top-k", type=click.IntRange(1, 20), default=5, show_default=True)
@click.option(
    "--why",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="For one picture: a PNG to write, in which bright is what speaks for the best label.",
)
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="Write a row for each picture: .csv or .jsonl; - for standard output.",
)
@click.option("--resume", is_flag=True, help="Go on with what an earlier run has left in --out.")
@click.option("--server", metavar="URL", help="Ask a running server instead of computing here.")
@click.option("--key", envvar="WHATSIT_KEY", show_envvar=True, help="API key for --server.")
@click.option("--threads", type=click.IntRange(1, 64), help="Pictures worked on at a time.")
@_model_option
@_store_option
@click.pass_context
def classify(
    context: click.Context,
    /,
    *,
    paths: tuple[Path, ...],
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
    """Say what is in each picture; of a folder, in all pictures below it.

    One bad file does not stop the rest; the exit status tells that there was one.
    """
    from whatsit.jobs.answers import answer_here, answer_there
    from whatsit.jobs.classify import show_answers, write_answers
    from whatsit.jobs.rows import format_for

    _require_sensible(paths, why, out, resume=resume, as_json=as_json)
    rows = None if out is None else format_for(out, as_json=as_json)
    with ExitStack() as stack:
        if server is not None:
            if any(options.values()):
                raise click.UsageError("A server has its own --model and --store.")
            answers = stack.enter_context(answer_there(server, key, threads))
        else:
            from whatsit.settings import load_settings
            from whatsit.telemetry import configure_logging

            settings = load_settings({**options, "inference_threads": threads})
            configure_logging("warning", "text")
            progress = stack.enter_context(_download_progress())
            answers = stack.enter_context(answer_here(settings, progress))
        if out is None or rows is None:
            errors = show_answers(paths, answers, top_k=top_k, as_json=as_json, why=why)
        else:
            errors = write_answers(paths, answers, top_k=top_k, out=out, rows=rows, resume=resume)
    if errors:
        context.exit(max(exit_code_of(error) for error in errors))


def _require_sensible(
    paths: tuple[Path, ...], why: Path | None, out: Path | None, *, resume: bool, as_json: bool
) -> None:
    is_file = out is not None and str(out) != "-"
    if why is not None and (len(paths) != 1 or paths[0].is_dir() or out is not None):
        raise click.UsageError("--why takes one picture.")
    if resume and not is_file:
        raise click.UsageError("--resume goes on with a file: name it with --out.")
    if as_json and is_file:
        raise click.UsageError("With --out the suffix decides: .jsonl for JSON.")


@cli.group()
def cache() -> None:
    """Look at, clear and fill the cache of answers."""


@cache.command()
@_store_option
def stats(**options: Any) -> None:
    """Print how many answers the shared cache holds, by model."""
    from whatsit.bootstrap import open_shared_cache
    from whatsit.settings import load_settings

    settings = load_settings(options)
    with open_shared_cache(settings) as shared:
        counts = shared.count(settings.cache_namespace)
    rows = [(model[:16], str(number)) for model, number in sorted(counts.items())]
    _print_rows(("fingerprint", "entries"), [*rows, ("all", str(sum(counts.values())))])


@cache.command()
@_store_option
def clear(**options: Any) -> None:
    """Delete all answers from the shared cache; running servers forget theirs within 30 s."""
    from whatsit.bootstrap import open_shared_cache
    from whatsit.settings import load_settings

    settings = load_settings(options)
    with open_shared_cache(settings) as shared:
        cleared = shared.clear(settings.cache_namespace)
    click.echo(f"{cleared} entries are gone.")


@cache.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@_model_option
@_store_option
@click.pass_context
def warm(context: click.Context, /, *, folder: Path, **options: Any) -> None:
    """Answer every picture of a folder, so that it is known when somebody asks."""
    from whatsit.bootstrap import open_service
    from whatsit.jobs.folder import read_file
    from whatsit.settings import load_settings
    from whatsit.telemetry import configure_logging

    settings = load_settings(options)
    configure_logging("warning", "text")
    outcomes: dict[str, int] = {"hit": 0, "miss": 0, "refused": 0}
    with _download_progress() as progress, open_service(settings, progress) as running:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            outcome: str
            try:
                outcome = running.service.classify(read_file(path, settings.max_upload_bytes)).cache
            except InputError as error:
                outcome = "refused"
                click.echo(f"{path}: {error.detail}", err=True)
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
    click.echo(
        f"{outcomes['miss']} answered, {outcomes['hit']} known already, "
        f"{outcomes['refused']} refused."
    )
    if outcomes["refused"]:
        context.exit(EXIT_CODES[InputError])


@cli.group()
def models() -> None:
    """List, show, pull, add and remove models."""


@models.command("list")
@_store_option
def list_models(**options: Any) -> None:
    """List every model that can be served."""
    store = _open_store(options)
    present = store.present_names()
    rows = [
        (
            name,
            "here" if name in present else "to pull",
            (card := store.card(name)).licence,
            card.description,
        )
        for name in store.known_names()
    ]
    _print_rows(("model", "weights", "licence", "description"), rows)


@models.command()
@click.argument("name")
@_store_option
def show(*, name: str, **options: Any) -> None:
    """Print a model's card."""
    from whatsit.model_card import format_card

    click.echo(format_card(_open_store(options).card(name)), nl=False)


@models.command()
@click.argument("name")
@_store_option
def pull(*, name: str, **options: Any) -> None:
    """Download a model of the catalogue; goes on where an earlier attempt stopped."""
    store = _open_store(options)
    with _download_progress() as progress:
        store.pull(name, progress)
    click.echo(f"{name} is here. Serve it with: whatsit serve --model {name}")


@models.command()
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option("--name", help="Name to store it under; needed for a bare .onnx file.")
@click.option(
    "--labels",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="For a bare .onnx file: its labels, one a line; ImageNet's if left out.",
)
@click.option("--size", type=int, help="For a bare .onnx file: side of its input, pixels.")
@click.option("--resize", type=int, help="Shorter side before the crop, pixels [size * 256 / 224].")
@click.option(
    "--mean", type=(float, float, float), help="Subtracted from 0..1 values, per channel."
)
@click.option("--std", type=(float, float, float), help="Divides 0..1 values, per channel.")
@click.option("--bgr", is_flag=True, help="The channels are blue, green, red.")
@click.option("--softmax", is_flag=True, help="The output is probabilities, not logits.")
@click.option("--licence", default="", help="Licence of the weights.")
@_store_option
def add(*, source: Path, name: str | None, store: str | None, **facts: Any) -> None:
    """Copy a model folder, or a bare .onnx file with its facts as options, into the store."""
    models_store = _open_store({"store": store})
    if source.is_dir():
        given = sorted(option for option, value in facts.items() if value)
        if given:
            raise SettingsError(
                f"A model folder has these facts in its card: --{', --'.join(given)}."
            )
        added = _add_checked(models_store, source, name)
    else:
        from whatsit.models.bare import card_for_onnx, folder_for_onnx

        if name is None:
            raise SettingsError("A bare .onnx file needs --name.")
        labels = facts.pop("labels")
        card = card_for_onnx(source, name, labels=labels, **facts)
        with folder_for_onnx(source, card, labels) as folder:
            added = _add_checked(models_store, folder)
    click.echo(
        f"{added.card.name} is here ({len(added.labels)} classes). "
        f"Serve it with: whatsit serve --model {added.card.name}"
    )


def _add_checked(store: Any, folder: Path, name: str | None = None) -> Any:
    """Add a folder only if its model runs and its labels fit it."""
    from whatsit.classifier import Classifier
    from whatsit.models.store import open_folder

    Classifier.from_folder(open_folder(folder)).close()
    return store.add(folder, name)


@models.command()
@click.argument("name")
@click.option(
    "--images",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Folder of pictures that the model was not trained on.",
)
@click.option(
    "--labels",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="CSV with the columns file and class_index.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for card.toml, calibration.json and reliability.png.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random halvings.")
@_store_option
def calibrate(
    *, name: str, images: Path, labels: Path, out: Path | None, seed: int, **options: Any
) -> None:
    """Fit on labelled pictures what makes a model's percentages true; write it into its card."""
    from whatsit.classifier import Classifier
    from whatsit.model_card import write_card
    from whatsit.pipeline.calibrate import apply_calibration, calibrate, measure_pictures
    from whatsit.pipeline.reliability import draw_reliability
    from whatsit.settings import load_settings

    store = _open_store(options)
    is_stored = name in store.names()
    model = store.open(name)
    if not is_stored and out is None:
        raise SettingsError(
            f"The card of {name} comes with whatsit; say --out FOLDER for a new one."
        )
    with Classifier.from_folder(model, engine=load_settings(options).engine) as classifier:
        measurements, digest = measure_pictures(classifier, images, labels)
    report = calibrate(measurements, model.labels.taxonomy, data_sha256=digest, seed=seed)
    card = apply_calibration(model.card, report)
    if is_stored:
        store.replace_card(name, card)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_card(out, card)
        facts = json.dumps({"model": name, **report.as_facts()}, indent=2)
        (out / "calibration.json").write_text(facts + "\n", encoding="utf-8")
        (out / "reliability.png").write_bytes(draw_reliability(report.reliability(), name))
    rows = [
        (figure, f"{spread.mean:.4f}", f"{spread.sd:.4f}")
        for figure, spread in report.summarise().items()
    ]
    _print_rows(("held out", "mean", "sd"), rows)


@models.command()
@click.argument("name")
@_store_option
def remove(*, name: str, **options: Any) -> None:
    """Delete a stored model."""
    _open_store(options).remove(name)
    click.echo(f"{name} is gone from the store.")


@cli.group()
def keys() -> None:
    """Make, list and revoke the keys of the API."""


@keys.command("create")
@click.argument("name")
@_store_option
def create_key(*, name: str, **options: Any) -> None:
    """Make a key for NAME and print it; it can't be shown again."""
    click.echo(_open_keys(options).create(name))
    click.echo("This key is shown only now. Send it as: Authorization: Bearer KEY", err=True)


@keys.command("list")
@_store_option
def list_keys(**options: Any) -> None:
    """List the keys: id, name, when each was made, and when it was revoked."""
    rows = [
        (key.id, key.name, key.created, key.revoked or "") for key in _open_keys(options).known()
    ]
    _print_rows(("id", "name", "created", "revoked"), rows)


@keys.command("revoke")
@click.argument("key_id", metavar="ID")
@_store_option
def revoke_key(*, key_id: str, **options: Any) -> None:
    """Make the key ID stop working, within a second, in all servers of this store."""
    key = _open_keys(options).revoke(key_id)
    click.echo(f"The key {key.id} ({key.name}) is revoked since {key.revoked}.")


@cli.group()
def feedback() -> None:
    """Look at, export and forget the corrections of answers."""


@feedback.command("list")
@_store_option
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
    _print_rows(head, rows)


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
@_store_option
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
@_store_option
def forget(*, sha256: str | None, everything: bool, **options: Any) -> None:
    """Delete corrections and their pictures; running servers forget them within seconds."""
    if (sha256 is None) != everything:
        raise click.UsageError("Say which: --sha256 DIGEST or --all.")
    if sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise click.UsageError("A digest has 64 digits from 0 to f, in lower case.")
    with _open_feedback(options) as store:
        gone = store.forget(sha256)
    click.echo(f"{gone} corrections are gone.")


@cli.command()
def settings() -> None:
    """Print the effective settings, secrets masked."""
    from whatsit.settings import load_settings, masked

    for variable, value in masked(load_settings()).items():
        click.echo(f"{variable}={value}")


def _open_store(options: Mapping[str, Any]) -> Any:  # ModelStore, imported only when needed
    from whatsit.models.store import ModelStore
    from whatsit.settings import load_settings

    return ModelStore(load_settings(options).store)


def _open_keys(options: Mapping[str, Any]) -> Any:  # KeyFile, imported only when needed
    from whatsit.keys import KeyFile
    from whatsit.settings import load_settings

    return KeyFile(load_settings(options).store)


@contextmanager
def _open_feedback(options: Mapping[str, Any]) -> Iterator[Any]:
    from whatsit.bootstrap import open_feedback_store
    from whatsit.settings import load_settings

    store = open_feedback_store(load_settings(options))
    try:
        yield store
    except FeedbackUnavailable as error:
        click.echo(error.reason, err=True)
        raise
    finally:
        store.database.close()


def _print_rows(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    for row in [head, *rows]:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


@contextmanager
def _download_progress() -> Iterator[Any]:
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
