"""``whatsit models``."""

import json
from pathlib import Path
from typing import Any

import click

from whatsit.cli.terminal import download_progress, open_store, print_rows, store_option
from whatsit.errors import SettingsError


@click.group()
def models() -> None:
    """List, show, pull, add, import and remove models."""


@models.command("list")
@store_option
def list_models(**options: Any) -> None:
    """List every model that can be served."""
    store = open_store(options)
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
    print_rows(("model", "weights", "licence", "description"), rows)


@models.command()
@click.argument("name")
@store_option
def show(*, name: str, **options: Any) -> None:
    """Print a model's card."""
    from whatsit.model_card import format_card

    click.echo(format_card(open_store(options).card(name)), nl=False)


@models.command()
@click.argument("name")
@store_option
def pull(*, name: str, **options: Any) -> None:
    """Download a model of the catalogue; goes on where an earlier attempt stopped."""
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
    models_store = open_store({"store": store})
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
    from whatsit.models.importers.keras import PREFIX, import_keras

    if not source.startswith(PREFIX):
        raise SettingsError(f"{source!r} is not of a known library. Say it like {PREFIX}ResNet50.")
    added = import_keras(source, open_store(options), weights=weights, name=name, licence=licence)
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
@store_option
def calibrate(
    *, name: str, images: Path, labels: Path, out: Path | None, seed: int, **options: Any
) -> None:
    """Fit on labelled pictures what makes a model's percentages true; write it into its card."""
    from whatsit.classifier import Classifier
    from whatsit.model_card import write_card
    from whatsit.pipeline.calibrate import apply_calibration, calibrate, measure_pictures
    from whatsit.pipeline.reliability import draw_reliability
    from whatsit.settings import load_settings

    store = open_store(options)
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
    print_rows(("held out", "mean", "sd"), rows)


@models.command()
@click.argument("name")
@store_option
def remove(*, name: str, **options: Any) -> None:
    """Delete a stored model."""
    open_store(options).remove(name)
    click.echo(f"{name} is gone from the store.")
