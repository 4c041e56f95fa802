"""The route that draws or describes a heat map."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Annotated, Literal, TypeVar

from fastapi import APIRouter, Query, Request
from pydantic.json_schema import SkipJsonSchema
from starlette.responses import JSONResponse, Response

from whatsit.documents import describe_heat_map, describe_origin
from whatsit.errors import UrlUnreachable
from whatsit.images.overlay import draw_picture
from whatsit.service.service import Explanation, Service
from whatsit.web.api.body import read_picture
from whatsit.web.api.classify import receipt
from whatsit.web.api.examples import EXPLAIN_EXAMPLE
from whatsit.web.api.openapi import PICTURE_BODY, PICTURE_HEADERS
from whatsit.web.api.parameters import Cache
from whatsit.web.api.refusals import problem_responses
from whatsit.web.api.schemas import ExplainDocument
from whatsit.web.intake.intake import Intake
from whatsit.web.request_facts import facts_of

_Result = TypeVar("_Result")


def build_explain_router(service: Service, intake: Intake) -> APIRouter:
    """The route about heat maps.

    Args:
        service: Computes them.
        intake: Receives the pictures.
    """
    router = APIRouter()

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
        cache: Cache = "use",
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

    return router


def _explanation(request: Request, explanation: Explanation) -> Response:
    document = {
        "id": facts_of(request.scope).request_id,
        **describe_origin(explanation.cache, explanation.timings_ms),
        **describe_heat_map(explanation.heat_map),
    }
    return JSONResponse(document, headers=receipt(explanation))


def _accepted_form(request: Request) -> Literal["png", "json"]:
    accepted = request.headers.get("accept", "")
    return "json" if "application/json" in accepted and "image/" not in accepted else "png"


async def _in_turn(service: Service, work: Callable[[], _Result]) -> _Result:
    return await asyncio.wrap_future(service.workers.submit(work))
