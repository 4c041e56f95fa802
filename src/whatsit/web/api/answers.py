"""The routes that answer pictures: ``classify``, and the answers that are kept."""

import asyncio
import re
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import JSONResponse, Response

from whatsit.documents import describe_reply
from whatsit.errors import AnswerUnknown, InvalidParameter, UrlUnreachable, WhatsitError
from whatsit.feedback.correction import Correction, describe_correction
from whatsit.prediction import Reply
from whatsit.running import Running
from whatsit.service.service import DEFAULT_TOP_K
from whatsit.web.api.classify import CLASSIFY_PATH, receipt
from whatsit.web.api.examples import CLASSIFY_EXAMPLE, KEPT_ANSWER_EXAMPLE
from whatsit.web.api.openapi import ANSWER_HEADERS, PICTURE_HEADERS, PICTURE_OR_URL_BODY
from whatsit.web.api.parameters import Cache, TopK
from whatsit.web.api.problems import report
from whatsit.web.api.refusals import problem_responses
from whatsit.web.api.schemas import ClassifyDocument
from whatsit.web.request_facts import facts_of

ANSWER_PATH = "/api/v1/answers/{sha256}"

_DIGEST = "^[0-9A-Fa-f]{64}$"
_NOT_STORED = {"Cache-Control": "no-store"}


def build_answers_router(running: Running) -> APIRouter:
    """The routes of one running service that give answers."""
    router = APIRouter()
    service = running.service

    @router.post(
        CLASSIFY_PATH,
        summary="Say what a picture shows",
        response_model=ClassifyDocument,
        responses={
            200: {
                "description": "What is in the picture.",
                "headers": PICTURE_HEADERS,
                "content": {"application/json": {"example": CLASSIFY_EXAMPLE}},
            },
            **problem_responses(400, 403, 408, 413, 415, 422, 500, 503),
        },
        openapi_extra=PICTURE_OR_URL_BODY,
    )
    async def classify(top_k: TopK = DEFAULT_TOP_K, cache: Cache = "use") -> Response:
        raise NotImplementedError("Requests go to whatsit.web.api.classify.")

    @router.get(
        ANSWER_PATH,
        summary="Give an answer again",
        description="The answer to a picture that was asked about lately, as long as it is kept.",
        response_model=ClassifyDocument,
        responses={
            200: {
                "description": "What is in the picture.",
                "headers": ANSWER_HEADERS,
                "content": {"application/json": {"example": KEPT_ANSWER_EXAMPLE}},
            },
            **problem_responses(404, 422, without={UrlUnreachable}),
        },
    )
    async def answer(
        request: Request,
        sha256: Annotated[
            str,
            Path(
                description="Digest of the picture, as in `image.sha256` of its answer.",
                examples=["e3b0" * 16],
                json_schema_extra={"pattern": _DIGEST},
            ),
        ],
        top_k: TopK = DEFAULT_TOP_K,
    ) -> Response:
        try:
            if re.fullmatch(_DIGEST, sha256) is None:
                raise InvalidParameter("sha256 must have 64 hex digits.")
            reply = await asyncio.to_thread(service.find, sha256.lower(), top_k=top_k)
            if reply is None:
                raise AnswerUnknown
        except WhatsitError as error:
            response = report(error)
            response.headers.update(_NOT_STORED)
            return response
        facts_of(request.scope).answer = reply
        correction = None if running.feedback is None else running.feedback.get(sha256.lower())
        return _kept_answer(request, reply, correction)

    return router


def _kept_answer(request: Request, reply: Reply, correction: Correction | None) -> Response:
    document = {"id": facts_of(request.scope).request_id, **describe_reply(reply)}
    if correction is not None:
        document["correction"] = describe_correction(correction)
    return JSONResponse(document, headers={**receipt(reply), **_NOT_STORED})
