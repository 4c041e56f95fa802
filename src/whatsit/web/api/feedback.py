"""The routes that take corrections, and undo them."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError, field_validator
from starlette.datastructures import UploadFile
from starlette.responses import Response
from starlette.types import Receive, Scope

from whatsit.errors import FeedbackUnavailable, InvalidParameter
from whatsit.feedback.correction import MAX_LABEL_CHARACTERS, CorrectedAnswer, Record, Verdict
from whatsit.images.decode import decode_image
from whatsit.labels.label_set import clean_label
from whatsit.labels.search import FoundLabel, LabelSearch
from whatsit.picture import Picture
from whatsit.running import Running
from whatsit.web.api.body import FILE_FIELD, is_form, media_type_of, open_form, read_text
from whatsit.web.api.classify import describe_correction
from whatsit.web.api.openapi import (
    FEEDBACK_BODY,
    FEEDBACK_EXAMPLE,
    NO_CORRECTION,
    NO_FEEDBACK,
    NO_ROOM,
    OTHER_ORIGIN,
    REQUEST_ID_HEADER,
    problem_responses,
)
from whatsit.web.api.patience import Errands
from whatsit.web.api.schemas import FeedbackDocument
from whatsit.web.caller import caller_of
from whatsit.web.intake.intake import Intake
from whatsit.web.request_facts import facts_of

_MAX_DOCUMENT_BYTES = 10_000
_PREVIEW_PIXELS = 64


class _Said(BaseModel):
    """What a request says about a picture."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    verdict: Verdict
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    label: (
        Annotated[
            str,
            StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_LABEL_CHARACTERS),
        ]
        | None
    ) = None
    wnid: Annotated[str, StringConstraints(pattern=r"^n[0-9]{8}$")] | None = None

    @field_validator("label")
    @classmethod
    def _is_a_name(cls, label: str | None) -> str | None:
        # A table that is opened as a spreadsheet takes what begins with a sign for a formula.
        if label is not None and not (label.isprintable() and label[0].isalnum()):
            raise ValueError("it must be printable, and begin with a letter or a digit")
        return None if label is None else clean_label(label)


@dataclass(frozen=True, slots=True)
class _Received:
    said: _Said
    sha256: str
    image_bytes: bytes | None


def build_feedback_router(running: Running, intake: Intake) -> APIRouter:
    """The routes about the corrections of one running service."""
    router = APIRouter()
    errands = Errands()
    takes = _Takes(running)

    @router.post(
        "/api/v1/feedback",
        summary="Say that an answer is right, or what is",
        status_code=201,
        response_model=FeedbackDocument,
        responses={
            201: {
                "description": "The correction was kept.",
                "headers": REQUEST_ID_HEADER,
                "content": {"application/json": {"example": FEEDBACK_EXAMPLE}},
            },
            **problem_responses(
                *(400, 408, 413, 415, 422, 500, 503), also=(OTHER_ORIGIN, NO_ROOM, NO_FEEDBACK)
            ),
        },
        openapi_extra=FEEDBACK_BODY,
    )
    async def add_feedback(request: Request) -> FeedbackDocument:
        async with intake.take(request.scope, request.receive) as body:
            received = await _read(request.scope, body, running)
            image_format = await takes.inspect(received.image_bytes)
            who = facts_of(request.scope).key_name
            caller = caller_of(request.scope)
            work = partial(takes.keep, received, image_format, who, caller)
            record = await errands.run(work)
        answered = record.answered
        model = None if answered is None else answered.model
        running.telemetry.corrected(record.correction.verdict, model)
        return FeedbackDocument(
            **describe_correction(record.correction),
            sha256=record.correction.sha256,
            picture_kept=record.picture_format is not None,
        )

    @router.delete(
        "/api/v1/feedback/{id}",
        summary="Undo a correction",
        status_code=204,
        response_class=Response,
        responses={
            204: {"description": "It is gone, with its picture.", "headers": REQUEST_ID_HEADER},
            **problem_responses(422, also=(OTHER_ORIGIN, NO_CORRECTION, NO_FEEDBACK)),
        },
    )
    async def undo_feedback(
        request: Request,
        correction_id: Annotated[
            str,
            Path(
                alias="id",
                pattern="^[0-9a-f]{16}$",
                description="As in the answer to the correction.",
                examples=["0123456789abcdef"],
            ),
        ],
    ) -> Response:
        await errands.run(partial(takes.undo, correction_id))
        return Response(status_code=204)

    return router


class _Takes:
    """What the routes do with a correction once they have read it."""

    def __init__(self, running: Running) -> None:
        self._running = running

    async def inspect(self, image_bytes: bytes | None) -> str | None:
        """The format of a picture that is to be kept; None where there is none.

        Raises:
            InputError: It is no picture that can be answered.
            Overloaded: Too many pictures wait already.
        """
        if image_bytes is None:
            return None
        service = self._running.service
        decode = partial(
            decode_image,
            image_bytes,
            shorter_side=_PREVIEW_PIXELS,
            max_bytes=service.max_upload_bytes,
            max_pixels=service.max_pixels,
        )
        return (await asyncio.wrap_future(service.workers.submit(decode))).format

    def keep(
        self, received: _Received, image_format: str | None, who: str | None, caller: str
    ) -> Record:
        """Keep a correction, and its picture where there is one."""
        from whatsit.feedback.store import NewCorrection
        from whatsit.feedback.store import Picture as KeptPicture

        feedback = self._running.feedback
        if feedback is None:
            raise FeedbackUnavailable("Nobody can make corrections here.")
        # Somebody may look at an answer for a while in which another model goes live.
        reply = self._running.service.find(received.sha256, any_model=True)
        answered = None if reply is None else CorrectedAnswer.of(reply.prediction)
        label, wnid = self._label_of(received, answered)
        picture = None
        if received.image_bytes is not None and image_format is not None:
            picture = KeptPicture(received.image_bytes, image_format)
        new = NewCorrection(received.sha256, received.said.verdict, label, wnid, answered, who)
        return feedback.add(new, picture, caller)

    def undo(self, correction_id: str) -> None:
        """Delete a correction."""
        if self._running.feedback is None:
            raise FeedbackUnavailable("Nobody can make corrections here.")
        self._running.feedback.undo(correction_id)

    def _label_of(
        self, received: _Received, answered: CorrectedAnswer | None
    ) -> tuple[str | None, str | None]:
        """Label and WordNet id as the model has them; own labels as they were written."""
        said = received.said
        if said.verdict == "none":
            return None, None
        if said.wnid is not None:
            wnid = said.wnid
            found = self._look_up(received.sha256, lambda search: search.find(wnid))
            if found is None:
                raise InvalidParameter(f"wnid: The model has no label with the id {said.wnid!r}.")
            return found.entry.label, found.entry.wnid
        if said.label is not None:
            label = said.label
            found = self._look_up(received.sha256, lambda search: search.named(label))
            return (found.entry.label, found.entry.wnid) if found else (said.label, None)
        return (answered.label, answered.wnid) if answered else (None, None)

    def _look_up(
        self, sha256: str, look: Callable[[LabelSearch], FoundLabel | None]
    ) -> FoundLabel | None:
        """A label of the model that answers the picture, else of another one that answers."""
        line_up = self._running.service.line_up
        for serving in (line_up.choose(sha256), *line_up.servings):
            if (found := look(serving.label_search)) is not None:
                return found
        return None


async def _read(scope: Scope, receive: Receive, running: Running) -> _Received:
    """What a request says, and the picture if it brings one.

    Raises:
        InputError: It is not in the form of the contract.
        ClientDisconnect: The client has left.
    """
    image_bytes: bytes | None = None
    if is_form(scope):
        max_bytes = running.service.max_upload_bytes
        known = (FILE_FIELD, *_Said.model_fields)
        async with open_form(scope, receive, max_bytes, known) as form:
            fields = dict(form)
            picture = fields.pop(FILE_FIELD, None)
            if isinstance(picture, UploadFile):
                image_bytes = await picture.read()
            elif picture is not None:
                raise InvalidParameter(f"{FILE_FIELD}: It is a text; send the picture as a file.")
            said = _parse(lambda: _Said.model_validate(fields))
    else:
        if media_type_of(scope) != b"application/json":
            raise InvalidParameter(
                "Send JSON (Content-Type: application/json) or a multipart form."
            )
        most = running.service.max_upload_bytes
        document = await read_text(scope, receive, _MAX_DOCUMENT_BYTES, most=most)
        said = _parse(lambda: _Said.model_validate_json(document))
    if said.verdict == "other" and said.label is None:
        raise InvalidParameter("label: It is needed where the verdict is 'other'.")
    digest = said.sha256
    if image_bytes is not None:
        digest = (await asyncio.to_thread(Picture.of, image_bytes)).sha256
        if said.sha256 not in (None, digest):
            raise InvalidParameter("sha256: It is not the digest of the picture that was sent.")
    if digest is None:
        raise InvalidParameter("sha256: It is needed where no picture is sent.")
    return _Received(said, digest, image_bytes)


def _parse(build: Callable[[], _Said]) -> _Said:
    try:
        return build()
    except ValidationError as error:
        complaint = error.errors(include_url=False, include_input=False)[0]
        name = str(complaint["loc"][0]) if complaint["loc"] else "The document"
        raise InvalidParameter(f"{name}: {complaint['msg']}.") from error
