"""The routes that monitoring asks: liveness, readiness and metrics."""

import asyncio

from fastapi import APIRouter
from starlette.responses import Response

from whatsit.running import Running
from whatsit.web.api.examples import READY_EXAMPLE
from whatsit.web.api.openapi import REQUEST_ID_HEADER, ok
from whatsit.web.api.refusals import problem_responses
from whatsit.web.api.schemas import HealthDocument, ReadyDocument


def build_health_router(running: Running) -> APIRouter:
    """The routes about the state of one running service."""
    router = APIRouter()

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
        name, note = running.service.classifier.card.name, running.cache_note
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
