"""The routes: parse, call the service, shape the answer."""

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Annotated, Literal, TypeVar

from fastapi import APIRouter, Path, Query, Request
from pydantic.json_schema import SkipJsonSchema
from starlette.responses import Response

from whatsit.errors import (
    AnswerUnknown,
    InvalidModelCard,
    InvalidParameter,
    UrlUnreachable,
    WhatsitError,
)
from whatsit.feedback.correction import Correction
from whatsit.images.overlay import draw_picture
from whatsit.prediction import MAX_TOP_K, CacheMode, ModelId, Reply
from whatsit.running import Running
from whatsit.service.service import DEFAULT_TOP_K, Explanation, Service
from whatsit.web.api.body import read_picture
from whatsit.web.api.classify import CLASSIFY_PATH, describe, receipt
from whatsit.web.api.openapi import (
    ANSWER_EXAMPLE,
    ANSWER_HEADERS,
    CLASSIFY_EXAMPLE,
    EXPLAIN_EXAMPLE,
    MODELS_EXAMPLE,
    PICTURE_BODY,
    PICTURE_HEADERS,
    PICTURE_OR_URL_BODY,
    READY_EXAMPLE,
    REQUEST_ID_HEADER,
    ok,
    problem_responses,
)
from whatsit.web.api.problems import report
from whatsit.web.api.schemas import (
    CanaryDocument,
    ClassifyDocument,
    ExplainDocument,
    HealthDocument,
    KnownModelDocument,
    LiveModelsDocument,
    ModelDocument,
    ModelsDocument,
    PromotedDocument,
    ReadyDocument,
)
from whatsit.web.intake.intake import Intake
from whatsit.web.request_facts import facts_of

ANSWER_PATH = "/api/v1/answers/{sha256}"

_Result = TypeVar("_Result")
_DIGEST = "^[0-9A-Fa-f]{64}$"
_NOT_STORED = {"Cache-Control": "no-store"}
_TopKParameter = Annotated[
    int, Query(ge=1, le=MAX_TOP_K, description="How many labels.", examples=[3])
]
_CacheParameter = Annotated[
    CacheMode,
    Query(
        description="`refresh` computes anew and keeps that; `bypass` neither reads nor keeps.",
        examples=["use"],
    ),
]


def build_router(running: Running, intake: Intake) -> APIRouter:
    """The routes of one running service."""
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
    async def classify(
        top_k: _TopKParameter = DEFAULT_TOP_K, cache: _CacheParameter = "use"
    ) -> Response:
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
                "content": {"application/json": {"example": ANSWER_EXAMPLE}},
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
        top_k: _TopKParameter = DEFAULT_TOP_K,
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

    @router.post(
        "/api/v1/explain",
        summary="Show which parts of a picture speak for a label",
        response_class=Response,
        responses={
            200: {
                "description": "A PNG of the picture with the heat map over it, or the map itself.",
                "headers": PICTURE_HEADERS,
                "model": ExplainDocument,
                "content": {
                    "image/png": {"schema": {"type": "string", "format": "binary"}},
                    "application/json": {"example": EXPLAIN_EXAMPLE},
                },
            },
            **problem_responses(400, 408, 413, 415, 422, 500, 503, without={UrlUnreachable}),
        },
        openapi_extra=PICTURE_BODY,
    )
    async def explain(
        request: Request,
        label: Annotated[
            str | SkipJsonSchema[None],
            Query(
                description="A label or a class index; the best label if left out.",
                examples=["bee"],
                json_schema_extra={"minLength": 1},
            ),
        ] = None,
        form: Annotated[
            Literal["png", "json"] | SkipJsonSchema[None],
            Query(
                alias="format",
                description="If left out, the header `Accept` decides.",
                examples=["json"],
            ),
        ] = None,
        cache: _CacheParameter = "use",
    ) -> Response:
        async with intake.take(request.scope, request.receive) as body:
            limit = service.max_upload_bytes
            picture = await read_picture(request.scope, body, limit)
            explanation = await _in_turn(
                service, partial(service.explain, picture, label=label, cache=cache)
            )
            facts_of(request.scope).answer = explanation
            if (form or _accepted_form(request)) == "json":
                return _explanation(request, explanation)
            overlay = partial(
                draw_picture,
                picture.image_bytes,
                explanation.heat_map,
                max_pixels=service.max_pixels,
            )
            drawn = await _in_turn(service, overlay)
        return Response(drawn, media_type="image/png", headers=receipt(explanation))

    @router.get("/api/v1/models", summary="List the models", responses=ok(MODELS_EXAMPLE))
    async def models() -> ModelsDocument:
        return await asyncio.to_thread(_list_models, running)

    @router.get("/healthz", summary="Does the process answer?", responses=ok({"status": "ok"}))
    async def healthz() -> HealthDocument:
        return HealthDocument(status="ok")

    @router.get(
        "/readyz",
        summary="Are pictures answered?",
        responses={**ok(READY_EXAMPLE), **problem_responses(503)},
    )
    async def readyz() -> ReadyDocument:
        cache = await asyncio.to_thread(running.cache_state)
        name, note = service.classifier.card.name, running.cache_note
        return ReadyDocument(status="ready", model=name, cache=cache, cache_note=note)

    @router.get(
        "/metrics",
        summary="Prometheus metrics",
        response_class=Response,
        responses={
            200: {
                "description": "All metrics, in the text format of Prometheus.",
                "headers": REQUEST_ID_HEADER,
                "content": {"text/plain": {"schema": {"type": "string"}}},
            }
        },
    )
    async def metrics() -> Response:
        exposition = await asyncio.to_thread(running.exposition)
        return Response(exposition, media_type="text/plain; version=0.0.4; charset=utf-8")

    return router


def _kept_answer(request: Request, reply: Reply, correction: Correction | None) -> Response:
    document = {
        "id": facts_of(request.scope).request_id,
        "cache": reply.cache,
        "timings_ms": {stage: round(ms, 3) for stage, ms in reply.timings_ms.items()},
        **describe(reply.prediction, reply.top, correction),
    }
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    headers = {**receipt(reply), **_NOT_STORED}
    return Response(text, media_type="application/json", headers=headers)


def _explanation(request: Request, explanation: Explanation) -> Response:
    heat_map = explanation.heat_map
    document = {
        "id": facts_of(request.scope).request_id,
        "model": {"name": heat_map.model.name, "fingerprint": heat_map.model.fingerprint},
        "label": heat_map.label,
        "wnid": heat_map.wnid,
        "index": heat_map.index,
        "method": heat_map.method,
        "grid": [[round(heat, 3) for heat in row] for row in heat_map.grid.tolist()],
        "box": {
            side: round(edge, 2)
            for side, edge in zip(("left", "top", "right", "bottom"), heat_map.box, strict=True)
        },
        "cache": explanation.cache,
        "timings_ms": {stage: round(ms, 3) for stage, ms in explanation.timings_ms.items()},
        "image": asdict(heat_map.image),
    }
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return Response(text, media_type="application/json", headers=receipt(explanation))


def _accepted_form(request: Request) -> Literal["png", "json"]:
    accepted = request.headers.get("accept", "")
    return "json" if "application/json" in accepted and "image/" not in accepted else "png"


async def _in_turn(service: Service, work: Callable[[], _Result]) -> _Result:
    return await asyncio.wrap_future(service.workers.submit(work))


def _list_models(running: Running) -> ModelsDocument:
    line_up = running.service.line_up
    serving = line_up.live.model
    present = running.store.present_names()
    known = []
    for name in running.store.known_names():
        facts = {"name": name, "present": name in present, "serving": name == serving.name}
        try:
            card = running.store.card(name)
        except InvalidModelCard as error:
            facts |= {"description": "", "licence": "", "problem": error.detail}
        else:
            facts |= {"description": card.description, "licence": card.licence}
        known.append(KnownModelDocument.model_validate(facts))
    return ModelsDocument(
        requested=running.model.requested,
        serving=_describe_model(serving),
        serving_since=line_up.live.since,
        note=running.note,
        live=_describe_live(running),
        models=known,
    )


def _describe_model(model: ModelId) -> ModelDocument:
    return ModelDocument(name=model.name, fingerprint=model.fingerprint)


def _describe_live(running: Running) -> LiveModelsDocument | None:
    if running.follower is None:
        return None
    state, canary = running.follower.read(), running.service.line_up.canary
    return LiveModelsDocument(
        history=[PromotedDocument(name=it.name, since=it.since) for it in state.history],
        canary=None
        if state.canary is None
        else CanaryDocument(
            name=state.canary.name,
            since=state.canary.since,
            ratio=state.canary.ratio,
            serving=None if canary is None else _describe_model(canary.model),
        ),
    )
