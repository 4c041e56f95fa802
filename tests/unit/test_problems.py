"""Every error has a code, an HTTP status and an exit code, and tells strangers no secrets."""

import json
import pkgutil
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

import whatsit
from whatsit.cli.exit import exit_code_of
from whatsit.errors import (
    AnswerUnknown,
    DatasetRejected,
    GateFailed,
    HostNotAllowed,
    ImageTooLarge,
    ImageTooManyPixels,
    ImageUnreadable,
    ImageUnsupported,
    InferenceFailed,
    InputError,
    InvalidModelCard,
    InvalidParameter,
    ModelNotReady,
    ModelUnavailable,
    Overloaded,
    RateLimited,
    RequestTooSlow,
    SettingsError,
    Unauthorized,
    UnknownModel,
    UrlsOff,
    UrlUnreachable,
    WeightsRejected,
    WhatsitError,
)
from whatsit.web.api.problems import (
    MEDIA_TYPE,
    STATUS_BY_ERROR,
    problem,
    problem_for,
    report,
    title_of,
)

# Both act when they are imported: one is the program, the other a script of Streamlit's.
PROGRAMS = {"whatsit.__main__", "whatsit.web.ui.app"}


def descendants(kind: type[WhatsitError]) -> Iterator[type[WhatsitError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from descendants(child)


@pytest.fixture(scope="module")
def errors() -> list[type[WhatsitError]]:
    """All errors of all our modules, the base included; private ones never leave their module."""
    for module in pkgutil.walk_packages(whatsit.__path__, "whatsit."):
        if module.name not in PROGRAMS:
            import_module(module.name)
    return [
        kind
        for kind in descendants(WhatsitError)
        if kind.__module__.startswith("whatsit.") and not kind.__name__.startswith("_")
    ]


def document(error: WhatsitError) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(bytes(problem_for(error).body))
    return content


# All errors


def test_all_errors_live_in_one_module(errors):
    assert len(errors) > 10
    assert {kind.__module__ for kind in errors} == {"whatsit.errors"}


def test_every_error_has_a_code_of_its_own(errors):
    codes = Counter(kind.code for kind in errors)

    assert all("code" in vars(kind) for kind in errors)
    assert [code for code, count in codes.items() if count > 1] == []


def test_every_error_says_in_one_line_what_it_means(errors):
    assert [kind.__name__ for kind in errors if not (kind.__doc__ or "").strip()] == []


def test_what_the_caller_did_is_answered_with_a_4xx(errors):
    kinds = [kind for kind in errors if issubclass(kind, InputError) and kind is not InputError]

    assert len(kinds) >= 6
    assert [k.__name__ for k in kinds if not 400 <= STATUS_BY_ERROR.get(k, 0) < 500] == []


def test_only_what_the_caller_did_is_answered_with_a_4xx():
    blamed = [kind for kind, status in STATUS_BY_ERROR.items() if 400 <= status < 500]

    assert all(issubclass(kind, InputError) for kind in blamed)


def test_every_error_has_an_exit_code_that_is_not_success(errors):
    codes = {kind.__name__: exit_code_of(kind.__new__(kind)) for kind in errors}

    assert all(1 <= code <= 125 for code in codes.values()), codes


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (ImageUnreadable("x"), 1),
        (InvalidParameter("x"), 1),
        (UnknownModel("x", ()), 2),
        (SettingsError("x"), 2),
        (WeightsRejected("x"), 3),
        (ModelUnavailable("x"), 3),
        (WhatsitError("x"), 4),
        (DatasetRejected("x"), 5),
        (GateFailed("x"), 6),
    ],
)
def test_the_exit_code_tells_who_can_act(error, exit_code):
    assert exit_code_of(error) == exit_code


# Problem documents


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ImageUnreadable("It is cut short."), 400, "image_unreadable"),
        (UnknownModel("resnet", ("resnet50",)), 404, "unknown_model"),
        (ImageTooLarge(20_000_000), 413, "image_too_large"),
        (ImageTooManyPixels(50_000_000), 413, "image_too_many_pixels"),
        (ImageUnsupported("a PDF document"), 415, "image_unsupported"),
        (InvalidParameter("top_k is 0."), 422, "invalid_parameter"),
        (ModelNotReady("It is still being loaded."), 503, "not_ready"),
        (Unauthorized("There is no such key."), 401, "unauthorized"),
        (HostNotAllowed("This is not that host."), 421, "host_not_allowed"),
        (RateLimited("120 requests a minute", 3), 429, "rate_limited"),
        (RequestTooSlow("The picture did not arrive."), 408, "request_too_slow"),
        (Overloaded(2), 503, "overloaded"),
        (AnswerUnknown(), 404, "answer_unknown"),
        (UrlsOff(), 403, "urls_off"),
        (UrlUnreachable(), 422, "url_unreachable"),
    ],
)
def test_an_error_becomes_a_document_with_its_sentence(error, status, code):
    response = problem_for(error)

    assert (response.status_code, response.media_type) == (status, MEDIA_TYPE)
    assert document(error) == {
        "type": f"urn:whatsit:problem:{code}",
        "title": document(error)["title"],
        "status": status,
        "detail": error.detail,
        "code": code,
    }
    assert document(error)["title"]


@pytest.mark.parametrize(
    ("status", "title"),
    [
        (400, "Bad Request"),
        (413, "Content Too Large"),
        (414, "URI Too Long"),
        (416, "Range Not Satisfiable"),
        (422, "Unprocessable Content"),
        (503, "Service Unavailable"),
    ],
)
def test_the_title_does_not_depend_on_the_version_of_python(status, title):
    assert title_of(status) == title


def test_who_should_wait_is_told_how_long():
    assert problem_for(ModelNotReady("It is still being loaded.")).headers["Retry-After"] == "1"
    assert problem_for(Overloaded(0.02)).headers["Retry-After"] == "1"
    assert problem_for(RateLimited("1/minute", 58.2)).headers["Retry-After"] == "59"
    assert "Retry-After" not in problem_for(ImageUnreadable("It is cut short.")).headers


def test_who_needs_a_key_is_told_how_to_send_it():
    assert problem_for(Unauthorized("x")).headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "error",
    [
        InferenceFailed("secret"),
        InvalidModelCard("secret"),
        WeightsRejected("secret"),
        SettingsError("secret"),
        WhatsitError("secret"),
    ],
)
def test_what_is_our_own_fault_is_not_explained_to_strangers(error):
    response = problem_for(error)

    assert response.status_code == 500
    assert b"secret" not in bytes(response.body)
    assert document(error)["code"] == error.code


def test_what_is_our_own_fault_is_logged_and_what_the_caller_did_is_not(caplog):
    report(ImageUnreadable("It is cut short."))
    report(Overloaded())
    assert caplog.records == []

    assert report(InferenceFailed("the reason")).status_code == 500
    assert "the reason" in caplog.text


def test_every_error_without_a_status_is_our_own_fault(errors):
    for kind in set(errors) - set(STATUS_BY_ERROR):
        assert problem_for(kind("secret")).status_code == 500, kind


def test_a_problem_is_readable_in_any_language():
    assert "größer" in bytes(problem(413, "image_too_large", "größer").body).decode()


def test_a_problem_may_carry_headers():
    assert problem(429, "rate_limited", "Wait.", {"Retry-After": "7"}).headers["Retry-After"] == "7"
