"""The routes: parse, call the service, shape the answer."""

import asyncio
import json
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.routing import APIRoute
from starlette.responses import Response
from starlette.routing import request_response
from starlette.types import Receive, Scope, Send

from whatsit.bootstrap import Running
from whatsit.errors import InvalidModelCard
from whatsit.prediction import MAX_TOP_K
from whatsit.service import DEFAULT_TOP_K, CacheMode, Reply
from whatsit.web.api import problems
from whatsit.web.api.body import FILE_FIELD, read_image_bytes
from whatsit.web.api.schemas import (
    ClassifyDocument,
    HealthDocument,
    KnownModelDocument,
    ModelDocument,
    ModelsDocument,
    ProblemDocument,
    ReadyDocument,
)
from whatsit.web.api.workers import Workers

_PICTURE_BODY = {
    "requestBody": {
        "required": True,
        "description": "A JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF picture.",
        "content": {
            "image/*": {"schema": {"type": "string", "format": "binary"}},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {FILE_FIELD: {"type": "string", "format": "binary"}},
                    "required": [FILE_FIELD],
                }
            },
        },
    }
}


class DirectRoute(APIRoute):
    """A route that runs without parameter parsing when a request has no parameters.

    FastAPI's own handling takes longer than a cached answer does. The endpoint must need
    nothing but the request; its parameters come from the query and have defaults.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        parsed, direct = self.app, request_response(endpoint)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await (parsed if scope["query_string"] else direct)(scope, receive, send)

        self.app = app


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries of the problem documents that a route may answer with."""
    content = {problems.MEDIA_TYPE: {"schema": ProblemDocument.model_json_schema()}}
    return {status: {"description": "Problem", "content": content} for status in statuses}


def build_router(running: Running, workers: Workers) -> APIRouter:
    """The routes of one running service."""
    router = APIRouter()
    service = running.service

    async def classify(
        request: Request,
        top_k: Annotated[int, Query(ge=1, le=MAX_TOP_K)] = DEFAULT_TOP_K,
        cache: CacheMode = "use",
    ) -> Response:
        image_bytes = await read_image_bytes(request, service.classifier.max_upload_bytes)
        reply = service.recall(image_bytes, top_k=top_k, cache=cache)
        if reply is None:
            reply = await workers.run(
                partial(service.classify, image_bytes, top_k=top_k, cache=cache)
            )
        return _answer(request, reply)

    router.add_api_route(
        "/api/v1/classify",
        classify,
        methods=["POST"],
        summary="Say what a picture shows",
        response_model=ClassifyDocument,
        responses=problem_responses(400, 413, 415, 422, 503),
        openapi_extra=_PICTURE_BODY,
        route_class_override=DirectRoute,
    )

    @router.get("/api/v1/models", summary="List the models")
    async def models() -> ModelsDocument:
        return await asyncio.to_thread(_list_models, running)

    @router.get("/healthz", summary="Does the process answer?")
    async def healthz() -> HealthDocument:
        return HealthDocument(status="ok")

    @router.get("/readyz", summary="Are pictures answered?", responses=problem_responses(503))
    async def readyz() -> ReadyDocument:
        cache = await asyncio.to_thread(running.cache_state)
        return ReadyDocument(status="ready", model=service.classifier.card.name, cache=cache)

    @router.get("/metrics", summary="Prometheus metrics", response_class=Response)
    async def metrics() -> Response:
        return Response(
            running.telemetry.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8"
        )

    return router


def _answer(request: Request, reply: Reply) -> Response:
    prediction, answer = reply.prediction, reply.prediction.answer
    request_id = request.scope["whatsit.request_id"]
    document = {
        "id": request_id,
        "model": {"name": prediction.model.name, "fingerprint": prediction.model.fingerprint},
        "answer": {
            "text": answer.text,
            "label": answer.label,
            "wnid": answer.wnid,
            "score": round(answer.score, 6),
            "certainty": answer.certainty,
        },
        "top": [
            {
                "label": entry.label,
                "wnid": entry.wnid,
                "index": entry.index,
                "score": round(entry.score, 6),
            }
            for entry in reply.top
        ],
        "cache": reply.cache,
        "timings_ms": {stage: round(ms, 3) for stage, ms in reply.timings_ms.items()},
        "image": {
            "width": prediction.image.width,
            "height": prediction.image.height,
            "format": prediction.image.format,
            "sha256": prediction.image.sha256,
        },
    }
    timing = ", ".join(f"{stage};dur={ms:.3f}" for stage, ms in reply.timings_ms.items())
    return Response(
        json.dumps(document, ensure_ascii=False, separators=(",", ":")),
        media_type="application/json",
        headers={"X-Cache": reply.cache, "Server-Timing": timing},
    )


def _list_models(running: Running) -> ModelsDocument:
    serving = running.service.classifier.model
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
        serving=ModelDocument(name=serving.name, fingerprint=serving.fingerprint),
        note=running.model.note,
        models=known,
    )
