"""``whatsit models``."""

import json
from pathlib import Path
from typing import Any

import click

from whatsit.cli.terminal import (
    download_progress,
    open_alias,
    open_store,
    print_rows,
    require_apart,
    store_option,
)
from whatsit.errors import SettingsError
from whatsit.printable import make_printable_json

_FOLLOWED = "Servers that were started with --model live follow within seconds."


@click.group()
def models() -> None:
    """List, show, pull, add, import and remove models; show and change which one is live."""


@models.command("list")
@store_option
def list_models(**options: Any) -> None:
    """List every model that can be served."""
    store, state = open_store(options), open_alias(options).read()
    present, roles = store.present_names(), _roles(state)
    rows = [
        (
            name,
            ", ".join(filter(None, ["here" if name in present else "to pull", roles.get(name)])),
            (card := store.card(name)).licence,
            card.description,
        )
        for name in store.known_names()
    ]
    print_rows(("model", "weights", "licence", "description"), rows)


@models.command()
@click.argument("name")
@store_option
def show(*, name: str, **options: Any) -> None:
    """Print a model's card."""
    from whatsit.model_card import format_card

    # The escapes of JSON are also those of TOML.
    lines = format_card(open_store(options).card(name)).split("\n")
    click.echo("\n".join(map(make_printable_json, lines)), nl=False)


@models.command()
@click.argument("name")
@store_option
def pull(*, name: str, **options: Any) -> None:
    """Download a model of the catalogue; continues where an earlier attempt stopped."""
    store = open_store(options)
    with download_progress() as progress:
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
@store_option
def add(*, source: Path, name: str | None, store: str | None, **facts: Any) -> None:
    """Copy a model folder, or a bare .onnx file with its facts as options, into the store."""
    options = {"store": store}
    models_store = open_store(options)
    if source.is_dir():
        given = sorted(option for option, value in facts.items() if value)
        if given:
            raise SettingsError(
                f"A model folder has these facts in its card: --{', --'.join(given)}."
            )
        added = models_store.add(source, name, trial=_trial(options))
    else:
        from functools import partial

        from whatsit.models.bare_onnx import card_for_onnx

        if name is None:
            raise SettingsError("A bare .onnx file needs --name.")
        labels = facts["labels"]
        describe = partial(card_for_onnx, name=name, source=source.name, **facts)
        added = models_store.add_weights(source, describe, labels, trial=_trial(options))
    click.echo(
        f"{added.card.name} is here ({len(added.labels)} classes). "
        f"Serve it with: whatsit serve --model {added.card.name}"
    )


@models.command("import")
@click.argument("source")
@click.option(
    "--weights",
    default="imagenet",
    show_default=True,
    help="imagenet, random, or a weights file with the network's top.",
)
@click.option("--name", help="Name to store it under [that of the network].")
@click.option("--licence", help="Licence of the weights; known for those of Keras.")
@store_option
def import_model(
    *, source: str, weights: str, name: str | None, licence: str | None, **options: Any
) -> None:
    """Turn a network of another library into a model: keras:ResNet50, keras:ConvNeXtTiny, ..."""
    from whatsit.models.importers.architectures import PREFIX
    from whatsit.models.importers.keras import import_keras
    from whatsit.models.importers.require_extra import keep_keras_in
    from whatsit.models.store import ModelStore
    from whatsit.settings import load_settings

    if not source.startswith(PREFIX):
        raise SettingsError(
            f"{source!r} is not from a known library. Write it like {PREFIX}ResNet50."
        )
    home = load_settings(options).store
    keep_keras_in(home)
    added = import_keras(source, ModelStore(home), weights=weights, name=name, licence=licence)
    click.echo(
        f"{added.card.name} is here ({len(added.labels)} classes). "
        f"Serve it with: whatsit serve --model {added.card.name}"
    )


def _trial(options: dict[str, Any]) -> Any:  # a Trial of the store
    """The check that admits a model to the store only if it runs and its answers make sense."""
    from functools import partial

    from whatsit.pipeline.trial import require_running
    from whatsit.settings import load_settings

    return partial(require_running, engine=load_settings(options).engine)


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
@store_option
def calibrate(
    *, name: str, images: Path, labels: Path, out: Path | None, seed: int, **options: Any
) -> None:
    """Calibrate a model's percentages on labelled pictures; write the result into its card."""
    from whatsit.classifier import Classifier
    from whatsit.model_card import write_card
    from whatsit.pipeline.calibrate import apply_calibration, calibrate, measure_pictures
    from whatsit.pipeline.reliability import draw_reliability
    from whatsit.settings import load_settings

    require_apart({"--out": out}, {"--images": images})
    store = open_store(options)
    is_stored = name in store.names()
    model = store.open(name)
    if not is_stored and out is None:
        raise SettingsError(
            f"The card of {name} comes with whatsit; add --out FOLDER to write a new one."
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
    print_rows(("held out", "mean", "sd"), rows)


@models.command()
@click.argument("name")
@click.option(
    "--images",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Folder of pictures like those that the model will answer; no labels are needed.",
)
@click.option("--dataset", default="", help="Description of these pictures, for the card.")
@click.option(
    "--as",
    "copy",
    metavar="NEW",
    help="Leave the model as it is, and store a copy with this name and the reference.",
)
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for card.toml."
)
@store_option
def reference(
    *,
    name: str,
    images: Path,
    dataset: str,
    copy: str | None,
    out: Path | None,
    **options: Any,
) -> None:
    """Measure what the usual pictures are like; write it into a model's card, to see drift."""
    from whatsit.classifier import Classifier
    from whatsit.model_card import write_card
    from whatsit.pipeline.reference import apply_reference, measure_reference, read_pictures
    from whatsit.settings import load_settings

    require_apart({"--out": out}, {"--images": images})
    store = open_store(options)
    target = copy or (name if name in store.names() else None)
    model = store.open(name)
    if target is None and out is None:
        raise SettingsError(
            f"The card of {name} comes with whatsit; add --as NEW to make a copy with another one."
        )
    with Classifier.from_folder(model, engine=load_settings(options).engine) as classifier:
        measured = measure_reference(classifier, read_pictures(images), dataset)
    if copy is not None:
        model = store.add(model.weights.parent, copy)
    card = apply_reference(model.card, measured)
    if target is not None:
        store.replace_card(target, card)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_card(out, card)
    rows = [
        (signal, f"{len(found.shares)}", f"{found.edges[0]:g}", f"{found.edges[-1]:g}")
        for signal, found in measured.signals.items()
    ]
    print_rows((f"{measured.pictures} pictures", "bins", "first edge", "last edge"), rows)


@models.command()
@click.argument("name")
@store_option
def remove(*, name: str, **options: Any) -> None:
    """Delete a stored model."""
    role = _roles(open_alias(options).read()).get(name)
    if role == "live":
        raise SettingsError(f"{name} is live. Make another model live first, or roll back.")
    if role == "canary":
        raise SettingsError(
            f"{name} answers a share of the pictures. End that first: whatsit models canary --end"
        )
    open_store(options).remove(name)
    click.echo(f"{name} is deleted from the store.")


@models.command("live")
@store_option
def show_live(**options: Any) -> None:
    """Show which model is live and since when, the one before it, and the canary."""
    state = open_alias(options).read()
    if state.current is None:
        click.echo(
            "No model has been promoted yet, so the default one answers where live is served."
        )
        return
    rows = [(state.current.name, "live", state.current.since)]
    if state.canary is not None:
        share = f"canary, share {state.canary.ratio:g}"
        rows.append((state.canary.name, share, state.canary.since))
    rows += [(entry.name, "was live", entry.since) for entry in state.history[1:]]
    print_rows(("model", "role", "since"), rows)


@models.command("set-live")
@click.argument("name")
@store_option
def set_live(*, name: str, **options: Any) -> None:
    """Make a model live without measuring it; `whatsit pipeline promote` measures it first."""
    _require_running(name, options)
    open_alias(options).promote(name)
    click.echo(f"{name} is live now, unmeasured. {_FOLLOWED}")


@models.command()
@store_option
def rollback(**options: Any) -> None:
    """Make the model live again that was live before."""
    state = open_alias(options).roll_back()
    click.echo(f"{state.current.name} is live again. {_FOLLOWED}")


@models.command()
@click.argument("name", required=False)
@click.option("--share", type=float, help="Share of the pictures, above 0 and below 1 [0.1].")
@click.option("--end", is_flag=True, help="Let the live model answer every picture again.")
@store_option
def canary(*, name: str | None, share: float | None, end: bool, **options: Any) -> None:
    """Let a model answer a share of the pictures beside the live one, to compare them."""
    alias = open_alias(options)
    if end:
        if name is not None or share is not None:
            raise click.UsageError("--end needs nothing else.")
        alias.end_canary()
        click.echo(f"The live model answers every picture. {_FOLLOWED}")
        return
    if name is None:
        raise click.UsageError("Name a model, or add --end.")
    share = 0.1 if share is None else share
    if not 0 < share < 1:
        raise click.UsageError(f"--share is {share:g}; it must lie between 0 and 1.")
    current = alias.read().current
    if current is None:
        raise SettingsError("No model is live yet. Make one live: whatsit models set-live NAME")
    if name == current.name:
        raise SettingsError(f"{name} is live; it answers every picture already.")
    _require_running(name, options)
    alias.try_beside(name, share)
    click.echo(f"{name} answers {share * 100:g} % of the pictures. {_FOLLOWED}")


def _roles(state: Any) -> dict[str, str]:
    """The models that answer where live is served, and as what."""
    roles = {} if state.canary is None else {state.canary.name: "canary"}
    return roles if state.current is None else {**roles, state.current.name: "live"}


def _require_running(name: str, options: dict[str, Any]) -> None:
    """Refuse a model that can't be opened, does not run, or whose answers make no sense."""
    _trial(options)(open_store(options).open(name))
