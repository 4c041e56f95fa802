"""What Schemathesis sends where the OpenAPI document speaks of a picture: pictures.

A schema can say "bytes", not "bytes of a picture". That other bytes are refused is what the corpus
of hostile pictures shows.
"""

import base64
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
schemathesis.openapi.format(
    "byte", _PICTURES.map(lambda picture: base64.b64encode(picture).decode())
)


@schemathesis.hook("before_call")
def _make_inference_consistent(context, case, kwargs):
    """Let valid inference requests agree with themselves, which no schema can say either."""
    del context, kwargs
    if not case.path.endswith("/infer") or not case.meta.generation.mode.is_positive:
        return
    if case.media_type == "application/octet-stream":
        case.headers["Inference-Header-Content-Length"] = "0"
        return
    case.headers.pop("Inference-Header-Content-Length", None)
    tensor = case.body["inputs"][0]
    tensor["shape"] = [len(tensor["data"]), 1][: len(tensor["shape"])]
    tensor.pop("parameters", None)
    if case.body.get("outputs"):
        case.body["outputs"] = case.body["outputs"][:1]
        case.body["outputs"][0].pop("parameters", None)
    if case.body.get("id"):
        case.body["id"] = "".join(filter(str.isprintable, case.body["id"]))


_KEPT = hashlib.sha256(example_pictures()["bee"]).hexdigest()


@schemathesis.hook
def map_path_parameters(context: Any, path_parameters: dict[str, Any]) -> dict[str, Any]:
    """Half of the digests are that of a picture whose answer the server keeps."""
    del context
    digest = str((path_parameters or {}).get("sha256"))
    if re.fullmatch("[0-7][0-9A-Fa-f]{63}", digest):
        return {**path_parameters, "sha256": _KEPT}
    return path_parameters
