"""What Schemathesis sends where the OpenAPI document speaks of a picture: pictures.

A schema can say "bytes", not "bytes of a picture". That other bytes are refused is what the corpus
of hostile pictures shows.
"""

import hashlib
import re
from typing import Any

import schemathesis
from hypothesis import strategies

from whatsit.data import example_pictures
from whatsit.testing import plain_picture

_PICTURES = strategies.sampled_from(
    [*example_pictures().values(), *map(plain_picture, ("red", "#0a0b0c", "white"))]
)

schemathesis.openapi.media_type("image/*", _PICTURES)
schemathesis.openapi.media_type("application/octet-stream", _PICTURES)
schemathesis.openapi.format("binary", _PICTURES)  # a field of a form

_KEPT = hashlib.sha256(example_pictures()["bee"]).hexdigest()


@schemathesis.hook
def map_path_parameters(context: Any, path_parameters: dict[str, Any]) -> dict[str, Any]:
    """Half of the digests are that of a picture whose answer the server keeps."""
    del context
    digest = str((path_parameters or {}).get("sha256"))
    if re.fullmatch("[0-7][0-9A-Fa-f]{63}", digest):
        return {**path_parameters, "sha256": _KEPT}
    return path_parameters
