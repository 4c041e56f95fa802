"""``/v2``: the Open Inference Protocol, which the clients of Triton, KServe and others speak."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope

from whatsit import __version__
from whatsit.errors import ImageTooLarge, InputError, UnknownModel
from whatsit.prediction import Reply
from whatsit.service.service import Service
from whatsit.web.api.batches import (
    ENVELOPE_BYTES,
    LargeBodies,
    answer_each,
    json_limit,
    require_served,
)
from whatsit.web.api.body import read_whole
from whatsit.web.api.oip.request import (
    HEADER_LENGTH,
    HEADER_PARAMETER,
    INFERENCE_BODY,
    InferenceRequest,
    parse_header_length,
    parse_request,
)
from whatsit.web.api.oip.response import (
    CONFIG_EXAMPLE,
    EXTENSIONS,
    INDEX_EXAMPLE,
    INFERENCE_RESPONSES,
    METADATA_EXAMPLE,
    MODEL_VERSION,
    IndexedModelDocument,
    InferenceDocument,
    LiveDocument,
    ModelConfigDocument,
    ModelMetadataDocument,
    ModelReadyDocument,
    ServerDocument,
    ServerReadyDocument,
    build_response,
    config_of,
    indexed,
    metadata_of,
    slowest,
)
from whatsit.web.api.openapi import ok
from whatsit.web.api.problems import problem_for
from whatsit.web.api.refusals import problem_responses
from whatsit.web.intake.intake import Intake
from whatsit.web.request_facts import facts_of

_MODEL_PATHS = {
    "": "/v2/models/{name}",
    "_of_version": "/v2/models/{name}/versions/{version}",
}
"""A client may name a version; there is one."""

_Parameters = list[dict[str, Any]]


def build_oip(service: Service, intake: Intake, names: Sequence[str]) -> APIRouter:
    """The routes of the protocol.

    Args:
        service: Looks up or computes the answers.
        intake: Receives the pictures.
        names: Names of the model in the OpenAPI document.
    """
    router = APIRouter()
    _add_server_routes(router, service)
    for suffix, path in _MODEL_PATHS.items():
        parameters = _path_parameters(names, path)
        _add_model_routes(router, service, path, suffix, parameters)
        _add_inference(router, service, intake, path, suffix, parameters)
    return router


def _add_server_routes(router: APIRouter, service: Service) -> None:
    server = ServerDocument(version=__version__, extensions=EXTENSIONS)

    @router.get(
        "/v2", summary="Open Inference Protocol: the server", responses=ok(server.model_dump())
    )
    async def oip_server() -> ServerDocument:
        return server

    @router.get(
        "/v2/health/live",
        summary="Open Inference Protocol: does the process answer?",
        responses=ok({"live": True}),
    )
    async def oip_live() -> LiveDocument:
        return LiveDocument(live=True)

    @router.get(
        "/v2/health/ready",
        summary="Open Inference Protocol: are pictures answered?",
        responses=ok({"ready": True}),
    )
    async def oip_ready() -> ServerReadyDocument:
        return ServerReadyDocument(ready=True)

    @router.post(
        "/v2/repository/index",
        summary="Open Inference Protocol: the models that answer",
        responses=ok(INDEX_EXAMPLE),
    )
    async def oip_index() -> list[IndexedModelDocument]:
        return [indexed(service.classifier.model.name)]


def _add_model_routes(
    router: APIRouter, service: Service, path: str, suffix: str, parameters: _Parameters
) -> None:
    extra = {"parameters": parameters}

    def responses(example: object) -> dict[int | str, dict[str, Any]]:
        return {**ok(example), **problem_responses(404, path=path)}

    @router.get(
        path,
        name=f"oip_model{suffix}",
        summary="Open Inference Protocol: what the model takes and gives",
        responses=responses(METADATA_EXAMPLE),
        openapi_extra=extra,
    )
    async def model(request: Request) -> ModelMetadataDocument:
        _require_model(service, request.path_params)
        served = service.classifier.model
        return metadata_of(served.name, served.fingerprint)

    @router.get(
        f"{path}/ready",
        name=f"oip_model_ready{suffix}",
        summary="Open Inference Protocol: does the model answer?",
        responses=responses({"name": METADATA_EXAMPLE["name"], "ready": True}),
        openapi_extra=extra,
    )
    async def model_ready(request: Request) -> ModelReadyDocument:
        _require_model(service, request.path_params)
        return ModelReadyDocument(name=service.classifier.model.name, ready=True)

    @router.get(
        f"{path}/config",
        name=f"oip_model_config{suffix}",
        summary="Open Inference Protocol: the model in the words of Triton",
        responses=responses(CONFIG_EXAMPLE),
        openapi_extra=extra,
    )
    async def model_config(request: Request) -> ModelConfigDocument:
        _require_model(service, request.path_params)
        return config_of(service.classifier.model.name)


def _add_inference(
    router: APIRouter,
    service: Service,
    intake: Intake,
    path: str,
    suffix: str,
    parameters: _Parameters,
) -> None:
    bodies = LargeBodies()

    @router.post(
        f"{path}/infer",
        name=f"oip_infer{suffix}",
        summary="Open Inference Protocol: say what pictures show",
        response_model=InferenceDocument,
        responses=INFERENCE_RESPONSES,
        openapi_extra={
            "parameters": [*parameters, HEADER_PARAMETER],
            "requestBody": INFERENCE_BODY,
        },
    )
    async def infer(request: Request) -> Response:
        _require_model(service, request.path_params)
        async with intake.take(request.scope, request.receive) as body:
            asked = await _read_request(service, request.scope, body, bodies)
            most = max(asked.top_k, *(wanted.classes or 1 for wanted in asked.outputs))
            replies: list[Reply] = []
            try:
                async for reply in answer_each(service, asked.pictures, body, most):
                    replies.append(reply)
            except InputError as error:
                return problem_for(error, _which(len(replies), len(asked.pictures)))
        facts_of(request.scope).answer = slowest(replies)
        return build_response(replies[0].prediction.model.name, asked, replies)


async def _read_request(
    service: Service, scope: Scope, receive: Receive, bodies: LargeBodies
) -> InferenceRequest:
    headers = Headers(scope=scope)
    json_bytes = parse_header_length(headers.getlist(HEADER_LENGTH))
    limit = service.max_upload_bytes
    most = json_limit(limit) if json_bytes is None else limit + ENVELOPE_BYTES
    try:
        body = await read_whole(scope, receive, most, reported=limit)
    except ImageTooLarge:
        raise ImageTooLarge(limit, several=True) from None
    parse = partial(parse_request, json_bytes=json_bytes, max_picture_bytes=limit)
    return await bodies.parse(body, parse)


def _which(answered: int, count: int) -> str:
    return f"Picture {answered + 1} of {count}: " if count > 1 else ""


def _require_model(service: Service, path: Mapping[str, str]) -> None:
    require_served(service, path["name"])
    version = path.get("version", MODEL_VERSION)
    if version != MODEL_VERSION:
        name = path["name"]
        raise UnknownModel(f"{name} version {version}", (f"{name} version {MODEL_VERSION}",))


def _path_parameters(names: Sequence[str], path: str) -> list[dict[str, Any]]:
    """The OpenAPI entries of the parameters in a path.

    Args:
        names: Of the model.
        path: With or without a version.
    """
    values = {"name": list(names), "version": [MODEL_VERSION]}
    return [
        {
            "name": parameter,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "enum": allowed},
            "example": allowed[0],
        }
        for parameter, allowed in values.items()
        if f"{{{parameter}}}" in path
    ]
