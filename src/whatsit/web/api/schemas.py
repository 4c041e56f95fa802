"""The shapes of the API's documents, for the OpenAPI description and for reading answers back."""

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from whatsit.drift.report import Drift
from whatsit.feedback.correction import Verdict
from whatsit.prediction import CacheOutcome, Certainty, HeatMapMethod, Hedge, Level, Role
from whatsit.running import CacheState


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelDocument(_Document):
    """The model that answered."""

    name: str
    fingerprint: str = Field(description="Digest of everything that decides an answer.")


class ScoredLabelDocument(_Document):
    """One label and its score."""

    label: str
    wnid: str | None
    index: int = Field(ge=0, description="Position in the model's output.")
    score: float = Field(ge=0, le=1, description="Calibrated probability.")


class AnswerPartDocument(_Document):
    """One thing that the text of an answer names."""

    role: Role = Field(
        description="`stated` for what the answer commits to, always the first part; `guess` for "
        "what it only offers."
    )
    hedge: Hedge = Field(
        description="How strongly the text puts it: `certain` without a hedge, `almost_certain` "
        "as almost certainly, `probable` as probably, `possible` as perhaps, or as it might be "
        "where nothing is stated; `closest` if the picture is not recognised. Guesses in a row "
        "with the same hedge are alternatives, and the hedge is about them together."
    )
    label: str
    wnid: str | None = Field(description="WordNet id of the label, where it has one.")
    level: Level
    score: float = Field(ge=0, le=1, description="Calibrated probability.")


class AnswerDocument(_Document):
    """The answer in words, for people."""

    text: str = Field(examples=["A beagle (93 %)."])
    label: str = Field(description="What the text puts first: a class or a group of classes.")
    wnid: str | None = Field(description="WordNet id of the label, where it has one.")
    score: float = Field(ge=0, le=1, description="Calibrated probability.")
    certainty: Certainty
    recognised: bool = Field(
        description="False if the picture looks unlike anything the model knows."
    )
    level: Level
    path: list[str] = Field(description="From the broadest group down to the label.")
    set: list[ScoredLabelDocument] = Field(
        description="The fewest labels that hold the right class as often as the model's card "
        "promises; empty where it promises nothing."
    )
    parts: list[AnswerPartDocument] = Field(
        description="What the text names, in its order, to say it in other words or in another "
        "language without promising more."
    )


class ImageDocument(_Document):
    """Facts of the picture."""

    width: int = Field(ge=1, description="Pixels, upright.")
    height: int = Field(ge=1, description="Pixels, upright.")
    format: str = Field(examples=["JPEG"])
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class CorrectionDocument(_Document):
    """A person's statement of what a picture shows."""

    id: str = Field(pattern="^[0-9a-f]{16}$", description="With which it can be undone.")
    verdict: Verdict = Field(
        description="The answer is right; the picture shows something else, which is the label; "
        "or it shows none of the labels."
    )
    label: str | None = Field(description="What the picture shows, as far as that is known.")
    wnid: str | None = Field(description="WordNet id of the label, where it has one.")
    at: str = Field(description="When it was made, UTC.", json_schema_extra={"format": "date-time"})


class FeedbackDocument(CorrectionDocument):
    """A correction that was kept."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    picture_kept: bool = Field(description="True if the picture itself was kept with it.")


class LabelDocument(_Document):
    """A class of the model, or a group of classes."""

    label: str
    wnid: str | None = Field(description="WordNet id of the label, where it has one.")
    index: int | None = Field(ge=0, description="Position in the model's output; null for a group.")
    synonyms: list[str] = Field(description="Other words for it.")
    definition: str | None = Field(description="One line, where there is one.")


class LabelsDocument(_Document):
    """Labels that were searched for."""

    labels: list[LabelDocument] = Field(description="Best match first.")


class ClassifyDocument(_Document):
    """The answer to a picture."""

    id: str = Field(description="Id of this request, as in the header X-Request-Id.")
    model: ModelDocument
    answer: AnswerDocument
    top: list[ScoredLabelDocument] = Field(description="Best labels, best first.")
    cache: CacheOutcome
    timings_ms: dict[str, float] = Field(description="Milliseconds by stage.")
    image: ImageDocument
    correction: CorrectionDocument | SkipJsonSchema[None] = Field(
        None, description="The newest correction of this picture; left out where there is none."
    )


class BoxDocument(_Document):
    """A part of the upright picture, in its pixels."""

    left: float
    top: float
    right: float
    bottom: float


class ExplainDocument(_Document):
    """The parts of a picture that speak for a label."""

    id: str = Field(description="Id of this request, as in the header X-Request-Id.")
    model: ModelDocument
    label: str
    wnid: str | None = Field(description="WordNet id of the label, where it has one.")
    index: int = Field(ge=0, description="Position in the model's output.")
    method: HeatMapMethod = Field(
        description="`activation`: the last feature map, weighted by the class. "
        "`occlusion`: patches of the picture were covered one after the other."
    )
    grid: list[list[float]] = Field(
        description="Rows from the top, each from the left; 0: nothing there speaks for the "
        "label, 1: the place that does most. It lies over the box."
    )
    box: BoxDocument = Field(description="What the model sees of the picture.")
    cache: CacheOutcome
    timings_ms: dict[str, float] = Field(description="Milliseconds by stage.")
    image: ImageDocument


class KnownModelDocument(_Document):
    """A model that could be served."""

    name: str
    description: str
    licence: str
    present: bool = Field(description="True if its weights are on this machine.")
    serving: bool = Field(description="True if it answers now.")
    problem: str | None = Field(None, description="Why it can't be served, where it can't.")


class PromotedDocument(_Document):
    """A model that is live or was."""

    name: str
    since: str = Field(description="When it went live: RFC 3339, UTC.")


class CanaryDocument(_Document):
    """A model that is tried on a share of the pictures."""

    name: str
    since: str = Field(description="When that began: RFC 3339, UTC.")
    ratio: float = Field(gt=0, lt=1, description="Its share of the pictures.")
    serving: ModelDocument | None = Field(
        description="It, as far as this process was able to open it."
    )


class LiveModelsDocument(_Document):
    """The live model, those that were live before, and the canary."""

    history: list[PromotedDocument] = Field(
        description="Newest first; the first one is live. Empty until a model was promoted."
    )
    canary: CanaryDocument | None


class ModelsDocument(_Document):
    """The models of this installation."""

    requested: str = Field(description="The model that was asked for at start.")
    serving: ModelDocument
    serving_since: str = Field(
        description="Since when this process has answered with it: RFC 3339, UTC."
    )
    note: str | None = Field(description="Why another model answers than the requested one.")
    live: LiveModelsDocument | None = Field(
        description="What is live; null where the server does not follow it."
    )
    models: list[KnownModelDocument]


class ReferenceDocument(_Document):
    """The pictures that traffic is compared with."""

    pictures: int = Field(ge=1)
    dataset: str = Field(description="What they are, in words.")


class SignalDriftDocument(_Document):
    """The distance of one signal from the reference."""

    signal: str = Field(examples=["score"])
    psi: float = Field(
        ge=0, description="Population stability index, less what chance gives on average."
    )
    drift: Drift = Field(description="`shifting` from 0.1 on, `different` from 0.25 on.")
    edges: list[float] = Field(description="Where one bin ends and the next begins.")
    reference: list[float] = Field(description="Share of the reference in each bin.")
    pictures: list[int] = Field(description="Pictures in each bin now.")


class WindowDriftDocument(_Document):
    """The distance of the pictures of one window from the reference."""

    window: Literal["day", "latest"] = Field(
        description="`day`: the last 24 hours; `latest`: the last 1,000, of each process."
    )
    pictures: int = Field(ge=0, description="Different pictures that the model computed.")
    since: str | None = Field(description="When the first of them was answered.")
    drift: Drift = Field(description="The worst of all signals but size and shape.")
    signals: list[SignalDriftDocument]


class WeekDocument(_Document):
    """The corrections of one model's answers in one week."""

    monday: date = Field(description="The first day of the week, UTC.")
    model: str | None = Field(description="The model that had answered, where it is known.")
    right: int = Field(ge=0)
    wrong: int = Field(ge=0)
    accuracy: float = Field(ge=0, le=1, description="Share that was right.")


class DriftDocument(_Document):
    """The drift of pictures from those that the model was measured on, and its accuracy."""

    model: ModelDocument
    since: str = Field(description="Since when its pictures are counted.")
    reference: ReferenceDocument | None = Field(
        description="Null where the model's card lacks it; `windows` is empty then."
    )
    windows: list[WindowDriftDocument]
    feedback: list[WeekDocument] | None = Field(
        description="The last 12 weeks, the latest first; null where it can't be read."
    )
    next_step: str | None = Field(description="What to do, where something is to be done.")


class ProblemDocument(_Document):
    """An error, in the form of RFC 9457."""

    type: str
    title: str
    status: int
    detail: str = Field(description="What happened and what to do, for people.")
    code: str = Field(description="Stable name of the problem, for programs.")


class ErrorDocument(ProblemDocument):
    """The same for clients of other protocols, which show `error`."""

    error: str = Field(description="The same sentence as in `detail`.")


class ReadyDocument(_Document):
    """Pictures are answered."""

    status: Literal["ready"]
    model: str
    cache: CacheState = Field(
        description="State of the shared cache; without one, answers still come."
    )
    cache_note: str | None = Field(
        description="Why it does not keep or give answers, for people; null where it does."
    )


class HealthDocument(_Document):
    """The process answers."""

    status: Literal["ok"]
