"""Corrections as they are sent: JSON, or a form with the picture."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
)
from starlette.datastructures import UploadFile
from starlette.types import Receive, Scope

from whatsit.errors import InvalidParameter
from whatsit.feedback.correction import MAX_LABEL_CHARACTERS, Verdict
from whatsit.labels.label_set import clean_label
from whatsit.picture import Picture
from whatsit.web.api.body import FILE_FIELD, is_form, media_type_of, open_form, read_text
from whatsit.web.api.openapi import BINARY

_MAX_DOCUMENT_BYTES = 10_000


class Said(BaseModel):
    """The members of a correction, in JSON or as the fields of a form."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    verdict: Annotated[
        Verdict,
        Field(
            description="The answer is right; the picture shows something else, then a label is "
            "needed; or it shows none of the labels."
        ),
    ]
    sha256: (
        Annotated[
            str,
            StringConstraints(pattern=r"^[0-9a-f]{64}$"),
            Field(description="SHA-256 of the picture's bytes, as in the answer."),
        ]
        | None
    ) = None
    label: (
        Annotated[
            str,
            StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_LABEL_CHARACTERS),
            Field(description="One of the model's labels, or a custom one."),
        ]
        | None
    ) = None
    wnid: (
        Annotated[
            str,
            StringConstraints(pattern=r"^n[0-9]{8}$"),
            Field(
                description="WordNet id of one of the model's labels or groups; it counts more "
                "than the label."
            ),
        ]
        | None
    ) = None

    @field_validator("label")
    @classmethod
    def _is_a_name(cls, label: str | None) -> str | None:
        # A table that is opened as a spreadsheet takes what begins with a sign for a formula.
        if label is not None and not (label.isprintable() and label[0].isalnum()):
            raise ValueError("it must be printable, and begin with a letter or a digit")
        return None if label is None else clean_label(label)


@dataclass(frozen=True, slots=True)
class ReceivedCorrection:
    """A correction that keeps to the contract.

    Attributes:
        said: Its members.
        sha256: Hex digest of the picture that it is about.
        image_bytes: The picture, if it was sent to be kept.
    """

    said: Said
    sha256: str
    image_bytes: bytes | None


async def read_correction(
    scope: Scope, receive: Receive, max_upload_bytes: int
) -> ReceivedCorrection:
    """The correction that a request holds, with the picture if it brings one.

    Args:
        scope: The request.
        receive: Its body.
        max_upload_bytes: Of the picture.

    Raises:
        InputError: It breaks the contract.
        ClientDisconnect: The client has left.
    """
    image_bytes: bytes | None = None
    if is_form(scope):
        known = (FILE_FIELD, *Said.model_fields)
        async with open_form(scope, receive, max_upload_bytes, known) as form:
            fields = dict(form)
            picture = fields.pop(FILE_FIELD, None)
            if isinstance(picture, UploadFile):
                image_bytes = await picture.read()
            elif picture is not None:
                raise InvalidParameter(f"{FILE_FIELD}: It is a text; send the picture as a file.")
            said = _parse(lambda: Said.model_validate(fields))
    else:
        if media_type_of(scope) != b"application/json":
            raise InvalidParameter(
                "Send JSON (Content-Type: application/json) or a multipart form."
            )
        document = await read_text(scope, receive, _MAX_DOCUMENT_BYTES, most=max_upload_bytes)
        said = _parse(lambda: Said.model_validate_json(document))
    if said.verdict == "other" and said.label is None:
        raise InvalidParameter("label: It is needed where the verdict is 'other'.")
    digest = said.sha256
    if image_bytes is not None:
        digest = (await asyncio.to_thread(Picture.of, image_bytes)).sha256
        if said.sha256 not in (None, digest):
            raise InvalidParameter("sha256: It is not the digest of the picture that was sent.")
    if digest is None:
        raise InvalidParameter("sha256: It is needed where no picture is sent.")
    return ReceivedCorrection(said, digest, image_bytes)


def _parse(build: Callable[[], Said]) -> Said:
    try:
        return build()
    except ValidationError as error:
        complaint = error.errors(include_url=False, include_input=False)[0]
        name = str(complaint["loc"][0]) if complaint["loc"] else "The document"
        raise InvalidParameter(f"{name}: {complaint['msg']}.") from error


def _describe_body() -> dict[str, Any]:
    members = {}
    for name, schema in Said.model_json_schema()["properties"].items():
        text = schema.get("anyOf", [schema])[0]
        members[name] = {key: text[key] for key in text if key != "title"}
    null = {"type": "null"}
    optional = {name: {"anyOf": [members[name], null]} for name in ("label", "wnid")}
    from_picture = {
        **members["sha256"],
        "description": "May be left out where the picture is sent.",
    }
    example = Said(sha256="e3b0" * 16, verdict="other", label="ladybug")
    return {
        "required": True,
        "description": "What the picture shows, and the picture itself only if it may be kept: "
        "as a form with the field `file`.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {**members, **optional},
                    "required": ["sha256", "verdict"],
                    "additionalProperties": False,
                },
                "example": example.model_dump(exclude_none=True),
            },
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {**members, "sha256": from_picture, FILE_FIELD: BINARY},
                    "required": ["verdict"],
                    "anyOf": [{"required": ["sha256"]}, {"required": [FILE_FIELD]}],
                    "additionalProperties": False,
                }
            },
        },
    }


FEEDBACK_BODY: dict[str, Any] = {"requestBody": _describe_body()}
