"""An intake in front of an application that knows nothing of it."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from whatsit.errors import BodyPacked, WhatsitError
from whatsit.web.api.problems import problem_for
from whatsit.web.intake.intake import Intake

_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class IntakeLayer:
    """Takes in the bodies that an application reads.

    Where a body does not keep up or does not find room, the application sees that its client has
    left, and the client gets the reason.

    Args:
        app: Reads the bodies.
        intake: Takes them in.
    """

    def __init__(self, app: ASGIApp, intake: Intake) -> None:
        self._app = app
        self._intake = intake

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection; see the ASGI specification."""
        if scope["type"] != "http" or scope["method"] not in _WITH_BODY:
            await self._app(scope, receive, send)
            return
        refusal: WhatsitError | None = None
        has_begun = False

        async def send_unless_refused(message: Message) -> None:
            nonlocal has_begun
            if refusal is None:
                has_begun = True
                await send(message)

        try:
            async with self._intake.take(scope, receive) as body:

                async def receive_or_leave() -> Message:
                    nonlocal refusal
                    try:
                        return await body()
                    except WhatsitError as error:
                        refusal = error
                        return {"type": "http.disconnect"}

                await self._app(scope, receive_or_leave, send_unless_refused)
        except BodyPacked as error:
            refusal = error
        except Exception:
            if refusal is None:
                raise
        if refusal is not None and not has_begun:
            response = problem_for(refusal)
            response.headers["Connection"] = "close"
            await response(scope, receive, send)
