"""Everything that can go wrong, named by who can act on it.

Each error carries a stable ``code`` for programs, a sentence for people and its facts as
attributes. ``web/api/problems.py`` maps errors to HTTP, ``cli/exit.py`` to exit codes. A client
that gets an error from a server has its sentence only: the facts are None.
"""

import math
from typing import ClassVar, Literal


class WhatsitError(Exception):
    """Base of every error that whatsit raises on purpose."""

    code: ClassVar[str] = "internal"
    retry_after_seconds: float | None = None
    """How long to wait before the same request may succeed; None where waiting does not help."""

    @property
    def detail(self) -> str:
        """The sentence for people: what happened, the limit, what to do."""
        return str(self)


class InputError(WhatsitError):
    """The caller sent something that can't be answered; sending something else helps."""

    code = "invalid_input"


class ImageUnreadable(InputError):
    """The bytes are not a whole picture."""

    code = "image_unreadable"


class ImageUnsupported(InputError):
    """The bytes are a document, or a picture in a format that is not supported."""

    code = "image_unsupported"
    kind: str | None = None

    def __init__(self, kind: str) -> None:
        super().__init__(
            f"This is {kind}, which can't be read here. "
            "Send a JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF picture."
        )
        self.kind = kind


class ImageTooLarge(InputError):
    """The bytes are more than the limit."""

    code = "image_too_large"
    limit_bytes: int | None = None

    def __init__(self, limit_bytes: int, *, several: bool = False) -> None:
        what, it = ("pictures together are", "them") if several else ("picture is", "it")
        super().__init__(
            f"The {what} larger than {_in_words(limit_bytes, 'MB', 'bytes')} "
            f"(WHATSIT_MAX_UPLOAD_BYTES). Make {it} smaller and try again."
        )
        self.limit_bytes = limit_bytes


class ImageTooManyPixels(InputError):
    """The picture would have more pixels than the limit once decoded."""

    code = "image_too_many_pixels"
    limit_pixels: int | None = None
    pixels: int | None = None

    def __init__(
        self, limit_pixels: int, pixels: int | None = None, kind: str | None = None
    ) -> None:
        if kind is not None:
            # Where memory sets the limit, its last digits mean nothing to people.
            limit_pixels = limit_pixels // 100_000 * 100_000 or limit_pixels
        size = "too many pixels"
        if pixels is not None:
            # Rounded up, it is always more than the limit.
            shown = math.ceil(pixels / 1e5) * 100_000 if _is_round(limit_pixels) else pixels
            size = _in_words(shown, "megapixels", "pixels")
        super().__init__(
            f"The picture has {size}; "
            f"the limit is {_in_words(limit_pixels, 'megapixels', 'pixels')} "
            f"{f'for {kind} ' if kind else ''}(WHATSIT_MAX_PIXELS). Make it smaller and try again."
        )
        self.limit_pixels = limit_pixels
        self.pixels = pixels


class InvalidParameter(InputError):
    """A parameter lies outside its range."""

    code = "invalid_parameter"


class Unauthorized(InputError):
    """An API key is missing, unknown or revoked."""

    code = "unauthorized"


class HostNotAllowed(InputError):
    """The request names a host that is not served here."""

    code = "host_not_allowed"


class RateLimited(InputError):
    """The caller has sent more requests than allowed."""

    code = "rate_limited"
    limit: str | None = None

    def __init__(self, limit: str, retry_after_seconds: float) -> None:
        super().__init__(
            f"That was more than {limit}. Try again in {math.ceil(retry_after_seconds)} s."
        )
        self.limit = limit
        self.retry_after_seconds = retry_after_seconds


class RequestTooSlow(InputError):
    """The body of the request did not arrive in time."""

    code = "request_too_slow"


class MalformedRequest(InputError):
    """The request is not HTTP, or repeats a header that may occur only once."""

    code = "malformed_request"


class HeadTooLarge(InputError):
    """The request line and the headers of a request have more bytes than the limit."""

    code = "head_too_large"


class BodyPacked(InputError):
    """The body of the request is compressed."""

    code = "body_packed"
    packing: str | None = None

    def __init__(self, packing: str) -> None:
        super().__init__(
            f"The body is compressed (Content-Encoding: {packing!r:.40}). Send it uncompressed."
        )
        self.packing = packing


class AnswerUnknown(InputError):
    """The answer to this picture is not kept, or no longer."""

    code = "answer_unknown"

    def __init__(self) -> None:
        super().__init__("The answer to this picture is no longer kept. Send the picture again.")


class UrlsOff(InputError):
    """Fetching pictures from addresses is switched off; the operator can switch it on."""

    code = "urls_off"

    def __init__(self) -> None:
        super().__init__("Fetching is switched off (WHATSIT_FETCH_URLS). Send the picture itself.")


class UrlUnreachable(InputError):
    """No picture was fetched from an address."""

    code = "url_unreachable"

    def __init__(self) -> None:
        # The sentence is always the same: a reason would reveal the network around the server.
        super().__init__(
            "No picture could be fetched: the address is not public, does not answer in time, or "
            "is not that of a picture. Open it in a browser, save the picture and send that."
        )


class UnknownModel(InputError):
    """No model of that name is in the catalogue or the store."""

    code = "unknown_model"
    name: str | None = None
    known: tuple[str, ...] = ()

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"There is no model called {name!r}. Known: {', '.join(known)}.")
        self.name = name
        self.known = known


class OriginNotAllowed(InputError):
    """A page of another site sent the request."""

    code = "origin_not_allowed"


class FeedbackUnknown(InputError):
    """The correction does not exist, or no longer."""

    code = "feedback_unknown"

    def __init__(self, correction_id: str) -> None:
        super().__init__(f"There is no correction {correction_id!r}; it may have been undone.")
        self.correction_id = correction_id


class FeedbackFull(InputError):
    """The limit of corrections is reached; the operator can raise it."""

    code = "feedback_full"
    limit: int | None = None

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"The limit of {limit:,} corrections is reached (WHATSIT_FEEDBACK_MAX_CORRECTIONS). "
            "This one was not kept; ask the operator."
        )
        self.limit = limit


class LabelUnknown(InputError):
    """No label has that WordNet id."""

    code = "label_unknown"

    def __init__(self, wnid: str) -> None:
        super().__init__(f"The model has no label with the WordNet id {wnid!r}.")
        self.wnid = wnid


class ModelError(WhatsitError):
    """The model can't be used as it is; the operator can act."""

    code = "model"


class ModelNotReady(ModelError):
    """The model is still being loaded."""

    code = "not_ready"
    retry_after_seconds = 1.0


class InvalidModelCard(ModelError):
    """A model card has an unknown key or an impossible value."""

    code = "invalid_model_card"


class WeightsRejected(ModelError):
    """A weights file is missing, or is not the file its card promises."""

    code = "weights_rejected"


class ModelUnavailable(ModelError):
    """A model could not be downloaded from any of its addresses."""

    code = "model_unavailable"


class InferenceFailed(ModelError):
    """The engine refused the model or failed while running it."""

    code = "inference"


class Overloaded(WhatsitError):
    """Too many pictures are waiting; try again in a moment."""

    code = "overloaded"

    def __init__(
        self, retry_after_seconds: float = 1.0, *, reason: str = "Too many pictures are waiting."
    ) -> None:
        super().__init__(f"{reason} Try again in {math.ceil(retry_after_seconds)} s.")
        self.retry_after_seconds = retry_after_seconds


class TooManyConnections(WhatsitError):
    """One address, or all together, have too many connections open."""

    code = "too_many_connections"
    retry_after_seconds = 5.0

    def __init__(self) -> None:
        super().__init__("Too many connections are open. Reuse one, or try again in 5 s.")


class PageBusy(WhatsitError):
    """One address, or all together, have too many pages open or asked for at once."""

    code = "page_busy"
    retry_after_seconds: float

    def __init__(self, reason: str, retry_after_seconds: float = 5.0) -> None:
        super().__init__(f"{reason} This page waits and opens by itself.")
        self.retry_after_seconds = retry_after_seconds


class FeedbackUnavailable(WhatsitError):
    """Corrections can't be kept or read now; answers are not affected."""

    code = "feedback_unavailable"
    retry_after_seconds = 5.0

    def __init__(self, reason: str) -> None:
        super().__init__("Corrections can't be kept or read now. Try again in a few seconds.")
        self.reason = reason
        """For the log and the operator: it may name addresses."""


class ServerError(WhatsitError):
    """A server failed, or sent an answer that the client does not understand."""

    code = "server"

    def __init__(
        self, detail: str, *, status: int | None = None, server_code: str | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.server_code = server_code


class ServerUnreachable(ServerError):
    """A server did not answer."""

    code = "server_unreachable"


class SettingsError(WhatsitError):
    """A setting is unknown or outside its range; whatsit does not start."""

    code = "settings"


class StoreUnusable(SettingsError):
    """The store can't be read or written; the operator can act."""

    code = "store_unusable"


CacheFailure = Literal["unreachable", "paused", "refused", "damaged", "dropped"]
"""Redis does not answer; is left alone after a failure; refuses (full, no right); holds a damaged
entry; or is too slow to take all that is to be written."""


class CacheError(WhatsitError):
    """The cache failed. Never leaves the service: the answer is computed instead."""

    code = "cache"

    def __init__(self, detail: str, failure: CacheFailure = "unreachable") -> None:
        super().__init__(detail)
        self.failure = failure


class PipelineError(WhatsitError):
    """A step of the model pipeline can't go on; the author of the model can act."""

    code = "pipeline"


class DatasetRejected(PipelineError):
    """A set of labelled pictures can't be used as it is."""

    code = "dataset_rejected"


class GateFailed(PipelineError):
    """A model is not good or not fast enough to go live, so nothing was changed."""

    code = "gate_failed"


class NothingToRollBack(PipelineError):
    """There is no earlier live model to return to."""

    code = "nothing_to_roll_back"


def _is_round(number: int) -> bool:
    """True if the number reads exactly as millions with one decimal."""
    return number >= 1_000_000 and number % 100_000 == 0


def _in_words(number: int, millions: str, ones: str) -> str:
    if not _is_round(number):
        return f"{number:,} {ones}"
    return f"{number / 1e6:,.1f} {millions}".replace(".0 ", " ")
