"""What is right: answers computed beforehand, without any cache, to compare later ones with."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from tests.support.load import Outcome, closed_loop, post
from tests.support.running import RunningServer

CLASSIFY = "/api/v1/classify"
COMPUTATIONS = 'whatsit_stage_seconds_count{stage="infer"}'

_ROUNDING = 0.005
"""A model may run in two forms, alone and beside others, that round differently."""


@dataclass(frozen=True)
class RightAnswer:
    """The answer of one picture.

    Attributes:
        sha256: Digest of the picture's bytes.
        label: The label of the answer.
        scores: Score by label, of the five best.
    """

    sha256: str
    label: str
    scores: Mapping[str, float]

    def is_wrong(self, outcome: Outcome) -> str | None:
        """What is wrong with a successful outcome; None if it is right."""
        document = outcome.document
        if document["image"]["sha256"] != self.sha256:
            return f"{outcome.name}: answered another picture"
        if document["answer"]["label"] != self.label:
            return f"{outcome.name}: {document['answer']['label']} instead of {self.label}"
        scores = {entry["label"]: entry["score"] for entry in document["top"]}
        differences = [abs(scores.get(label, 0.0) - self.scores[label]) for label in self.scores]
        if max(differences) > _ROUNDING:
            return f"{outcome.name}: {scores} instead of {self.scores}"
        return None

    def of_bytes(self, image_bytes: bytes) -> "RightAnswer":
        """The answer of the same pixels in other bytes."""
        return RightAnswer(hashlib.sha256(image_bytes).hexdigest(), self.label, self.scores)


def compute_answers(server: RunningServer, pictures: Mapping[str, bytes]) -> dict[str, RightAnswer]:
    """Ask for each picture with the cache bypassed."""
    url = f"{server.url}{CLASSIFY}?cache=bypass"
    load = closed_loop([post(url, body, name) for name, body in pictures.items()], clients=2)
    answers = {}
    for outcome in load.require_ok().outcomes:
        document = outcome.document
        assert document["cache"] == "bypass"
        answers[outcome.name] = RightAnswer(
            hashlib.sha256(pictures[outcome.name]).hexdigest(),
            document["answer"]["label"],
            {entry["label"]: entry["score"] for entry in document["top"]},
        )
    return answers
