"""Mode ``full``: a network of Keras trained on one's own classes, in two stages."""

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from whatsit.answer import softmax
from whatsit.engines.exact import ExactModel
from whatsit.images.decode import decode_image
from whatsit.images.preprocess import ImageHWC, fit_image
from whatsit.model_card import InputSpec
from whatsit.models.folder import weights_digest
from whatsit.models.importers.architectures import (
    DEFAULT_SIZE,
    IMAGENET,
    RANDOM,
    Architecture,
    build_network,
    find_architecture,
)
from whatsit.models.importers.onnx_export import export_onnx, require_same_logits
from whatsit.models.importers.preprocessing import describe_input
from whatsit.models.importers.require_extra import load_keras
from whatsit.pipeline.manifest import Manifest, Picture, read_picture
from whatsit.pipeline.training.checkpoints import Checkpoints, Progress
from whatsit.pipeline.training.choices import Choices, Trained
from whatsit.pipeline.training.head import class_weights
from whatsit.pipeline.training.log import TrainingLog

_LEARNING_RATE = 1e-3
_LATER_RATE = 0.1
"""Of the first rate, once layers that know something are trained."""

_DROPOUT = 0.2
_FIRST_STAGE = 1 / 3
"""Share of the epochs in which only the head is trained."""

_TRAINED_SHARE = 1 / 3
"""Share of a pretrained network's layers, from the top, that the second stage trains."""

_PATIENCE = 5
_COMPARED = 8

_log = logging.getLogger(__name__)


def train_full(
    data: Path,
    dataset: Manifest,
    out: Path,
    base: str,
    choices: Choices,
    log: TrainingLog,
) -> Trained:
    """Train a network of Keras and export it as ONNX.

    Raises:
        SettingsError: Keras does not have this architecture.
        ModelUnavailable: Its weights can't be downloaded now.
        PipelineError: The checkpoints are of another run.
        InvalidModelCard: The exported network does not give what Keras gives.
    """
    keras = load_keras()
    architecture = find_architecture(base)
    spec = describe_input(architecture, choices.image_size or DEFAULT_SIZE)
    _make_repeatable(keras, choices.seed)
    run = _Run(keras, architecture, spec, data, dataset, choices, log)
    figures = run.train()
    network = run.as_float32()
    export_onnx(network, out / "model.onnx")
    compared = (dataset.pictures_of("validation") or dataset.pictures_of("train"))[:_COMPARED]
    batch = run.normalise(run.pixels(compared))
    difference = require_same_logits(
        np.asarray(network.predict_on_batch(batch)),
        ExactModel(out / "model.onnx").infer(batch.transpose(0, 3, 1, 2)),
        architecture.name,
    )
    facts = {
        "base": architecture.name,
        "weights": _weights_in_words(choices.weights),
        "image_size": spec.size,
        **figures,
        "pictures_compared": len(compared),
        "logits_max_abs_difference": float(f"{difference:.2g}"),
    }
    return Trained(_card_of(architecture, spec, choices), facts)


class _Run:
    """One training run: the network, the order of the pictures, and how far it is."""

    def __init__(
        self,
        keras: Any,
        architecture: Architecture,
        spec: InputSpec,
        data: Path,
        dataset: Manifest,
        choices: Choices,
        log: TrainingLog,
    ) -> None:
        self._keras = keras
        self._architecture = architecture
        self._spec = spec
        self._data = data
        self._dataset = dataset
        self._choices = choices
        self._log = log
        self._train = dataset.pictures_of("train")
        self._validation = dataset.pictures_of("validation")
        self._steps_per_epoch = -(-len(self._train) // choices.batch_size)
        self._first_epochs = 0
        if choices.epochs > 1:
            self._first_epochs = max(1, round(choices.epochs * _FIRST_STAGE))
        self._on_gpu = _has_gpu()
        if self._on_gpu:
            keras.config.set_dtype_policy("mixed_float16")
        self._base, self._core = self._build(choices.weights)
        self._trainer = self._with_augmentation(self._core)
        self._scratch = tempfile.TemporaryDirectory(prefix="whatsit-")
        self._checkpoints = Checkpoints(
            choices.checkpoints or Path(self._scratch.name), self._identity()
        )

    def train(self) -> dict[str, Any]:
        """Train to the end, from where the checkpoints say; the best epoch's weights remain."""
        progress, stage = Progress(), 0
        if (found := self._checkpoints.latest()) is not None:
            progress, state = found
            stage = self._stage(progress.step // self._steps_per_epoch)
            self._enter(stage)
            self._put(state)
            _log.info("Going on at step %d.", progress.step)
        resumed_at = progress.step
        weights = class_weights(np.array([picture.class_index for picture in self._train]))
        while (epoch := progress.step // self._steps_per_epoch) < self._choices.epochs:
            if self._is_over(progress):
                break
            if self._stage(epoch) != stage:
                stage = self._stage(epoch)
                self._enter(stage)
            progress = self._do_step(progress, epoch, weights)
            if progress.step % self._steps_per_epoch == 0:
                progress = self._end_epoch(progress, epoch)
                self._checkpoints.save(progress, self._state())
            elif progress.step % self._choices.checkpoint_steps == 0:
                self._checkpoints.save(progress, self._state())
        best = self._checkpoints.best()
        if best is not None:
            self._core.set_weights(best)
        self._scratch.cleanup()
        return self._figures(progress, resumed_at)

    def as_float32(self) -> Any:
        """The trained network without augmentation, for normalised pixels (N, size, size, 3)."""
        weights = self._core.get_weights()
        self._keras.config.set_dtype_policy("float32")
        _, network = self._build(RANDOM)
        network.set_weights(weights)
        return network

    def pixels(self, pictures: Sequence[Picture]) -> npt.NDArray[np.uint8]:
        """The network's input for pictures, channels in its order, (N, size, size, 3)."""
        crops = np.stack([_crop(self._data, picture, self._spec) for picture in pictures])
        return crops if self._spec.channel_order == "RGB" else crops[..., ::-1]

    def normalise(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Pixels as the card's input says, channels already in order."""
        mean, std = (np.asarray(v, np.float32) for v in (self._spec.mean, self._spec.std))
        return (pixels.astype(np.float32) - mean) / std

    def _identity(self) -> dict[str, Any]:
        choices = self._choices
        own = Path(choices.weights)
        return {
            "base": self._architecture.name,
            "weights": weights_digest(own) if own.is_file() else choices.weights,
            "image_size": self._spec.size,
            "epochs": choices.epochs,
            "batch_size": choices.batch_size,
            "learning_rate": choices.learning_rate,
            "seed": choices.seed,
            "data_sha256": self._dataset.data_sha256,
        }

    def _build(self, weights: str) -> tuple[Any, Any]:
        keras, size = self._keras, self._spec.size
        base = build_network(
            self._architecture,
            weights=weights,
            include_top=False,
            pooling="avg",
            input_shape=(size, size, 3),
        )
        batch = keras.Input((size, size, 3))
        features = keras.layers.Dropout(_DROPOUT, seed=self._choices.seed)(base(batch))
        # In float32 also on a GPU: halves are too coarse for a softmax.
        logits = keras.layers.Dense(len(self._dataset.classes), dtype="float32")(features)
        return base, keras.Model(batch, logits)

    def _with_augmentation(self, core: Any) -> Any:
        keras, seed, spec = self._keras, self._choices.seed, self._spec
        layers = keras.layers
        pixels = keras.Input((spec.size, spec.size, 3))
        changed = pixels
        for layer in (
            layers.RandomFlip("horizontal", seed=10 * seed),
            layers.RandomTranslation(0.08, 0.08, "reflect", seed=10 * seed + 1),
            layers.RandomRotation(0.03, "reflect", seed=10 * seed + 2),
            layers.RandomZoom((-0.15, 0.05), fill_mode="reflect", seed=10 * seed + 3),
        ):
            changed = layer(changed)
        std = np.asarray(spec.std, np.float64)
        offset = -np.asarray(spec.mean, np.float64) / std
        normalised = layers.Rescaling((1 / std).tolist(), offset=offset.tolist())(changed)
        return keras.Model(pixels, core(normalised))

    def _stage(self, epoch: int) -> int:
        return 1 if epoch < self._first_epochs else 2

    def _enter(self, stage: int) -> None:
        """Say what is trained, and how fast, from now on."""
        keras, rate = self._keras, self._choices.learning_rate or _LEARNING_RATE
        self._base.trainable = stage == 2
        if stage == 2 and self._choices.weights != RANDOM:
            layers = self._base.layers
            frozen = len(layers) - round(len(layers) * _TRAINED_SHARE)
            for number, layer in enumerate(layers):
                # Statistics of a million pictures are better than those of a few batches.
                is_norm = isinstance(layer, keras.layers.BatchNormalization)
                layer.trainable = number >= frozen and not is_norm
            rate *= _LATER_RATE
        self._trainer.compile(
            optimizer=keras.optimizers.Adam(rate),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            # Compiling for a CPU takes longer than it saves.
            jit_compile="auto" if self._on_gpu else False,
        )
        self._trainer.optimizer.build(self._trainer.trainable_variables)

    def _do_step(self, progress: Progress, epoch: int, weights: dict[int, float]) -> Progress:
        # The order follows from seed and epoch alone, so that a run finds its place again.
        order = np.random.default_rng([self._choices.seed, epoch]).permutation(len(self._train))
        # The last batch is filled up with the first pictures: another size would be another graph.
        order = np.resize(order, self._steps_per_epoch * self._choices.batch_size)
        first = progress.step % self._steps_per_epoch * self._choices.batch_size
        chosen = [self._train[row] for row in order[first : first + self._choices.batch_size]]
        truth = np.array([picture.class_index for picture in chosen])
        self._trainer.reset_metrics()
        figures = self._trainer.train_on_batch(
            self.pixels(chosen).astype(np.float32), truth, class_weight=weights, return_dict=True
        )
        return replace(
            progress,
            step=progress.step + 1,
            loss_sum=progress.loss_sum + float(figures["loss"]) * len(chosen),
            right=progress.right + round(float(figures["accuracy"]) * len(chosen)),
            seen=progress.seen + len(chosen),
        )

    def _end_epoch(self, progress: Progress, epoch: int) -> Progress:
        figures = {
            "loss": progress.loss_sum / progress.seen,
            "accuracy": progress.right / progress.seen,
        }
        best_epoch, best_loss = epoch + 1, None
        if self._validation:
            figures["val_loss"], figures["val_accuracy"] = self._validate()
            best_epoch, best_loss = progress.best_epoch, progress.best_loss
            if best_loss is None or figures["val_loss"] < best_loss:
                best_epoch, best_loss = epoch + 1, figures["val_loss"]
                self._checkpoints.save_best(self._core.get_weights())
        _log.info("Epoch %d: %s", epoch + 1, figures)
        self._log.write(epoch, figures)
        return replace(
            progress,
            loss_sum=0.0,
            right=0,
            seen=0,
            best_epoch=best_epoch,
            best_loss=best_loss,
            epochs=(*progress.epochs, figures),
        )

    def _validate(self) -> tuple[float, float]:
        losses, right = 0.0, 0
        for first in range(0, len(self._validation), self._choices.batch_size):
            chosen = self._validation[first : first + self._choices.batch_size]
            truth = np.array([picture.class_index for picture in chosen])
            logits = np.asarray(self._core.predict_on_batch(self.normalise(self.pixels(chosen))))
            scores = softmax(logits)[np.arange(len(truth)), truth]
            losses -= float(np.log(np.maximum(scores, 1e-12)).sum())
            right += int((logits.argmax(axis=1) == truth).sum())
        return losses / len(self._validation), right / len(self._validation)

    def _is_over(self, progress: Progress) -> bool:
        """True if the validation split has not improved for long enough, in the second stage."""
        done = len(progress.epochs)
        since = max(progress.best_epoch, self._first_epochs)
        return bool(self._validation) and done - since >= _PATIENCE

    def _variables(self) -> list[Any]:
        return [*self._trainer.variables, *self._trainer.optimizer.variables]

    def _state(self) -> list[npt.NDArray[Any]]:
        return [np.asarray(variable) for variable in self._variables()]

    def _put(self, state: Sequence[npt.NDArray[Any]]) -> None:
        for variable, value in zip(self._variables(), state, strict=True):
            variable.assign(value)

    def _figures(self, progress: Progress, resumed_at: int) -> dict[str, Any]:
        best = progress.epochs[progress.best_epoch - 1]
        return {
            "epochs": len(progress.epochs),
            "best_epoch": progress.best_epoch,
            "steps": progress.step,
            "resumed_at_step": resumed_at,
            "train_accuracy": round(best["accuracy"], 6),
            "validation_accuracy": round(best["val_accuracy"], 6) if self._validation else None,
            "parameters": int(self._core.count_params()),
            "mixed_precision": self._on_gpu,
        }


def _crop(data: Path, picture: Picture, spec: InputSpec) -> ImageHWC:
    image_bytes = read_picture(data, picture)
    return fit_image(decode_image(image_bytes, shorter_side=spec.resize_shorter_side).pixels, spec)


def _has_gpu() -> bool:
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def _make_repeatable(keras: Any, seed: int) -> None:
    import tensorflow as tf

    keras.config.set_dtype_policy("float32")
    keras.utils.set_random_seed(seed)
    if not _has_gpu():  # some operations have no deterministic form there
        tf.config.experimental.enable_op_determinism()


def _weights_in_words(weights: str) -> str:
    return weights if weights in (IMAGENET, RANDOM) else "a file"


def _card_of(architecture: Architecture, spec: InputSpec, choices: Choices) -> dict[str, Any]:
    return {
        "name": f"{architecture.slug}-full",
        "architecture": architecture.slug,
        "tag": "full",
        "description": f"Own classes, {architecture.name} trained on them",
        "source": f"keras.applications.{architecture.name}",
        "licence": architecture.licence(choices.weights),
        "input": spec.model_dump(exclude_none=True),
        "provenance": {
            "base": f"keras.applications.{architecture.name}",
            "base_weights": _weights_in_words(choices.weights),
        },
    }
