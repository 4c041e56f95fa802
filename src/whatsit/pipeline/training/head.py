"""Mode ``head``: a new last layer for a network that stays as it is."""

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from whatsit.engines import open_engine
from whatsit.engines.exact import ExactModel
from whatsit.errors import PipelineError
from whatsit.images.decode import decode_image
from whatsit.images.preprocess import ImageHWC, fit_image, to_batch
from whatsit.model_card import ModelCard, build_card
from whatsit.models.folder import ModelFolder, weights_digest
from whatsit.models.importers.require_extra import load_keras, training_extra
from whatsit.pipeline.candidate import open_candidate
from whatsit.pipeline.graph import LOGITS, Trunk, add_classifier, cut_classifier
from whatsit.pipeline.manifest import Manifest, Picture, read_picture
from whatsit.pipeline.training.choices import Choices, Trained
from whatsit.pipeline.training.log import TrainingLog

Features = npt.NDArray[np.float32]

MAX_DIFFERENCE = 1e-4
"""How far a logit of the merged model may lie from Keras'. Both add up a thousand products in
float32, in another order."""

_LEARNING_RATE = 5e-3
_DROPOUT = 0.3
_WEIGHT_DECAY = 1e-3
_PATIENCE = 6
_COMPARED = 32

_log = logging.getLogger(__name__)


def train_head(
    data: Path,
    dataset: Manifest,
    out: Path,
    base: str | Path,
    choices: Choices,
    log: TrainingLog,
    store: Path | None,
) -> Trained:
    """Train a new classifier on what a base network sees, and join the two in one ONNX file.

    The features come from the engine that serves, so the classifier learns from exactly what it
    will be given; each picture is also shown as in a mirror.

    Raises:
        PipelineError: The base does not end in a dense layer, or the joined network does not give
            what Keras gives.
    """
    with training_extra():
        import onnx

    keras = load_keras()
    folder = open_candidate(base, store)
    trunk = cut_classifier(onnx.load(folder.weights), folder.card.output.name)
    with tempfile.TemporaryDirectory(prefix="whatsit-") as temporary:
        eye_file = Path(temporary, "features.onnx")
        onnx.save(trunk.model, eye_file)
        pictures = {split: dataset.pictures_of(split) for split in ("train", "validation")}
        crops = [_crops(data, pictures[split], folder.card) for split in pictures]
        eye = _Eye(eye_file, folder.card, trunk)
        seen = np.concatenate([eye.look(crops[0]), eye.look([c[:, ::-1] for c in crops[0]])])
        validation = eye.look(crops[1])
        eye.close()
        truth = [_truth(pictures[split]) for split in pictures]
        keras.utils.set_random_seed(choices.seed)
        head = _build(keras, seen, len(dataset.classes))
        figures = _fit(
            keras, head, (seen, np.tile(truth[0], 2)), (validation, truth[1]), choices, log
        )
        onnx.save(add_classifier(trunk, *_as_one_layer(head)), out / "model.onnx")
        compared = (crops[1] or crops[0])[:_COMPARED]
        difference = _require_same_logits(head, eye_file, out / "model.onnx", compared, folder.card)
    figures["pictures_compared"] = len(compared)
    figures["logits_max_abs_difference"] = float(f"{difference:.2g}")
    return Trained(_card_of(folder, eye.identity), {"base": folder.card.name, **figures})


class _Eye:
    """The base network without its classifier, on the engine that serves."""

    def __init__(self, weights: Path, card: ModelCard, trunk: Trunk) -> None:
        facts = card.model_dump(by_alias=True, exclude_none=True)
        facts["weights"] = {"sha256": weights_digest(weights)}
        facts["output"]["name"] = trunk.features
        self._engine = open_engine("openvino", weights, build_card(facts))
        self.identity = self._engine.identity

    def look(self, crops: Sequence[ImageHWC]) -> Features:
        """Features of each picture, shape (pictures, features)."""
        rows = [self._engine.infer(np.ascontiguousarray(one)).reshape(-1) for one in crops]
        return np.stack(rows) if rows else np.zeros((0, 0), dtype=np.float32)

    def close(self) -> None:
        self._engine.close()


def _crops(data: Path, pictures: Sequence[Picture], card: ModelCard) -> list[ImageHWC]:
    crops = []
    for picture in pictures:
        image_bytes = read_picture(data, picture)
        image = decode_image(image_bytes, shorter_side=card.input.resize_shorter_side).pixels
        crops.append(fit_image(image, card.input))
    return crops


def _truth(pictures: Sequence[Picture]) -> npt.NDArray[np.intp]:
    return np.array([picture.class_index for picture in pictures], dtype=np.intp)


def _build(keras: Any, seen: Features, num_classes: int) -> Any:
    layers = keras.layers
    # Features of one network differ by orders of magnitude; its own spread makes them alike.
    spread = seen.std(axis=0).astype(np.float64)
    spread[spread < 1e-3 * max(float(spread.mean()), 1e-6)] = np.inf  # says nothing: left out
    return keras.Sequential(
        [
            keras.Input((seen.shape[1],)),
            layers.Rescaling(1 / spread, offset=-seen.mean(axis=0) / spread, name="standardise"),
            layers.Dropout(_DROPOUT),
            layers.Dense(
                num_classes,
                kernel_initializer="zeros",
                kernel_regularizer=keras.regularizers.L2(_WEIGHT_DECAY),
                name="classify",
            ),
        ]
    )


def _fit(
    keras: Any,
    head: Any,
    train: tuple[Features, npt.NDArray[np.intp]],
    validation: tuple[Features, npt.NDArray[np.intp]],
    choices: Choices,
    log: TrainingLog,
) -> dict[str, Any]:
    head.compile(
        optimizer=keras.optimizers.Adam(choices.learning_rate or _LEARNING_RATE),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,  # takes longer than training
    )
    has_validation = len(validation[1]) > 0
    watched = "val_loss" if has_validation else "loss"
    stopping = keras.callbacks.EarlyStopping(
        watched, patience=_PATIENCE, restore_best_weights=has_validation
    )
    writing = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: log.write(epoch, logs)
    )
    history = head.fit(
        *train,
        validation_data=validation if has_validation else None,
        epochs=choices.epochs,
        batch_size=choices.batch_size,
        class_weight=class_weights(train[1]),
        callbacks=[stopping, writing],
        verbose=0,
    ).history
    epochs = len(history["loss"])
    best = int(np.argmin(history["val_loss"])) if has_validation else epochs - 1
    figures: dict[str, Any] = {
        "epochs": epochs,
        "best_epoch": best + 1,
        "train_accuracy": round(history["accuracy"][best], 6),
        "validation_accuracy": None,
    }
    if has_validation:
        figures["validation_accuracy"] = round(history["val_accuracy"][best], 6)
    _log.info("Trained %d epochs; the best was %d.", epochs, best + 1)
    return figures


def class_weights(truth: npt.NDArray[np.intp]) -> dict[int, float]:
    """How much a picture counts, so that each class counts the same in all.

    Example:
        >>> class_weights(np.array([0, 0, 0, 1]))
        {0: 0.6667, 1: 2.0}
    """
    classes, counts = np.unique(truth, return_counts=True)
    share = len(truth) / len(classes)
    return {
        int(index): round(share / int(count), 4)
        for index, count in zip(classes, counts, strict=True)
    }


def _as_one_layer(head: Any) -> tuple[Features, Features]:
    """Weights (features, classes) and bias of standardising and classifying in one step."""
    standardise, classify = head.get_layer("standardise"), head.get_layer("classify")
    weights, bias = (value.astype(np.float64) for value in classify.get_weights())
    scale, offset = (
        np.asarray(value, np.float64) for value in (standardise.scale, standardise.offset)
    )
    return (
        (scale[:, np.newaxis] * weights).astype(np.float32),
        (bias + offset @ weights).astype(np.float32),
    )


def _require_same_logits(
    head: Any, eye_file: Path, merged: Path, crops: Sequence[ImageHWC], card: ModelCard
) -> float:
    batch = np.concatenate([to_batch(one, card.input) for one in crops])
    expected = np.asarray(head.predict_on_batch(ExactModel(eye_file).infer(batch)))
    difference = float(np.abs(expected - ExactModel(merged).infer(batch)).max())
    if not difference <= MAX_DIFFERENCE:
        raise PipelineError(
            f"The joined network does not give the logits that Keras gives: they differ by "
            f"{difference:.2g}, and the limit is {MAX_DIFFERENCE}."
        )
    return difference


def _card_of(base: ModelFolder, identity: str) -> dict[str, Any]:
    from whatsit.classifier import build_fingerprint

    card = base.card
    name = f"{card.name[:58]}-head"
    return {
        "name": name,
        "architecture": card.architecture,
        "tag": "head",
        "description": f"Custom classes, distinguished by the features of {card.name}",
        "source": card.name if not card.source else f"{card.name}: {card.source}",
        "licence": card.licence,
        "input": card.input.model_dump(exclude_none=True),
        "output": {"name": LOGITS},
        "provenance": {
            "base": card.name,
            "base_fingerprint": build_fingerprint(card, base.labels, identity),
            "base_weights_sha256": card.weights.sha256,
        },
    }
