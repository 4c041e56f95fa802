"""The routes: parse, call the service, shape the answer."""

import asyncio
import json
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.routing import APIRoute
from starlette.responses import Response
from starlette.routing import request_response
from starlette.types import Receive, Scope, Send

from whatsit.bootstrap import Running
from whatsit.errors import InvalidModelCard
from whatsit.explain import draw_picture
from whatsit.prediction import MAX_TOP_K, ImageFacts
from whatsit.service import DEFAULT_TOP_K, CacheMode, Explanation, Reply
from whatsit.web.api import problems
from whatsit.web.api.body import FILE_FIELD, read_image_bytes
from whatsit.web.api.schemas import (
    ClassifyDocument,
    ExplainDocument,
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

    @router.post(
        "/api/v1/explain",
        summary="Show which parts of a picture speak for a label",
        response_class=Response,
        responses={
            200: {
                "description": "A PNG of the picture with the heat map over it, or the map itself.",
                "model": ExplainDocument,
                "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}},
            },
            **problem_responses(400, 413, 415, 422, 503),
        },
        openapi_extra=_PICTURE_BODY,
    )
    async def explain(
        request: Request,
        label: Annotated[
            str | None,
            Query(description="A label or a class index; the best label if left out."),
        ] = None,
        form: Annotated[
            Literal["png", "json"] | None,
            Query(alias="format", description="If left out, the header `Accept` decides."),
        ] = None,
        cache: CacheMode = "use",
    ) -> Response:
        image_bytes = await read_image_bytes(request, service.classifier.max_upload_bytes)
        explanation = await workers.run(
            partial(service.explain, image_bytes, label=label, cache=cache)
        )
        if (form or _accepted_form(request)) == "json":
            return _explanation(request, explanation)
        picture = await workers.run(
            partial(
                draw_picture,
                image_bytes,
                explanation.heat_map,
                max_pixels=service.classifier.max_pixels,
            )
        )
        return Response(picture, media_type="image/png", headers=_receipt(explanation))

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
            "recognised": answer.recognised,
            "level": answer.level,
            "path": answer.path,
            "set": [
                {"label": entry.label, "wnid": entry.wnid, "score": round(entry.score, 6)}
                for entry in answer.set
            ],
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
        "image": _image_facts(prediction.image),
    }
    return _json(document, reply)


def _explanation(request: Request, explanation: Explanation) -> Response:
    heat_map = explanation.heat_map
    document = {
        "id": request.scope["whatsit.request_id"],
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
        "image": _image_facts(heat_map.image),
    }
    return _json(document, explanation)


def _accepted_form(request: Request) -> Literal["png", "json"]:
    accepted = request.headers.get("accept", "")
    return "json" if "application/json" in accepted and "image/" not in accepted else "png"


def _image_facts(image: ImageFacts) -> dict[str, object]:
    return {
        "width": image.width,
        "height": image.height,
        "format": image.format,
        "sha256": image.sha256,
    }


def _json(document: object, reply: Reply | Explanation) -> Response:
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return Response(text, media_type="application/json", headers=_receipt(reply))


def _receipt(reply: Reply | Explanation) -> dict[str, str]:
    timing = ", ".join(f"{stage};dur={ms:.3f}" for stage, ms in reply.timings_ms.items())
    return {"X-Cache": reply.cache, "Server-Timing": timing}


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
