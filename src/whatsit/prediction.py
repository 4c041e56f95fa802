"""The values an answer is made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # a client does without numpy
    import numpy as np
    import numpy.typing as npt

Certainty = Literal["sure", "probably", "unsure"]
Level = Literal["class", "group"]
Role = Literal["stated", "guess"]
Hedge = Literal["certain", "almost_certain", "probable", "possible", "closest"]
CacheMode = Literal["use", "refresh", "bypass"]
CacheOutcome = Literal["hit", "miss", "coalesced", "bypass"]

HeatMapMethod = Literal["activation", "occlusion"]

GRID_STEPS = 255
"""A grid has this many steps from 0 to 1, so that it fits in a byte a place."""

MAX_TOP_K = 20
"""How many labels a stored prediction keeps; a request may ask for 1 to this many."""


@dataclass(frozen=True, slots=True)
class ScoredLabel:
    """One label and how much the model believes in it.

    Attributes:
        label: Human name, unique in its label set.
        wnid: WordNet id, such as ``n02088364``; None where the label set has none.
        index: Class index, 0-based position in the model's output.
        score: Calibrated probability, 0 to 1.
    """

    label: str
    wnid: str | None
    index: int
    score: float


@dataclass(frozen=True, slots=True)
class AnswerPart:
    """One thing that the sentence of an answer names.

    Attributes:
        role: ``stated`` for what the answer commits to, which is always the first part;
            ``guess`` for what it only offers.
        hedge: How strongly the sentence puts it. ``certain``: without a hedge, "a bee";
            ``almost_certain``: "a dog, almost certainly"; ``probable``: "probably a dog";
            ``possible``: "perhaps a beagle", or "it might be a beagle" if nothing is stated;
            ``closest``: not recognised, only what comes closest. Guesses in a row with the same
            hedge are alternatives, "a beagle or a pug", and the hedge is about them together.
        label: Human name of the class or group.
        wnid: Its WordNet id, where there is one.
        level: ``class`` or ``group``.
        score: Its calibrated probability, 0 to 1.
    """

    role: Role
    hedge: Hedge
    label: str
    wnid: str | None
    level: Level
    score: float


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer in words.

    Attributes:
        text: One or two sentences with percentages.
        label: The first name in the sentence: a class, or a group of classes such as ``dog``.
        wnid: Its WordNet id, where there is one.
        score: Its calibrated probability, 0 to 1.
        certainty: How far the sentence commits itself.
        level: ``class`` or ``group``, as `label` is.
        path: Names from the broadest group down to `label`.
        set: The first labels of `Prediction.top`: as few as hold the right class as often as
            the model's card promises; empty where it promises nothing.
        recognised: False if the picture looks unlike anything the model knows; it is then
            ``unsure`` whatever the score.
        parts: The things that `text` names, in its order, to word it in another way or
            language.
    """

    text: str
    label: str
    wnid: str | None
    score: float
    certainty: Certainty
    level: Level = "class"
    path: tuple[str, ...] = ()
    set: tuple[ScoredLabel, ...] = ()
    recognised: bool = True
    parts: tuple[AnswerPart, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """Facts of the picture itself.

    Attributes:
        width: Pixels, after turning it upright.
        height: Pixels, after turning it upright.
        format: Name of the file format, such as ``JPEG``.
        sha256: Hex digest of the image bytes as they were sent.
    """

    width: int
    height: int
    format: str
    sha256: str


@dataclass(frozen=True, slots=True)
class ModelId:
    """Which model answered: its name, and the fingerprint of all that decides its answers."""

    name: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Prediction:
    """The complete result for one picture.

    Attributes:
        model: The model that answered.
        answer: The sentence and its certainty.
        top: The best labels, best first, at most `MAX_TOP_K`.
        image: Facts of the picture.
    """

    model: ModelId
    answer: Answer
    top: tuple[ScoredLabel, ...]
    image: ImageFacts


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, and how it came about.

    Attributes:
        prediction: The stored or computed result, with all its labels.
        top: As many of its best labels as were asked for.
        cache: Where the prediction came from.
        timings_ms: Milliseconds by stage; ``total`` is the whole time in the service.
    """

    prediction: Prediction
    top: tuple[ScoredLabel, ...]
    cache: CacheOutcome
    timings_ms: Mapping[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class HeatMap:
    """The parts of a picture that support a label.

    Attributes:
        model: The model that was asked.
        image: Facts of the picture.
        label: The label in question.
        wnid: Its WordNet id, where it has one.
        index: Its class index.
        method: How the map was made.
        grid: Shape (h, w), from 0 for no support of the label to 1 for the place with the most;
            all 0 where there is none. It lies over `box`.
        box: The part of the picture that the model sees: left, top, right and bottom edge in
            pixels of the upright picture.
    """

    model: ModelId
    image: ImageFacts
    label: str
    wnid: str | None
    index: int
    method: HeatMapMethod
    grid: "npt.NDArray[np.float32]"
    box: tuple[float, float, float, float]
