"""The API as ASGI applications: its most used route, and all others."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from whatsit import __version__
from whatsit.errors import WhatsitError
from whatsit.running import Running
from whatsit.web.api.answers import build_answers_router
from whatsit.web.api.batches import MODEL_ALIAS, served_names
from whatsit.web.api.classify import Classify
from whatsit.web.api.drift import build_drift_router
from whatsit.web.api.explain import build_explain_router
from whatsit.web.api.feedback.routes import build_feedback_router
from whatsit.web.api.fetching.fetcher import open_fetcher
from whatsit.web.api.health import build_health_router
from whatsit.web.api.huggingface.routes import build_huggingface
from whatsit.web.api.labels import build_labels_router
from whatsit.web.api.models import build_models_router
from whatsit.web.api.oip.routes import build_oip
from whatsit.web.api.openapi import DESCRIPTION
from whatsit.web.api.problems import problem, report, unexpected
from whatsit.web.api.schemas import ErrorDocument, ProblemDocument
from whatsit.web.intake.intake import Intake
from whatsit.web.journal import CLIENT_LEFT


def build_classify(running: Running, intake: Intake) -> Classify:
    """The most used route of one running service's API.

    Args:
        running: Its service answers.
        intake: Receives the pictures.
    """
    max_rendered = running.settings.cache_memory_entries
    fetcher = open_fetcher(running.settings)
    corrections = () if running.feedback is None else (running.feedback.get,)
    return Classify(running.service, intake, max_rendered, fetcher, *corrections)


def build_api(running: Running, intake: Intake) -> FastAPI:
    """The API of one running service: all other routes, and a description of that one as well.

    It does not answer HEAD; see `HeadAsGet`.

    Args:
        running: Whose service answers.
        intake: Through which the pictures come.
    """
    # The documentation of this one needs no other host.
    api = FastAPIOffline(
        title="whatsit",
        summary="Show it a picture; it tells you what it is, in words.",
        version=__version__,
        openapi_url="/api/openapi.json",
        docs_url="/api/docs",
        redoc_url=None,
        static_url="/api/docs-assets",
        swagger_ui_oauth2_redirect_url="/api/docs/oauth2-redirect",
        description=DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        generate_unique_id_function=lambda route: route.name,
        # A path is right or wrong; a redirect would name whatever host the request named.
        redirect_slashes=False,
    )
    api.include_router(build_answers_router(running))
    api.include_router(build_explain_router(running.service, intake))
    api.include_router(build_models_router(running))
    api.include_router(build_health_router(running))
    # Of a model that may change at any moment, only the name that stays is worth describing.
    names = served_names(running.service) if running.follower is None else (MODEL_ALIAS,)
    api.include_router(build_huggingface(running.service, intake, names))
    api.include_router(build_oip(running.service, intake, names))
    api.include_router(build_feedback_router(running, intake))
    api.include_router(build_labels_router(running.service))
    api.include_router(build_drift_router(running))
    _name_problems(api)
    api.add_exception_handler(WhatsitError, _answer_error)
    api.add_exception_handler(ClientDisconnect, _answer_nobody)
    api.add_exception_handler(RequestValidationError, _answer_invalid_parameter)
    api.add_exception_handler(HTTPException, _answer_http_error)
    api.add_exception_handler(Exception, _answer_unexpected)
    return api


def _name_problems(api: FastAPI) -> None:
    """Give the problem document, which all refusals share, its place in the OpenAPI document."""
    build = api.openapi

    def openapi() -> dict[str, Any]:
        document = build()
        schemas = document["components"]["schemas"]
        for problem_schema in (ProblemDocument, ErrorDocument):
            schemas[problem_schema.__name__] = problem_schema.model_json_schema()
        return document

    api.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way


async def _answer_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, WhatsitError)
    return report(error)


async def _answer_nobody(request: Request, error: Exception) -> Response:
    # Not an error of ours, which it would be counted as; it reaches only the log and the metrics.
    return Response(status_code=CLIENT_LEFT)


async def _answer_invalid_parameter(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    complaint = error.errors()[0]
    name = str(complaint["loc"][-1])
    detail = f"{name}: {complaint['msg']}."
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_parameter", detail)


async def _answer_unexpected(request: Request, error: Exception) -> Response:
    # It is raised again for the log of requests.
    return unexpected()


async def _answer_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.NOT_FOUND:
        return problem(
            HTTPStatus.NOT_FOUND, "not_found", f"There is nothing at {request.url.path}."
        )
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = (error.headers or {}).get("Allow", "another method")
        detail = f"{request.url.path} does not take {request.method}; it takes {allowed}."
        headers = {"Allow": allowed.replace("GET", "GET, HEAD")}
        return problem(error.status_code, "method_not_allowed", detail, headers)
    code = HTTPStatus(error.status_code).name.lower()
    return problem(error.status_code, code, str(error.detail), error.headers)
