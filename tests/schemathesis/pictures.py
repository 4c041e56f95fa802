"""What Schemathesis sends where the OpenAPI document speaks of a picture: pictures.

A schema can say "bytes", not "bytes of a picture". That other bytes are refused is what the corpus
of hostile pictures shows.
"""

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
