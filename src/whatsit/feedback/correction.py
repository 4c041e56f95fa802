"""The values that a correction is made of."""

from dataclasses import dataclass
from typing import Literal

from whatsit.prediction import Prediction

Verdict = Literal["right", "other", "none"]
"""The answer is right; another label is right; or none of the labels is."""

MAX_LABEL_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class Correction:
    """A person's statement about what a picture shows.

    Attributes:
        id: With which it can be undone.
        sha256: Hex digest of the picture's bytes.
        verdict: The verdict on the answer.
        label: The label of the picture, as far as it is known; None for ``none``.
        wnid: WordNet id of the label; None where it has none.
        at: When it was made, UTC, in ISO 8601 with milliseconds.
    """

    id: str
    sha256: str
    verdict: Verdict
    label: str | None
    wnid: str | None
    at: str


def describe_correction(correction: Correction) -> dict[str, object]:
    """A correction in JSON, in the form of `whatsit.web.api.schemas.CorrectionDocument`."""
    return {
        "id": correction.id,
        "verdict": correction.verdict,
        "label": correction.label,
        "wnid": correction.wnid,
        "at": correction.at,
    }


@dataclass(frozen=True, slots=True)
class CorrectedAnswer:
    """The answer that is corrected, as it was given.

    Attributes:
        label: A class or a group of classes.
        wnid: Its WordNet id, where there is one.
        score: Calibrated probability, 0 to 1.
        certainty: How far the sentence committed itself.
        model: Name of the model.
        fingerprint: Digest of all that decided the answer.
    """

    label: str
    wnid: str | None
    score: float
    certainty: str
    model: str
    fingerprint: str

    @classmethod
    def of(cls, prediction: Prediction) -> "CorrectedAnswer":
        """The part of a prediction that is kept beside a correction."""
        answer, model = prediction.answer, prediction.model
        return cls(
            answer.label,
            answer.wnid,
            answer.score,
            answer.certainty,
            model.name,
            model.fingerprint,
        )


@dataclass(frozen=True, slots=True)
class Record:
    """A correction with all that is kept of it.

    Attributes:
        correction: The correction itself.
        answered: The answer that it is about; None where that is no longer known.
        who: Name of the API key that it came with; None where it came without.
        picture_format: Format of the picture, such as ``JPEG``, if it was sent to be kept.
    """

    correction: Correction
    answered: CorrectedAnswer | None = None
    who: str | None = None
    picture_format: str | None = None
