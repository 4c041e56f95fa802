"""The requests to a server and the meaning of its answers, without sending anything."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from typing import Any, TypeVar

import httpx

from whatsit import documents
from whatsit.client.pictures import Picture
from whatsit.client.retries import PASSING_STATUSES, Attempts, asked_pause, is_passing
from whatsit.errors import InvalidParameter, ServerError, ServerUnreachable, WhatsitError
from whatsit.outgoing import find_proxy, trusted_certificates
from whatsit.prediction import CacheMode, ModelId, Reply

DEFAULT_URL = "http://localhost:8501"
DEFAULT_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome for one picture of many: either `reply` or `error` is set.

    Attributes:
        index: Position among the pictures, from 0.
        picture: As it was given.
        reply: The answer.
        error: Why there is none; a file that can't be read is an `OSError`.
    """

    index: int
    picture: Picture
    reply: Reply | None = None
    error: WhatsitError | OSError | None = None


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model that a server could serve.

    Attributes:
        name: For ``WHATSIT_MODEL``.
        description: One sentence.
        licence: Of its weights.
        present: True if its weights are on the server's machine.
        serving: True if it answers now.
    """

    name: str
    description: str
    licence: str
    present: bool
    serving: bool


@dataclass(frozen=True, slots=True)
class Models:
    """The models of a server.

    Attributes:
        requested: The model that was asked for when it started.
        serving: The one that answers.
        note: Why that is another one, if it is.
        known: All that could be served.
        serving_since: Since when the process that was asked has answered with it, RFC 3339; None
            where the server does not say.
        canary: Name of a model that answers a share of the pictures; None where there is none.
    """

    requested: str
    serving: ModelId
    note: str | None
    known: tuple[KnownModel, ...]
    serving_since: str | None = None
    canary: str | None = None


_Built = TypeVar("_Built", Reply, Models)


@dataclass(frozen=True, slots=True)
class Request:
    """One request to a server."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    accept: str = "application/json"

    @property
    def options(self) -> dict[str, Any]:  # the arguments of `httpx.Client.request`
        """As arguments of httpx."""
        headers = {"Accept": self.accept}
        if self.content is not None:
            headers["Content-Type"] = "application/octet-stream"
        return {
            "method": self.method,
            "url": self.path,
            "params": self.params,
            "content": self.content,
            "headers": headers,
        }


READY = Request("GET", "/readyz")
MODELS = Request("GET", "/api/v1/models")


def classify_request(image_bytes: bytes, top_k: int, cache: CacheMode) -> Request:
    """The request for the answer to a picture."""
    params = {"top_k": str(top_k), "cache": cache}
    return Request("POST", "/api/v1/classify", params, image_bytes)


def explain_request(image_bytes: bytes, label: str | int | None) -> Request:
    """The request for a heat map over a picture, as PNG."""
    params = {"format": "png"} | ({} if label is None else {"label": str(label)})
    return Request("POST", "/api/v1/explain", params, image_bytes, "image/png")


@dataclass(frozen=True, slots=True)
class Target:
    """A server and the options for its requests.

    Attributes:
        url: Its address, without a password.
        options: The arguments of `httpx.Client`.
    """

    url: str
    timeout_seconds: float
    options: dict[str, Any]  # they belong to httpx


def parse_target(url: str, key: str | None, timeout_seconds: float) -> Target:
    """Prepare the requests to a server.

    Raises:
        InvalidParameter: The address or the key is malformed.
        SettingsError: The environment names a proxy or certificates that can't be used.
    """
    try:
        address = httpx.URL(url)
    except (httpx.InvalidURL, TypeError) as error:
        raise InvalidParameter(_no_address(url)) from error
    # httpx escapes what no host name has, such as a space, where it could refuse it.
    if address.scheme not in ("http", "https") or not address.host or "%" in address.host:
        raise InvalidParameter(_no_address(url))
    # In a header of its own: the other one may hold the password of a proxy, from the address.
    headers = {"User-Agent": "whatsit-client"}
    if key is not None:
        headers["X-API-Key"] = _require_key(key)
    shown = str(address.copy_with(username=None, password=None, query=None, fragment=None))
    options = {
        "base_url": address,
        "headers": headers,
        "timeout": httpx.Timeout(timeout_seconds, pool=None),
        "verify": trusted_certificates() if address.scheme == "https" else False,
        # Read here, because httpx fails over entries that do not concern this server.
        "trust_env": False,
        "proxy": find_proxy(address),
    }
    return Target(shown.rstrip("/"), timeout_seconds, options)


def read_reply(response: httpx.Response, target: Target) -> Reply:
    """The answer that a response holds.

    Raises:
        ServerError: It holds none.
    """
    return _read(response, target, documents.read_reply)


def read_models(response: httpx.Response, target: Target) -> Models:
    """The models that a response lists.

    Raises:
        ServerError: It lists none.
    """
    return _read(response, target, _build_models)


def judge(
    result: httpx.Response | httpx.RequestError, attempts: Attempts, target: Target
) -> tuple[WhatsitError, float | None]:
    """The error of a failed attempt, and the pause before the next one, seconds.

    Returns:
        None instead of a pause where the error is to be raised now.
    """
    if isinstance(result, httpx.Response):
        is_worth_it, asked_seconds = result.status_code in PASSING_STATUSES, asked_pause(result)
        error = read_failure(result, target)
    else:
        is_worth_it, asked_seconds = is_passing(result), None
        error = describe_silence(result, target)
        error.__cause__ = result
    return error, attempts.next_pause(asked_seconds) if is_worth_it else None


def read_failure(response: httpx.Response, target: Target) -> WhatsitError:
    """The error in a response: the class that its ``code`` names, with its sentence."""
    document = _document_of(response)
    code, detail = document.get("code"), document.get("detail")
    error: WhatsitError
    kind = _known_errors().get(code) if isinstance(code, str) else None
    if kind is not None and isinstance(detail, str):
        # Only the server knows the arguments of such an error.
        error = kind.__new__(kind, detail)
    else:
        status = response.status_code
        said = detail if isinstance(detail, str) else f"{target.url} answered {_status(status)}."
        if response.is_redirect:
            said = f"{target.url} redirects ({status}); use the address that it redirects to."
        server_code = code if isinstance(code, str) else None
        error = ServerError(said, status=status, server_code=server_code)
    error.retry_after_seconds = asked_pause(response)
    return error


def describe_silence(error: httpx.RequestError, target: Target) -> ServerUnreachable:
    """The error for a request without an answer."""
    if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError):
        return ServerUnreachable(f"Nothing answers at {target.url}. Is the server running?")
    if isinstance(error, httpx.TimeoutException):
        return ServerUnreachable(
            f"{target.url} was silent for {target.timeout_seconds:g} s. Try again later."
        )
    return ServerUnreachable(f"The connection to {target.url} broke. Try again.")


def _read(
    response: httpx.Response, target: Target, build: Callable[[Mapping[str, Any]], _Built]
) -> _Built:
    try:
        return build(response.json())
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ServerError(
            f"{target.url} does not answer like whatsit. "
            "Check the address, and that this client is as new as the server.",
            status=response.status_code,
        ) from error


def _build_models(document: Mapping[str, Any]) -> Models:
    known = tuple(
        KnownModel(
            documents.require_text(entry["name"]),
            entry["description"],
            entry["licence"],
            bool(entry["present"]),
            bool(entry["serving"]),
        )
        for entry in document["models"]
    )
    serving = documents.read_model(document["serving"])
    canary = (document.get("live") or {}).get("canary") or {}
    return Models(
        documents.require_text(document["requested"]),
        serving,
        document["note"],
        known,
        document.get("serving_since"),
        canary.get("name"),
    )


def _document_of(response: httpx.Response) -> Mapping[str, object]:
    try:
        document = response.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


@cache
def _known_errors() -> Mapping[str, type[WhatsitError]]:
    found: dict[str, type[WhatsitError]] = {}
    kinds = list(WhatsitError.__subclasses__())
    while kinds:
        kind = kinds.pop()
        if not issubclass(kind, ServerError):
            found[kind.code] = kind
            kinds += kind.__subclasses__()
    return found


def _require_key(key: str) -> str:
    key = key.strip()
    if not key.isascii() or not key.isprintable() or not key:
        raise InvalidParameter(
            "This is not an API key: it contains characters that keys never have."
        )
    return key


def _no_address(url: object) -> str:
    del url  # it may hold a password
    return f"This is not the address of a server. An address looks like {DEFAULT_URL}."


def _status(status: int) -> str:
    try:
        return f"{status} ({HTTPStatus(status).phrase})"
    except ValueError:
        return str(status)
