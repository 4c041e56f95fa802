"""Image -> prediction: the part for use in a program.

It computes and nothing else. Only `Classifier.load` looks for a model and downloads one, only
`Classifier.from_folder` reads weights, and only a path given to `Classifier.classify` is opened.
"""

import hashlib
import json
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from whatsit.answer import Logits, softmax, to_logits, top_k, word_answer
from whatsit.engines import Engine, open_engine
from whatsit.errors import InferenceFailed, InvalidModelCard
from whatsit.familiarity import (
    PixelStatistics,
    best_log_probability,
    describe_pixels,
    join_signs,
)
from whatsit.images.decode import DEFAULT_MAX_PIXELS, DEFAULT_MAX_UPLOAD_BYTES, decode_image
from whatsit.images.preprocess import ImageHWC, fit_image
from whatsit.images.sources import load_decoders
from whatsit.labels.label_set import LabelSet
from whatsit.model_card import ModelCard
from whatsit.models.catalogue import DEFAULT_MODEL
from whatsit.picture import Picture
from whatsit.prediction import MAX_TOP_K, ImageFacts, ModelId, Prediction

if TYPE_CHECKING:
    from whatsit.models.folder import ModelFolder

_log = logging.getLogger(__name__)

ANSWER_VERSION = 3
"""Raise it when the code changes an answer without any fact of the card changing."""


_SUM_TOLERANCE = 0.02
"""bfloat16 rounds a thousand probabilities to about a hundredth of their sum."""


@dataclass
class Stopwatch:
    """Milliseconds spent in each named stage of one request."""

    timings_ms: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add the time inside the block to `stage`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            elapsed = (time.perf_counter() - start) * 1000
            self.timings_ms[stage] = self.timings_ms.get(stage, 0.0) + elapsed


@dataclass(frozen=True, slots=True)
class Computed:
    """A prediction, and what else was measured while it was made.

    Attributes:
        prediction: The answer of the model.
        familiarity: See `whatsit.familiarity.familiarity`; None where the model's card has no
            profile.
        statistics: See `whatsit.familiarity.describe_pixels`; None where the model's card has no
            profile.
    """

    prediction: Prediction
    familiarity: float | None
    statistics: PixelStatistics | None


class Classifier:
    """A model, its labels and an engine, joined to answer pictures.

    Safe to call from several threads; as many calls run at once as the engine allows.

    Attributes:
        card: Facts of the model.
        labels: Its classes.
        engine: Runs it.
        model: Name and fingerprint.
        folder: Where it was loaded from; None where it came from no folder.
        complaint: The mistake on its card about its output, as a sentence; None if the warm-up has
            not found one.

    Example:
        >>> with Classifier.load("efficientnet-lite2") as classifier:
        ...     prediction = classifier.classify(example_pictures()["cat"])
        >>> prediction.image.width, prediction.image.height
        (451, 300)
    """

    def __init__(
        self,
        card: ModelCard,
        labels: LabelSet,
        engine: Engine,
        *,
        max_upload_bytes: int = DEFAULT_MAX_UPLOAD_BYTES,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        folder: Path | None = None,
    ) -> None:
        if engine.num_classes != len(labels):
            raise InvalidModelCard(
                f"The model {card.name!r} has {engine.num_classes} outputs, but its labels "
                f"{labels.name!r} name {len(labels)} classes."
            )
        self.card = card
        self.labels = labels
        self.engine = engine
        self.max_upload_bytes = max_upload_bytes
        self.max_pixels = max_pixels
        self.folder = folder
        self.complaint: str | None = None
        self._profile = card.recognition
        self.model = ModelId(card.name, build_fingerprint(card, labels, engine.identity))

    @classmethod
    def load(
        cls, model: str = DEFAULT_MODEL, *, home: Path | None = None, engine: str = "openvino"
    ) -> Self:
        """A classifier that is warm, by the name of its model.

        Args:
            model: A stored, bundled or catalogued model, or ``live``. One of the catalogue is
                downloaded first; where that fails, the bundled model is loaded, with a warning
                in the log.
            home: Folder of the model store; the user's own by default.
            engine: See `whatsit.engines.open_engine`.

        Raises:
            UnknownModel: No model has that name.
            ModelError: The model can't be used.
        """
        from whatsit.models.home import default_home
        from whatsit.models.live import resolve_served
        from whatsit.models.store import ModelStore

        home = home or default_home()
        resolved = resolve_served(ModelStore(home), home, model)
        if resolved.note is not None:
            _log.warning(resolved.note)
        return cls.from_folder(resolved.folder, engine=engine)

    @classmethod
    def from_folder(
        cls,
        folder: "ModelFolder",
        *,
        engine: str = "openvino",
        max_upload_bytes: int = DEFAULT_MAX_UPLOAD_BYTES,
        max_pixels: int = DEFAULT_MAX_PIXELS,
    ) -> Self:
        """A classifier that is warm, from a verified model folder.

        Raises:
            SettingsError: The engine is unknown.
            ModelError: The engine can't run these weights, or the labels do not fit them.
        """
        classifier = cls(
            folder.card,
            folder.labels,
            open_engine(engine, folder.weights, folder.card),
            max_upload_bytes=max_upload_bytes,
            max_pixels=max_pixels,
            folder=folder.weights.parent,
        )
        classifier.warm_up()
        return classifier

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def classify(
        self,
        picture: Picture | bytes | str | PathLike[str],
        *,
        sha256: str | None = None,
        stopwatch: Stopwatch | None = None,
    ) -> Prediction:
        """Say what a picture shows.

        Args:
            picture: Its bytes (see `whatsit.images.decode.decode_image`), the path of its file,
                or a `Picture`, which knows its digest already.
            sha256: Hex digest of the bytes where the caller has them and it already.
            stopwatch: Receives the milliseconds of ``decode``, ``preprocess``, ``infer`` and
                ``answer``.

        Raises:
            InputError: The picture can't be answered.
            InferenceFailed: The engine failed.
            OSError: The file can't be read.
        """
        stopwatch = stopwatch or Stopwatch()
        if not isinstance(picture, bytes | Picture):
            picture = Path(picture).read_bytes()
        if sha256 is not None and isinstance(picture, bytes):
            picture = Picture(picture, sha256)
        pixels, facts = self.prepare(picture, stopwatch=stopwatch)
        return self.compute(pixels, facts, stopwatch=stopwatch).prediction

    def prepare(
        self, picture: Picture | bytes, *, stopwatch: Stopwatch | None = None
    ) -> tuple[ImageHWC, ImageFacts]:
        """Decode a picture to exactly the pixels that the model sees, without asking it.

        Args:
            picture: In a format that `whatsit.images.decode.decode_image` reads.
            stopwatch: Receives the milliseconds of ``decode`` and ``preprocess``.

        Raises:
            InputError: The picture can't be answered.
        """
        stopwatch = stopwatch or Stopwatch()
        if isinstance(picture, bytes):
            picture = Picture.of(picture)
        with stopwatch.measure("decode"):
            decoded = decode_image(
                picture.image_bytes,
                shorter_side=self.card.input.resize_shorter_side,
                max_bytes=self.max_upload_bytes,
                max_pixels=self.max_pixels,
            )
        with stopwatch.measure("preprocess"):
            pixels = fit_image(decoded.pixels, self.card.input)
        return pixels, ImageFacts(decoded.width, decoded.height, decoded.format, picture.sha256)

    def predict(
        self, pixels: ImageHWC, facts: ImageFacts, *, stopwatch: Stopwatch | None = None
    ) -> Prediction:
        """The prediction alone of what `compute` gives."""
        return self.compute(pixels, facts, stopwatch=stopwatch).prediction

    def compute(
        self, pixels: ImageHWC, facts: ImageFacts, *, stopwatch: Stopwatch | None = None
    ) -> Computed:
        """Say what the pixels show that `prepare` has made.

        Args:
            pixels: Shape (size, size, 3).
            facts: Of the picture they come from; part of the prediction.
            stopwatch: Receives the milliseconds of ``preprocess``, ``infer`` and ``answer``.

        Raises:
            InferenceFailed: The engine failed.
        """
        stopwatch = stopwatch or Stopwatch()
        with stopwatch.measure("preprocess"):
            # Taken before the model runs, while the pixels are still in the processor's cache.
            statistics = None if self._profile is None else describe_pixels(pixels)
        with stopwatch.measure("infer"):
            logits = self.engine.infer(pixels)
        with stopwatch.measure("answer"):
            return self._word(logits, statistics, facts)

    def warm_up(self) -> None:
        """Prepare all that is made on first use, so that no user pays for the first call.

        Raises:
            InferenceFailed: The model does not run, or its answers are not scores.
        """
        load_decoders()
        _ = self.labels.taxonomy
        outputs = self.engine.infer(_stripes(self.card.input.size))
        self._require_finite(outputs)
        self.complaint = complain_of_activation([outputs], self.card)

    def close(self) -> None:
        """Close the engine."""
        self.engine.close()

    def _word(
        self, logits: Logits, statistics: PixelStatistics | None, facts: ImageFacts
    ) -> Computed:
        self._require_finite(logits)
        logits = to_logits(logits, self.card.output.activation)
        scores = softmax(logits, self.card.calibration.temperature)[0]
        top = top_k(scores, self.labels, min(MAX_TOP_K, len(self.labels)))
        known = self._familiarity(logits[0], statistics)
        answer = word_answer(
            scores,
            top,
            self.labels,
            self.card.thresholds,
            self.card.answer_set,
            recognised=known is None or self._profile is None or known >= self._profile.threshold,
        )
        return Computed(Prediction(self.model, answer, top, facts), known, statistics)

    def _require_finite(self, outputs: Logits) -> None:
        if not np.isfinite(outputs).all():
            raise InferenceFailed(
                f"The model {self.card.name!r} answers with NaN or infinity instead of scores. "
                "Its weights are damaged, or mean and std in its card are not those it was "
                "trained with."
            )

    def _familiarity(self, logits: Logits, statistics: PixelStatistics | None) -> float | None:
        if self._profile is None or statistics is None:
            return None
        return join_signs(best_log_probability(logits), statistics, self._profile)


def complain_of_activation(outputs: Sequence[Logits], card: ModelCard) -> str | None:
    """The mistake of a card about the model's output; None if it is right.

    Args:
        outputs: The outputs for some pictures, shape (1, num_classes) each.
        card: Of the model.

    Returns:
        A sentence: the softmax would be applied twice, or undone where there was none.
    """
    several = [row for row in outputs if row.shape[1] > 1]
    are_probabilities = bool(several) and all(
        row.min() >= 0 and abs(float(row.sum()) - 1) < _SUM_TOLERANCE for row in several
    )
    if are_probabilities and card.output.activation == "none":
        return (
            f"The model {card.name!r} gives probabilities, which sum to 1, but its card says that "
            'it gives logits, so all of its scores would be alike. Write activation = "softmax" '
            "under [output], or add it with --softmax."
        )
    if several and not are_probabilities and card.output.activation == "softmax":
        return (
            f"The card of {card.name!r} says that the model gives probabilities, but they do "
            'not sum to 1. Write activation = "none" under [output], or add it without '
            "--softmax."
        )
    return None


def _stripes(size: int) -> ImageHWC:
    """Pixels of all values. A blank picture has no spread, which some models divide by."""
    return (np.arange(size * size * 3) % 251).astype(np.uint8).reshape(size, size, 3)


def build_fingerprint(card: ModelCard, labels: LabelSet, engine_identity: str) -> str:
    """Digest of everything that decides an answer, except the picture.

    That is: weights, input and output handling, calibration, thresholds, the rule of the set,
    every label and group, the engine's precision and `ANSWER_VERSION`. A model's name and
    description are left out.

    Returns:
        64 hex digits.
    """
    facts = {
        "card": card.answer_facts(),
        "labels": labels.digest,
        "engine": engine_identity,
        "version": ANSWER_VERSION,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
