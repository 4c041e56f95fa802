"""``POST /api/hf/models/{name}``: the image-classification task of Hugging Face's clients."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope

from whatsit.service.service import Service
from whatsit.web.api.batches import LargeBodies, answer_each, json_limit, require_served
from whatsit.web.api.body import read_picture, read_whole
from whatsit.web.api.huggingface.request import TASK_BODY, ClassificationTask, parse_task
from whatsit.web.api.huggingface.response import LABELS_EXAMPLE, LabelAndScore, build_response
from whatsit.web.api.openapi import PICTURE_HEADERS
from whatsit.web.api.refusals import problem_responses
from whatsit.web.intake.intake import Intake
from whatsit.web.request_facts import facts_of

HUGGINGFACE_PATH = "/api/hf/models/{name}"


def build_huggingface(service: Service, intake: Intake, names: Sequence[str]) -> APIRouter:
    """The route for Hugging Face's clients.

    Args:
        service: Looks up or computes the answers.
        intake: Receives the pictures.
        names: Names of the model in the OpenAPI document.
    """
    router = APIRouter()
    bodies = LargeBodies()

    @router.post(
        HUGGINGFACE_PATH,
        summary="Image classification as Hugging Face's clients ask for it",
        response_model=list[LabelAndScore],
        responses={
            200: {
                "description": "The best labels, best first.",
                "headers": PICTURE_HEADERS,
                "content": {"application/json": {"example": LABELS_EXAMPLE}},
            },
            **problem_responses(*(400, 404, 408, 413, 415, 422, 500, 503), path=HUGGINGFACE_PATH),
        },
        openapi_extra=TASK_BODY,
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
                facts_of(request.scope).answer = reply
        return build_response(reply)

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
