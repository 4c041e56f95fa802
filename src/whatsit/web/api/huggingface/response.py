"""Responses to Hugging Face's clients: the best labels with their scores."""

from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from whatsit.prediction import Reply
from whatsit.web.api.classify import receipt
from whatsit.web.api.examples import REPLY


class LabelAndScore(BaseModel):
    """One label and its score."""

    label: str
    score: float = Field(ge=0, le=1, description="Calibrated probability.")


def build_response(reply: Reply) -> Response:
    """The labels of a reply, best first."""
    return JSONResponse(_describe(reply), headers=receipt(reply))


def _describe(reply: Reply) -> list[dict[str, object]]:
    return [{"label": it.label, "score": round(it.score, 6)} for it in reply.top]


LABELS_EXAMPLE = _describe(REPLY)
