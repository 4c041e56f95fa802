"""Predictions and heat maps <-> bytes for a cache that other programs can write to.

A stored value is a checksum of its key and payload, then the payload: JSON, because nothing that
comes back from a shared cache may be able to run. The key is part of the checksum, so that an
entry that was moved under another key is as good as damaged.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator

import numpy as np

from whatsit.cache.base import CacheEntry
from whatsit.errors import CacheError
from whatsit.explain import GRID_STEPS, HeatMap
from whatsit.prediction import Answer, ImageFacts, ModelId, Prediction, ScoredLabel

_CHECKSUM_BYTES = 8
_HEAT_MAP = b"heat map"
"""Stands before a stored heat map; a prediction begins with its checksum."""


def encode_prediction(key: str, prediction: Prediction) -> bytes:
    """The stored form of a prediction under `key`."""
    return _seal(key, _write_prediction(prediction))


def _write_prediction(prediction: Prediction) -> bytes:
    answer, image = prediction.answer, prediction.image
    return json.dumps(
        [
            [prediction.model.name, prediction.model.fingerprint],
            [
                *(answer.text, answer.label, answer.wnid, answer.score, answer.certainty),
                *(answer.level, answer.path, len(answer.set), answer.recognised),
            ],
            [[entry.label, entry.wnid, entry.index, entry.score] for entry in prediction.top],
            [image.width, image.height, image.format, image.sha256],
        ],
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()


def _seal(key: str, payload: bytes) -> bytes:
    return _checksum(key, payload) + payload


def decode_prediction(key: str, stored: bytes) -> Prediction:
    """The prediction in a stored value.

    Raises:
        CacheError: These bytes were not written by `encode_prediction` for this key, or were
            changed since.
    """
    checksum, payload = stored[:_CHECKSUM_BYTES], stored[_CHECKSUM_BYTES:]
    if checksum != _checksum(key, payload):
        raise CacheError("A cached value is damaged.", "damaged")
    try:
        model, answer, entries, image = json.loads(payload)
        text, label, wnid, score, certainty, level, path, set_size, recognised = answer
        top = tuple(ScoredLabel(*entry) for entry in entries)
        return Prediction(
            ModelId(*model),
            Answer(
                *(text, label, wnid, score, certainty, level, tuple(path)),
                *(top[:set_size], recognised),
            ),
            top,
            ImageFacts(*image),
        )
    except (ValueError, TypeError) as error:
        raise CacheError("A cached value has another form.", "damaged") from error


def encode_heat_map(key: str, heat_map: HeatMap) -> bytes:
    """The stored form of a heat map under `key`, one byte a place."""
    model, image = heat_map.model, heat_map.image
    steps = np.round(heat_map.grid * GRID_STEPS).astype(np.uint8)
    payload = json.dumps(
        [
            [model.name, model.fingerprint],
            [image.width, image.height, image.format, image.sha256],
            [heat_map.label, heat_map.wnid, heat_map.index, heat_map.method],
            [*steps.shape, base64.b64encode(steps.tobytes()).decode()],
            heat_map.box,
        ],
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()
    return _HEAT_MAP + _checksum(key, payload) + payload


def decode_heat_map(key: str, stored: bytes) -> HeatMap:
    """The heat map in a stored value.

    Raises:
        CacheError: These bytes were not written by `encode_heat_map` for this key, or were
            changed since.
    """
    start = len(_HEAT_MAP) + _CHECKSUM_BYTES
    payload = stored[start:]
    if stored[:start] != _HEAT_MAP + _checksum(key, payload):
        raise CacheError("A cached value is damaged.", "damaged")
    try:
        model, image, (label, wnid, index, method), (height, width, steps), box = json.loads(
            payload
        )
        grid = np.frombuffer(base64.b64decode(steps), dtype=np.uint8).reshape(height, width)
        left, top, right, bottom = box
        return HeatMap(
            model=ModelId(*model),
            image=ImageFacts(*image),
            label=label,
            wnid=wnid,
            index=index,
            method=method,
            grid=(grid / GRID_STEPS).astype(np.float32),
            box=(left, top, right, bottom),
        )
    except (ValueError, TypeError) as error:
        raise CacheError("A cached value has another form.", "damaged") from error


def encode_entries(entries: Iterable[tuple[str, CacheEntry]]) -> Iterator[tuple[str, bytes]]:
    """The stored form of each entry under its key; an entry under two keys is written out once."""
    written, payload = None, b""
    for key, entry in entries:
        if isinstance(entry, HeatMap):
            yield key, encode_heat_map(key, entry)
            continue
        if entry is not written:
            written, payload = entry, _write_prediction(entry)
        yield key, _seal(key, payload)


def decode_entry(key: str, stored: bytes) -> CacheEntry:
    """The entry in a stored value.

    Raises:
        CacheError: These bytes were not written by `encode_entries` for this key, or were
            changed since.
    """
    if stored.startswith(_HEAT_MAP):
        return decode_heat_map(key, stored)
    return decode_prediction(key, stored)


def _checksum(key: str, payload: bytes) -> bytes:
    checksum = hashlib.blake2b(key.encode(), digest_size=_CHECKSUM_BYTES)
    checksum.update(b"\0" + payload)
    return checksum.digest()
