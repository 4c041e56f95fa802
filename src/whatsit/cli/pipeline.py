"""``whatsit pipeline``: one verb for each step, with the arguments of its function as options."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from whatsit.cli.azure_ml import submit, validate
from whatsit.cli.terminal import require_apart, store_option
from whatsit.errors import GateFailed

_FOLDER = click.Path(file_okay=False, path_type=Path)
_RATIO = click.FloatRange(0, 1)
_PLAIN_WIDTH = 110
"""Columns of a table that goes into a file or a pipe."""


_Verb = Callable[..., Any]
_Decorator = Callable[[_Verb], _Verb]


def _folder_option(name: str, text: str) -> _Decorator:
    return click.option(f"--{name}", type=_FOLDER, required=True, help=text)


_data_option = _folder_option("data", "Folder of the labelled pictures.")
_manifest_option = _folder_option("manifest", "Folder that prepare wrote.")
_out_option = _folder_option("out", "Folder for what the step writes, report.json included.")
_model_option = click.option(
    "--model", required=True, help="Name of a model, or path of a model folder."
)
_seed_option = click.option(
    "--seed", default=0, show_default=True, help="Seed of all random choices."
)
_licence_option = click.option("--licence", help="Licence of the weights, if the card has none.")


def _ratio_option(name: str, default: float, text: str) -> _Decorator:
    return click.option(f"--{name}", type=_RATIO, default=default, show_default=True, help=text)


_division_options = (
    _ratio_option("validation-ratio", 0.15, "Share of the pictures for validation."),
    _ratio_option("test-ratio", 0.2, "Share of the pictures for the test."),
)
_training_options = (
    click.option(
        "--base",
        default="efficientnet-lite2",
        show_default=True,
        help="Model to start from: a name, a model folder, or in mode full one of Keras.",
    ),
    click.option(
        "--mode",
        type=click.Choice(["head", "full"]),
        default="head",
        show_default=True,
        help="Train a new last layer, or the whole network.",
    ),
    click.option("--epochs", type=click.IntRange(1), default=30, show_default=True),
    click.option("--batch-size", type=click.IntRange(1), default=32, show_default=True),
    click.option("--learning-rate", type=float, help="That of the mode if left out."),
    click.option(
        "--weights",
        default="imagenet",
        show_default=True,
        help="In mode full: imagenet, or random.",
    ),
)
_optimising_options = (
    click.option(
        "--calibration-images",
        type=click.IntRange(1),
        default=300,
        show_default=True,
        help="Training pictures that the 8-bit model is fitted to.",
    ),
    _ratio_option("max-drop", 0.01, "Share of correct answers that 8 bits may cost."),
)
_gate_options = (
    _ratio_option("tolerance", 0.01, "How much less accurate than the live model it may be."),
    click.option(
        "--latency-budget-ms",
        type=float,
        default=50.0,
        show_default=True,
        help="The longest median time of an answer.",
    ),
    _ratio_option("min-top1", 0.5, "The accuracy that the model must have in any case."),
)


def _with(options: Sequence[_Decorator]) -> _Decorator:
    def decorate(command: _Verb) -> _Verb:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _home(store: str | None) -> Path:
    from whatsit.models.importers.require_extra import keep_keras_in
    from whatsit.settings import load_settings

    home = load_settings({"store": store}).store
    keep_keras_in(home)
    return home


@click.group()
def pipeline() -> None:
    """Make a better model of labelled pictures, measure it, and let it go live."""


@pipeline.command()
@_data_option
@_out_option
@_with(_division_options)
@_seed_option
def prepare(*, data: Path, out: Path, **options: Any) -> None:
    """Check labelled pictures and divide them into splits that do not leak."""
    from whatsit.pipeline.manifest import SPLITS
    from whatsit.pipeline.prepare import prepare
    from whatsit.pipeline.report import read_report

    require_apart({"--out": out}, {"--data": data})
    prepare(data, out, **options)
    report = read_report(out, "prepare")
    _print_table(
        ("class", "wnid", *SPLITS),
        [
            (entry["label"], entry["wnid"] or "", *(str(entry[split]) for split in SPLITS))
            for entry in report["classes"]
        ],
    )
    for entry in report["duplicates"]:
        left_out = ", ".join(entry["left_out"])
        click.echo(f"The same picture as {entry['kept']} was left out: {left_out}", err=True)
    for reason, count in report["skipped"].items():
        click.echo(f"Rows skipped ({reason.replace('_', ' ')}): {count}", err=True)


@pipeline.command()
@_data_option
@_manifest_option
@_out_option
@_with(_training_options)
@_seed_option
@click.option("--image-size", type=click.IntRange(32), help="Side of the input; mode full only.")
@click.option("--checkpoints", type=_FOLDER, help="Folder to resume from; mode full only.")
@store_option
def finetune(*, data: Path, manifest: Path, out: Path, store: str | None, **options: Any) -> None:
    """Train a model for the classes of the pictures."""
    from whatsit.pipeline.finetune import finetune as step

    base = Path(options["base"])
    require_apart({"--out": out}, {"--data": data, "--manifest": manifest, "--base": base})
    model = step(data, manifest, out, store=_home(store), **options)
    click.echo(f"The model is in {model}. Measure it with: whatsit pipeline evaluate")


@pipeline.command()
@_data_option
@_manifest_option
@_out_option
@_model_option
@click.option(
    "--split",
    type=click.Choice(["train", "validation", "test"]),
    default="test",
    show_default=True,
    help="Pictures to measure on.",
)
@store_option
def evaluate(
    *, data: Path, manifest: Path, out: Path, model: str, split: Any, store: str | None
) -> None:
    """Measure accuracy, calibration, robustness and speed."""
    from whatsit.pipeline.evaluate import evaluate

    require_apart({"--out": out}, {"--data": data, "--manifest": manifest, "--model": Path(model)})
    evaluate(data, manifest, out, model=model, split=split, store=_home(store))
    _print_evaluation(out)


@pipeline.command()
@_data_option
@_manifest_option
@_out_option
@_model_option
@_with(_optimising_options)
@_seed_option
@store_option
def optimise(
    *, data: Path, manifest: Path, out: Path, model: str, store: str | None, **options: Any
) -> None:
    """Make a model smaller and faster, if it stays as good."""
    from whatsit.pipeline.optimise import optimise as step

    require_apart({"--out": out}, {"--data": data, "--manifest": manifest, "--model": Path(model)})
    folder = step(data, manifest, out, model=model, store=_home(store), **options)
    click.echo(f"The model is in {folder}.")


@pipeline.command()
@_model_option
@click.option(
    "--evaluation", type=_FOLDER, required=True, help="Folder that evaluate wrote for the model."
)
@_manifest_option
@_out_option
@click.option("--name", required=True, help="The model is stored as NAME.v1, NAME.v2, ...")
@click.option("--data", type=_FOLDER, help="Folder of the pictures; calibrates the model on them.")
@_licence_option
@store_option
def register(
    *, model: str, evaluation: Path, manifest: Path, out: Path, store: str | None, **options: Any
) -> None:
    """Store a model as the next version of a name, its card completed."""
    from whatsit.pipeline.register import register

    require_apart(
        {"--out": out},
        {
            **{"--model": Path(model), "--evaluation": evaluation, "--manifest": manifest},
            "--data": options["data"],
        },
    )
    version = register(model, evaluation, manifest, out, store=_home(store), **options)
    click.echo(f"{version} is in the store. Let it go live with: whatsit pipeline promote")


@pipeline.command()
@_data_option
@_manifest_option
@_out_option
@click.option("--model", required=True, help="Name of a model in the store.")
@_with(_gate_options)
@store_option
def promote(
    *, data: Path, manifest: Path, out: Path, model: str, store: str | None, **options: Any
) -> None:
    """Let a model go live, if it passes the gate."""
    from whatsit.pipeline.promote import promote

    require_apart({"--out": out}, {"--data": data, "--manifest": manifest})
    with _gate_shown(out):
        state = promote(data, manifest, out, model=model, store=_home(store), **options)
    back = " To go back: whatsit models rollback" if len(state.history) > 1 else ""
    click.echo(f"{model} is live.{back}")


@pipeline.command()
@_data_option
@click.option(
    "--work", type=_FOLDER, required=True, help="Folder for what the steps write, one each."
)
@click.option("--name", required=True, help="The model is stored as NAME.v1, NAME.v2, ...")
@_with(_training_options)
@_with(_division_options)
@_seed_option
@_with(_optimising_options)
@_licence_option
@_with(_gate_options)
@click.option("--skip-promote", is_flag=True, help="Leave the live model as it is.")
@store_option
def run(*, data: Path, work: Path, name: str, store: str | None, **options: Any) -> None:
    """Do all steps in order; stop at the first that fails."""
    from whatsit.pipeline.run import run

    require_apart({"--work": work}, {"--data": data})

    def announce(step: str, seconds: float) -> None:
        click.echo(f"{step}: {seconds:.1f} s", err=True)

    with _gate_shown(work / "promote", also_if_passed=not options["skip_promote"]):
        summary = run(data, work, name=name, store=_home(store), announce=announce, **options)
    rows = [(figure, _number(value)) for figure, value in summary.figures.items()]
    rows += [(f"seconds of {step}", f"{seconds:.1f}") for step, seconds in summary.seconds.items()]
    _print_table(("figure", summary.model), rows)
    state = "is live" if summary.live else "is in the store and not live"
    click.echo(f"{summary.model} {state}.")


# Tables


@contextmanager
def _gate_shown(out: Path, *, also_if_passed: bool = True) -> Iterator[None]:
    """Print the table of the gate, whether the block passes it or not."""
    try:
        yield
    except GateFailed:
        _print_gate(out)
        raise
    if also_if_passed:
        _print_gate(out)


def _print_gate(out: Path) -> None:
    from whatsit.pipeline.report import read_report

    gate = read_report(out, "promote")["gate"]
    _print_table(
        ("figure", f"live: {gate['live']}", gate["candidate"], "limit", "verdict"),
        [
            (
                row["figure"],
                "" if row["live"] is None else _number(row["live"]),
                _number(row["candidate"]),
                row["limit"],
                row["verdict"],
            )
            for row in gate["rows"]
        ],
    )
    for note in gate["notes"]:
        click.echo(note)


def _print_evaluation(out: Path) -> None:
    from whatsit.pipeline.report import read_report

    report = read_report(out, "evaluate")
    changed = report["robustness"]
    figures = [(name, _number(report[name])) for name in ("top1", "top5", "ece", "brier")]
    figures += [(f"top1, {name}", _number(value)) for name, value in changed.items()]
    for certainty, said in report["per_level"].items():
        if isinstance(said, dict):
            right = "" if said["accuracy"] is None else f", {said['accuracy']:.1%} of them correct"
            figures.append((certainty, f"{said['share']:.1%} of the answers{right}"))
    figures += [(f"{name}, ms", _number(value)) for name, value in report["latency_ms"].items()]
    figures.append(("pictures", f"{report['pictures']} ({report['split']})"))
    _print_table(("figure", report["model"]["name"]), figures)
    _print_table(
        ("class", "pictures", "right"),
        [
            (entry["label"], str(entry["pictures"]), f"{entry['accuracy']:.1%}")
            for entry in report["per_class"]
        ],
    )
    if report["confusions"]:
        _print_table(
            ("shows", "answered", "pictures"),
            [
                (entry["label"], entry["answered"], str(entry["pictures"]))
                for entry in report["confusions"]
            ],
        )
    if unknown := report["unknown_classes"]:
        click.echo(f"The model does not know, so these count as wrong: {', '.join(unknown)}")


def _number(value: float) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        console = Console(width=_PLAIN_WIDTH)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in head:
        table.add_column(Text(name))
    for row in rows:
        # Labels are text, not markup.
        table.add_row(*map(Text, row))
    console.print(table)
    click.echo()


for command in (validate, submit):
    pipeline.add_command(command)
