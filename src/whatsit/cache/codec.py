"""Prediction <-> bytes for a cache that other programs can write to.

A stored value is a checksum of its payload, then the payload: JSON, because nothing that comes
back from a shared cache may be able to run.
"""

import hashlib
import json

from whatsit.errors import CacheError
from whatsit.prediction import Answer, ImageFacts, ModelId, Prediction, ScoredLabel

_CHECKSUM_BYTES = 8


def encode_prediction(prediction: Prediction) -> bytes:
    """The stored form of a prediction."""
    answer, image = prediction.answer, prediction.image
    payload = json.dumps(
        [
            [prediction.model.name, prediction.model.fingerprint],
            [answer.text, answer.label, answer.wnid, answer.score, answer.certainty],
            [[entry.label, entry.wnid, entry.index, entry.score] for entry in prediction.top],
            [image.width, image.height, image.format, image.sha256],
        ],
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()
    return _checksum(payload) + payload


def decode_prediction(stored: bytes) -> Prediction:
    """The prediction in a stored value.

    Raises:
        CacheError: These bytes were not written by `encode_prediction`, or were changed since.
    """
    checksum, payload = stored[:_CHECKSUM_BYTES], stored[_CHECKSUM_BYTES:]
    if checksum != _checksum(payload):
        raise CacheError("A cached value is damaged.")
    try:
        model, answer, top, image = json.loads(payload)
        return Prediction(
            ModelId(*model),
            Answer(*answer),
            tuple(ScoredLabel(*entry) for entry in top),
            ImageFacts(*image),
        )
    except (ValueError, TypeError) as error:
        raise CacheError("A cached value has another form.") from error


def _checksum(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=_CHECKSUM_BYTES).digest()
