"""The model card: the facts that travel with the weights and drive the code.

A model is a folder with a ``card.toml``, a ``model.onnx`` and, unless the labels are bundled,
a labels file. Means, input sizes and the like are written nowhere else.
"""

import math
import tomllib
from collections.abc import Iterator
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from whatsit.errors import InvalidModelCard
from whatsit.files import read_plain

CARD_FILE = "card.toml"

_MAX_CARD_BYTES = 4_000_000
"""A card with the reference of all signals has some 20 kB."""

_NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"
_FILE_PATTERN = (
    r"^[A-Za-z0-9][A-Za-z0-9._-]*$"  # a plain name: a card can't point outside its folder
)

Triple = tuple[float, float, float]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class WeightsSection(_Section):
    """Which ONNX file holds the weights, and its SHA-256.

    Other forms of weights have a second file beside the first, which the digest would not cover.
    """

    file: str = Field("model.onnx", pattern=_FILE_PATTERN)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")

    @field_validator("file")
    @classmethod
    def _is_onnx(cls, file: str) -> str:
        if not file.lower().endswith(".onnx"):
            raise ValueError("weights are an ONNX file, with a name that ends in .onnx")
        return file


class InputSpec(_Section):
    """How an upright RGB image becomes the model's batch.

    Attributes:
        name: Name of the model's input; may be left out where it has only one.
        size: Side of the square input, pixels.
        resize_shorter_side: The image's shorter side is scaled to this many pixels; then the
            centre of `size` x `size` is cut out.
        interpolation: Filter of that resize, always with antialiasing.
        channel_order: Order of the channels the model was trained with.
        scale: Pixel values 0..255 are multiplied by this first.
        mean: Then this is subtracted, per channel in `channel_order`.
        std: Then it is divided by this, per channel in `channel_order`.
    """

    name: str | None = Field(None, min_length=1)
    size: int = Field(ge=16, le=2048)
    resize_shorter_side: int = Field(ge=16, le=4096)
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos"] = "bilinear"
    channel_order: Literal["RGB", "BGR"] = "RGB"
    scale: float = Field(1.0, gt=0)
    mean: Triple = (0.0, 0.0, 0.0)
    std: tuple[
        Annotated[float, Field(gt=0)],
        Annotated[float, Field(gt=0)],
        Annotated[float, Field(gt=0)],
    ] = (1.0, 1.0, 1.0)

    @model_validator(mode="after")
    def _crop_fits(self) -> Self:
        if self.resize_shorter_side < self.size:
            raise ValueError(
                f"resize_shorter_side is {self.resize_shorter_side}, "
                f"smaller than the crop of {self.size}"
            )
        return self


class OutputSpec(_Section):
    """The meaning of the model's output.

    Attributes:
        name: Name of the model's output, shape (N, num_classes); may be left out where it has
            only one.
        labels: A bundled label set, or a file in the folder with one label a line.
        activation: ``none`` if the output is logits, ``softmax`` if it is probabilities.
    """

    name: str | None = Field(None, min_length=1)
    labels: str = Field(pattern=_FILE_PATTERN)
    activation: Literal["none", "softmax"] = "none"


class Calibration(_Section):
    """How logits become scores: softmax of ``logits / temperature``.

    Temperature scaling: Guo et al., On Calibration of Modern Neural Networks, ICML 2017.
    """

    temperature: float = Field(1.0, gt=0, le=100)


class Thresholds(_Section):
    """From which score on an answer is called ``sure``, and from which ``probably``.

    Each counts at every level: for a class, and for a group of classes. The defaults are what
    the two words promise, for a model without thresholds of its own.
    """

    sure: float = Field(0.95, ge=0, le=1)
    probably: float = Field(0.75, ge=0, le=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.probably > self.sure:
            raise ValueError(
                f"probably ({self.probably}) must not be higher than sure ({self.sure})"
            )
        return self


class SetRule(_Section):
    """Which labels belong to the set that holds the right one with a promised probability.

    Attributes:
        least_score: Of the 20 best labels those with this score or more belong to the set, and
            the best one whatever its score.
        coverage: How often the set holds the right label.
    """

    least_score: float = Field(gt=0, le=1)
    coverage: float = Field(0.9, gt=0, lt=1)


_Six = tuple[float, float, float, float, float, float]


class Recognition(_Section):
    """The appearance of photographs to the model; see `whatsit.familiarity`.

    Attributes:
        method: How the signs are joined.
        false_alarm_ratio: Share of the photographs it was fitted on that it refuses.
        threshold: A picture whose familiarity lies below this is not recognised.
        certainty_weight: Weight of one unit of the best label's log probability.
        centre: Mean of each of `whatsit.familiarity.STATISTICS` over photographs.
        whitening: Rows of the matrix that turns the photographs' statistics, less their centre,
            into uncorrelated numbers of variance 1.
    """

    method: Literal["certainty+pixels"]
    false_alarm_ratio: float = Field(0.05, gt=0, lt=1)
    threshold: float
    certainty_weight: float = Field(ge=0)
    centre: _Six
    whitening: tuple[_Six, _Six, _Six, _Six, _Six, _Six]


class ReferenceSignal(_Section):
    """How one signal was distributed; see `whatsit.drift.reference`.

    Attributes:
        edges: Where one bin ends and the next begins, rising; a value equal to an edge belongs
            to the bin before it. The first and the last bin have no outer edge.
        shares: Of the pictures in each bin; one more than there are edges, summing to 1.
    """

    edges: tuple[float, ...] = Field(min_length=1, max_length=100)
    shares: tuple[Annotated[float, Field(ge=0, le=1)], ...]

    @model_validator(mode="after")
    def _is_a_distribution(self) -> Self:
        if any(left >= right for left, right in pairwise(self.edges)):
            raise ValueError("edges must rise")
        if len(self.shares) != len(self.edges) + 1:
            raise ValueError(f"{len(self.edges)} edges need {len(self.edges) + 1} shares")
        if abs(sum(self.shares) - 1) > 0.01:
            raise ValueError("shares must sum to 1")
        return self


class Reference(_Section):
    """The pictures that traffic is compared with; see `whatsit.drift`.

    It decides no answer.

    Attributes:
        pictures: How many there were.
        dataset: Description of these pictures.
        signals: Each by its name; names that this version does not know are kept.
    """

    pictures: int = Field(ge=1)
    dataset: str = ""
    signals: dict[Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,63}$")], ReferenceSignal]


class ModelCard(_Section):
    """The facts about one set of weights; can't be built with impossible ones."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True
    )

    card_schema: Literal[1] = Field(1, alias="schema")
    name: str = Field(pattern=_NAME_PATTERN)
    architecture: str = ""
    tag: str = ""
    description: str = ""
    source: str = ""
    licence: str = ""
    weights: WeightsSection
    input: InputSpec
    output: OutputSpec
    calibration: Calibration = Calibration()
    thresholds: Thresholds = Thresholds()
    answer_set: SetRule | None = Field(None, alias="set")
    recognition: Recognition | None = None
    reference: Reference | None = None
    quality: dict[str, Any] = {}  # free: what was measured differs from model to model
    provenance: dict[str, Any] = {}  # free: the origin of weights has many forms

    @field_validator("quality", "provenance")
    @classmethod
    def _numbers_are_finite(cls, table: dict[str, Any]) -> dict[str, Any]:
        if not all(math.isfinite(fact) for fact in _facts(table) if isinstance(fact, float)):
            raise ValueError("a number must be finite")
        return table

    def answer_facts(self) -> dict[str, Any]:
        """Every fact that can change an answer, and none that can't (name, description...)."""
        decisive = {
            "weights",
            "input",
            "output",
            "calibration",
            "thresholds",
            "answer_set",
            "recognition",
        }
        facts = self.model_dump(mode="json", include=decisive)
        del facts["weights"]["file"]
        return facts

    def with_weights(self, sha256: str) -> "ModelCard":
        """The same card for weights of another digest."""
        if sha256 == self.weights.sha256:
            return self
        weights = self.weights.model_copy(update={"sha256": sha256})
        return self.model_copy(update={"weights": weights})

    def renamed(self, name: str) -> "ModelCard":
        """The same card under another name, validated again."""
        return build_card({**self.model_dump(by_alias=True), "name": name}, origin="--name")


def build_card(facts: dict[str, Any], origin: str = CARD_FILE) -> ModelCard:
    """Validate the facts of a card.

    Args:
        facts: The tables of a ``card.toml``.
        origin: Name of the source in an error, without its folder.

    Raises:
        InvalidModelCard: Something is missing, unknown or impossible; the sentence names the key.
    """
    try:
        return ModelCard.model_validate(facts)
    except ValidationError as error:
        raise InvalidModelCard(f"{origin}: {_first_complaint(error)}") from error


def read_card(folder: Path, *, trusted: bool = False) -> ModelCard:
    """Read and validate the card of a model folder.

    Args:
        folder: The folder.
        trusted: True if the card may be a link to a file elsewhere.

    Raises:
        InvalidModelCard: The card is missing or unreadable, or its facts are wrong.
    """
    try:
        content = read_plain(folder / CARD_FILE, _MAX_CARD_BYTES, follow=trusted)
        facts = tomllib.loads(content.decode("utf-8"))
    except FileNotFoundError as error:
        raise InvalidModelCard(f"The folder {folder.name!r} has no {CARD_FILE}.") from error
    except OSError as error:
        raise InvalidModelCard(f"{CARD_FILE} can't be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InvalidModelCard(
            f"{CARD_FILE} can't be read: it is not in UTF-8. Save it as UTF-8."
        ) from error
    except RecursionError as error:
        raise InvalidModelCard(f"{CARD_FILE} can't be read: it is nested too deeply.") from error
    except ValueError as error:  # of the TOML, or a number with thousands of digits
        raise InvalidModelCard(f"{CARD_FILE} can't be read: {error}") from error
    return build_card(facts)


def write_card(folder: Path, card: ModelCard) -> None:
    """Write the card of a model folder."""
    (folder / CARD_FILE).write_text(format_card(card), encoding="utf-8")


def format_card(card: ModelCard) -> str:
    """A card as the TOML text that `read_card` reads."""
    return tomli_w.dumps(card.model_dump(by_alias=True, exclude_none=True))


def _facts(table: object) -> Iterator[object]:
    """All values of a table, its arrays and its inner tables."""
    if isinstance(table, dict):
        table = list(table.values())
    if not isinstance(table, list | tuple):
        yield table
        return
    for inner in table:
        yield from _facts(inner)


def _first_complaint(error: ValidationError) -> str:
    complaint = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in complaint["loc"])
    if complaint["type"] == "extra_forbidden":
        return f"unknown key {where!r}{_suggestion(complaint['loc'])}."
    if complaint["type"] == "missing":
        return f"the key {where!r} is missing."
    reason = complaint["msg"].removeprefix("Value error, ")
    return f"{where}: {reason} (it says {complaint['input']!r})." if where else f"{reason}."


def _suggestion(location: tuple[int | str, ...]) -> str:
    sections: dict[str, type[BaseModel]] = {
        "weights": WeightsSection,
        "input": InputSpec,
        "output": OutputSpec,
        "calibration": Calibration,
        "thresholds": Thresholds,
        "set": SetRule,
        "recognition": Recognition,
        "reference": Reference,
    }
    *parents, key = map(str, location)
    section = sections.get(parents[0], ModelCard) if parents else ModelCard
    known = [field.alias or name for name, field in section.model_fields.items()]
    near = get_close_matches(key, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
