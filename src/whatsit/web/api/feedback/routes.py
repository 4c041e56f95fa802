"""The routes that take corrections, and undo them."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from whatsit.errors import FeedbackUnavailable, InvalidParameter
from whatsit.feedback.correction import (
    CorrectedAnswer,
    Record,
    describe_correction,
)
from whatsit.images.decode import decode_image
from whatsit.labels.search import FoundLabel, LabelSearch
from whatsit.running import Running
from whatsit.web.api.examples import FEEDBACK_EXAMPLE
from whatsit.web.api.feedback.request import FEEDBACK_BODY, ReceivedCorrection, read_correction
from whatsit.web.api.openapi import REQUEST_ID_HEADER
from whatsit.web.api.patience import Errands
from whatsit.web.api.refusals import (
    NO_CORRECTION,
    NO_FEEDBACK,
    NO_ROOM,
    OTHER_ORIGIN,
    problem_responses,
)
from whatsit.web.api.schemas import FeedbackDocument
from whatsit.web.caller import caller_of
from whatsit.web.intake.intake import Intake
from whatsit.web.request_facts import facts_of

_PREVIEW_PIXELS = 64


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
            received = await read_correction(request.scope, body, running.service.max_upload_bytes)
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
    """Keeps and undoes the corrections that the routes have read."""

    def __init__(self, running: Running) -> None:
        self._running = running

    async def inspect(self, image_bytes: bytes | None) -> str | None:
        """The format of a picture that is to be kept; None where there is none.

        Raises:
            InputError: The picture can't be answered.
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
        self, received: ReceivedCorrection, image_format: str | None, who: str | None, caller: str
    ) -> Record:
        """Keep a correction, and its picture where there is one."""
        from whatsit.feedback.store import NewCorrection
        from whatsit.feedback.store import Picture as KeptPicture

        feedback = self._running.feedback
        if feedback is None:
            raise FeedbackUnavailable("Corrections are switched off.")
        # Another model may go live while a visitor looks at an answer.
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
            raise FeedbackUnavailable("Corrections are switched off.")
        self._running.feedback.undo(correction_id)

    def _label_of(
        self, received: ReceivedCorrection, answered: CorrectedAnswer | None
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
