"""``POST /api/hf/models/{name}``: the image-classification task of Hugging Face's clients."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope

from whatsit.errors import InvalidParameter
from whatsit.prediction import MAX_TOP_K
from whatsit.service.service import DEFAULT_TOP_K, Service
from whatsit.web.api.batches import (
    LargeBodies,
    answer_each,
    json_limit,
    parse_base64,
    parse_json,
    parse_top_k,
    require_served,
)
from whatsit.web.api.body import read_picture, read_whole
from whatsit.web.api.classify import ANSWER_IN_SCOPE, receipt
from whatsit.web.api.openapi import PICTURE_BODY, PICTURE_HEADERS
from whatsit.web.api.refusals import problem_responses
from whatsit.web.intake import Intake

HUGGINGFACE_PATH = "/api/hf/models/{name}"

_PARAMETERS = ("top_k", "function_to_apply")
_JSON_BODY: dict[str, Any] = {
    "schema": {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "inputs": {"type": "string", "format": "byte", "description": "A picture in base64."},
            "parameters": {
                "type": ["object", "null"],
                "additionalProperties": False,
                "properties": {
                    "top_k": {"type": ["integer", "null"], "minimum": 1, "maximum": MAX_TOP_K},
                    "function_to_apply": {"enum": ["softmax", None]},
                },
            },
        },
    }
}


class LabelAndScore(BaseModel):
    """One label and its score."""

    label: str
    score: float = Field(ge=0, le=1, description="Calibrated probability.")


@dataclass(frozen=True, slots=True)
class ClassificationTask:
    """A picture, and how many labels are wanted of it."""

    image_bytes: bytes
    top_k: int = DEFAULT_TOP_K


def build_huggingface(service: Service, intake: Intake, names: Sequence[str]) -> APIRouter:
    """The route that Hugging Face's clients ask.

    Args:
        service: Knows or computes the answers.
        intake: Through which the pictures come.
        names: Of the model, as they are described.
    """
    router = APIRouter()
    bodies = LargeBodies()
    description = "A JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF picture, or one in JSON."

    @router.post(
        HUGGINGFACE_PATH,
        summary="Image classification as Hugging Face's clients ask for it",
        response_model=list[LabelAndScore],
        responses={
            200: {
                "description": "The best labels, best first.",
                "headers": PICTURE_HEADERS,
                "content": {"application/json": {"example": [{"label": "bee", "score": 0.99}]}},
            },
            **problem_responses(*(400, 404, 408, 413, 415, 422, 500, 503), path=HUGGINGFACE_PATH),
        },
        openapi_extra={
            "requestBody": {
                "required": True,
                "description": description,
                "content": {
                    **PICTURE_BODY["requestBody"]["content"],
                    "application/json": _JSON_BODY,
                },
            }
        },
    )
    async def huggingface(
        request: Request,
        name: Annotated[
            str,
            Path(
                description="Name of the model that answers, or `whatsit`.",
                json_schema_extra={"enum": list(names)},
                examples=list(names[:1]),
            ),
        ],
    ) -> Response:
        require_served(service, name)
        limit = service.max_upload_bytes
        async with intake.take(request.scope, request.receive) as body:
            task = await _read_task(request.scope, body, limit, bodies)
            async for reply in answer_each(service, [task.image_bytes], body, task.top_k):
                request.scope[ANSWER_IN_SCOPE] = reply
        labels = [{"label": it.label, "score": round(it.score, 6)} for it in reply.top]
        text = json.dumps(labels, ensure_ascii=False, separators=(",", ":"))
        return Response(text, media_type="application/json", headers=receipt(reply))

    return router


async def _read_task(
    scope: Scope, receive: Receive, limit: int, bodies: LargeBodies
) -> ClassificationTask:
    declared = Headers(scope=scope).get("content-type", "")
    if declared.partition(";")[0].strip().lower() == "application/json":
        body = await read_whole(scope, receive, json_limit(limit), reported=limit)
        return await bodies.parse(body, parse_task)
    image_bytes = (await read_picture(scope, receive, limit)).image_bytes
    # Scripts without a client library send JSON without saying so; no picture begins like this.
    if image_bytes[:1] == b"{":
        return await bodies.parse(image_bytes, parse_task)
    return ClassificationTask(image_bytes)


def parse_task(body: bytes) -> ClassificationTask:
    """What a client asks for in JSON: ``{"inputs": base64, "parameters": {"top_k": 3}}``.

    Raises:
        InvalidParameter: It is no such JSON, or asks for what can't be done here.
    """
    document = parse_json(body)
    parameters = document.get("parameters")
    if parameters is None:
        parameters = {}
    if not isinstance(parameters, dict):
        raise InvalidParameter("parameters must be an object.")
    if not parameters.keys() <= set(_PARAMETERS):
        raise InvalidParameter(f"parameters may have {' and '.join(_PARAMETERS)}, no others.")
    if parameters.get("function_to_apply") not in (None, "softmax"):
        raise InvalidParameter(
            "function_to_apply must be softmax or left out: scores are calibrated probabilities."
        )
    top_k = parse_top_k(parameters.get("top_k"))
    if "inputs" not in document:
        raise InvalidParameter("inputs is missing: a picture in base64.")
    return ClassificationTask(parse_base64(document["inputs"], "inputs"), top_k)
