"""Predictions and heat maps <-> bytes for a cache that other programs can write to.

A stored value is a seal of its key and payload, then the payload: JSON, because nothing that comes
back from a shared cache may be able to run. The key is part of the seal, so that an entry that was
moved under another key is as good as damaged. Without a secret the seal is a checksum, which
anyone can compute, so the payload is validated like any input. With a secret it is a message
authentication code, and an entry from a writer without the secret does not pass.

This is a storage format, short and read as hostile input; `whatsit.documents` has the form in
which the API gives the same values.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from whatsit.cache.base import CacheEntry
from whatsit.errors import CacheError
from whatsit.prediction import (
    GRID_STEPS,
    MAX_TOP_K,
    Answer,
    AnswerPart,
    Certainty,
    HeatMap,
    HeatMapMethod,
    Hedge,
    ImageFacts,
    Level,
    ModelId,
    Prediction,
    Role,
    ScoredLabel,
)

MAX_STORED_BYTES = 32_768
"""Longer values are neither written nor read. A prediction of the bundled model takes 1.4 kB,
its heat map 0.4 kB."""

_Entry = TypeVar("_Entry", Prediction, HeatMap)

_HEAT_MAP_METHODS = get_args(HeatMapMethod)

_CHECKSUM_BYTES = 8
_MAC_BYTES = 16
_KEY_ID_BYTES = 4
_HEAT_MAP = b"heat map"
"""Stands before a stored heat map; a prediction begins with its seal."""

_MOST_PIXELS = 89_000_000
"""As many as a picture may have; see `whatsit.settings.Settings.max_pixels`."""
_MOST_CLASSES = 10_000_000
_MOST_STEPS = 100
"""Names on the way from the broadest group down to a label."""
_MOST_PLACES = 128
"""Along one side of a heat map; 9 with the bundled model."""
_MOST_PARTS = 8
"""Things that one sentence names; five at most today."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CERTAINTIES: frozenset[str] = frozenset(get_args(Certainty))
_LEVELS: frozenset[str] = frozenset(get_args(Level))
_ROLES: frozenset[str] = frozenset(get_args(Role))
_HEDGES: frozenset[str] = frozenset(get_args(Hedge))


class Seal:
    """Shows that an entry is whole and belongs to its key; with a secret, also who wrote it.

    Args:
        secret: Known only to the processes that share the cache. Without one the
            seal is a checksum of 8 bytes, with one a keyed BLAKE2b of 16 bytes.
    """

    def __init__(self, secret: str | None = None) -> None:
        if secret is None:
            self.size = _CHECKSUM_BYTES
            self._blank = hashlib.blake2b(digest_size=self.size)
            self._place = ""
            return
        self.size = _MAC_BYTES
        # A secret may have any length, a key of BLAKE2b at most 64 bytes.
        key = hashlib.blake2b(secret.encode(), person=b"whatsit cache").digest()
        self._blank = hashlib.blake2b(digest_size=self.size, key=key, person=b"entry")
        key_id = hashlib.blake2b(digest_size=_KEY_ID_BYTES, key=key, person=b"key id")
        self._place = f":{key_id.hexdigest()}"

    def place(self, key: str) -> str:
        """Where the entry of `key` lies: with another secret elsewhere, so it is not even read."""
        return key + self._place

    def make(self, key: str, payload: bytes) -> bytes:
        """The seal of `payload` under `key`, `size` bytes."""
        seal = self._blank.copy()
        seal.update(key.encode())
        seal.update(b"\0" + payload)
        return seal.digest()

    def fits(self, key: str, seal: bytes, payload: bytes) -> bool:
        """True if `seal` is that of `payload` under `key`; takes the same time either way."""
        return hmac.compare_digest(seal, self.make(key, payload))


_CHECKSUM = Seal()


def encode_prediction(key: str, prediction: Prediction, seal: Seal = _CHECKSUM) -> bytes:
    """The stored form of a prediction under `key`."""
    payload = _write_prediction(prediction)
    return seal.make(key, payload) + payload


def _write_prediction(prediction: Prediction) -> bytes:
    answer, image = prediction.answer, prediction.image
    return json.dumps(
        [
            [prediction.model.name, prediction.model.fingerprint],
            [
                *(answer.text, answer.label, answer.wnid, answer.score, answer.certainty),
                *(answer.level, answer.path, len(answer.set), answer.recognised),
                [_write_part(part, prediction.top) for part in answer.parts],
            ],
            [[entry.label, entry.wnid, entry.index, entry.score] for entry in prediction.top],
            [image.width, image.height, image.format, image.sha256],
        ],
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()


def _write_part(part: AnswerPart, top: tuple[ScoredLabel, ...]) -> list[object]:
    # A class is among the best labels, except under thresholds near 0; its place there is enough.
    for place, entry in enumerate(top):
        if part.level == "class" and (entry.label, entry.score) == (part.label, part.score):
            return [part.role, part.hedge, place]
    return [part.role, part.hedge, [part.label, part.wnid, part.level, part.score]]


def decode_prediction(key: str, stored: bytes, seal: Seal = _CHECKSUM) -> Prediction:
    """The prediction in a stored value.

    Raises:
        CacheError: These bytes were not written by `encode_prediction` for this key, were changed
            since, or do not describe a possible prediction.
    """
    return _open(key, stored, b"", seal, _read_prediction)


def encode_heat_map(key: str, heat_map: HeatMap, seal: Seal = _CHECKSUM) -> bytes:
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
    return _HEAT_MAP + seal.make(key, payload) + payload


def decode_heat_map(key: str, stored: bytes, seal: Seal = _CHECKSUM) -> HeatMap:
    """The heat map in a stored value.

    Raises:
        CacheError: These bytes were not written by `encode_heat_map` for this key, were changed
            since, or do not describe a possible heat map.
    """
    return _open(key, stored, _HEAT_MAP, seal, _read_heat_map)


def encode_entries(
    entries: Iterable[tuple[str, CacheEntry]], seal: Seal = _CHECKSUM
) -> Iterator[tuple[str, bytes]]:
    """The stored form of each entry under its key; an entry under two keys is written out once.

    An entry that would be longer than `MAX_STORED_BYTES` is left out.
    """
    written, payload = None, b""
    for key, entry in entries:
        if isinstance(entry, HeatMap):
            stored = encode_heat_map(key, entry, seal)
        else:
            if entry is not written:
                written, payload = entry, _write_prediction(entry)
            stored = seal.make(key, payload) + payload
        if len(stored) <= MAX_STORED_BYTES:
            yield key, stored


def decode_entry(key: str, stored: bytes, seal: Seal = _CHECKSUM) -> CacheEntry:
    """The entry in a stored value.

    Raises:
        CacheError: These bytes were not written by `encode_entries` for this key, were changed
            since, or do not describe a possible entry.
    """
    if stored.startswith(_HEAT_MAP):
        return decode_heat_map(key, stored, seal)
    return decode_prediction(key, stored, seal)


# Reading. Anyone who can write to the cache can also compute the checksum.


def _open(
    key: str, stored: bytes, head: bytes, seal: Seal, read: Callable[[Any], _Entry]
) -> _Entry:
    start = len(head) + seal.size
    if len(stored) > MAX_STORED_BYTES:
        raise CacheError("A cached value is longer than any entry.", "damaged")
    payload = stored[start:]
    if not stored.startswith(head) or not seal.fits(key, stored[len(head) : start], payload):
        raise CacheError("A cached value is damaged.", "damaged")
    try:
        text = payload.decode()
        document = json.loads(text)
        if "\\u" in text:
            # The only way left for half a surrogate, which no answer could be written with.
            json.dumps(document, ensure_ascii=False).encode()
        return read(document)
    except Exception as error:
        raise CacheError("A cached value has another form.", "damaged") from error


def _require(is_right: bool) -> None:
    if not is_right:
        raise ValueError


def _read_prediction(document: Any) -> Prediction:
    model, answer, entries, image = document
    text, label, wnid, score, certainty, level, path, set_size, recognised, parts = answer
    _require(type(entries) is list and 1 <= len(entries) <= MAX_TOP_K)
    top = _read_top(entries)
    _require(
        type(text) is str
        and _is_name(label, wnid)
        and _is_score(score)
        and certainty in _CERTAINTIES
        and level in _LEVELS
        and type(path) is list
        and len(path) <= _MOST_STEPS
        and all(type(name) is str for name in path)
        and type(set_size) is int
        and 0 <= set_size <= len(top)
        and type(recognised) is bool
        and type(parts) is list
        and len(parts) <= _MOST_PARTS
    )
    said = Answer(
        *(text, label, wnid, score, certainty, level, tuple(path), top[:set_size], recognised),
        tuple(_read_part(top, *part) for part in parts),
    )
    return Prediction(_read_model(*model), said, top, _read_image(*image))


def _read_part(top: tuple[ScoredLabel, ...], role: Any, hedge: Any, what: Any) -> AnswerPart:
    _require(role in _ROLES and hedge in _HEDGES)
    if type(what) is int:
        _require(what >= 0)
        entry = top[what]
        return AnswerPart(role, hedge, entry.label, entry.wnid, "class", entry.score)
    label, wnid, level, score = what
    _require(_is_name(label, wnid) and level in _LEVELS and _is_score(score))
    return AnswerPart(role, hedge, label, wnid, level, score)


def _read_heat_map(document: Any) -> HeatMap:
    model, image, (label, wnid, index, method), (height, width, steps), box = document
    facts = _read_image(*image)
    left, top, right, bottom = box
    _require(
        _is_name(label, wnid)
        and _is_within(index, 0, _MOST_CLASSES)
        and method in _HEAT_MAP_METHODS
        and all(type(edge) is float or type(edge) is int for edge in box)
        and 0 <= left < right <= facts.width
        and 0 <= top < bottom <= facts.height
    )
    return HeatMap(
        model=_read_model(*model),
        image=facts,
        label=label,
        wnid=wnid,
        index=index,
        method=method,
        grid=_read_grid(height, width, steps),
        box=(left, top, right, bottom),
    )


def _read_grid(height: Any, width: Any, steps: Any) -> npt.NDArray[np.float32]:
    _require(_is_within(height, 1, _MOST_PLACES) and _is_within(width, 1, _MOST_PLACES))
    grid = np.frombuffer(base64.b64decode(steps, validate=True), dtype=np.uint8)
    return (grid.reshape(height, width) / GRID_STEPS).astype(np.float32)


def _read_top(entries: list[Any]) -> tuple[ScoredLabel, ...]:
    # Written out: calls would take a third of the time that reading an entry takes.
    top, most = [], 1.0
    for label, wnid, index, score in entries:
        if not (
            type(label) is str
            and (wnid is None or type(wnid) is str)
            and type(index) is int
            and 0 <= index <= _MOST_CLASSES
            and (type(score) is float or type(score) is int)
            and 0 <= score <= most
        ):
            raise ValueError
        top.append(ScoredLabel(label, wnid, index, score))
        most = score
    return tuple(top)


def _read_model(name: Any, fingerprint: Any) -> ModelId:
    _require(type(name) is str and type(fingerprint) is str)
    return ModelId(name, fingerprint)


def _read_image(width: Any, height: Any, image_format: Any, sha256: Any) -> ImageFacts:
    _require(
        _is_within(width, 1, _MOST_PIXELS)
        and _is_within(height, 1, _MOST_PIXELS)
        and type(image_format) is str
        and _SHA256.fullmatch(sha256) is not None
    )
    return ImageFacts(width, height, image_format, sha256)


def _is_name(label: Any, wnid: Any) -> bool:
    return type(label) is str and (wnid is None or type(wnid) is str)


def _is_within(number: Any, least: int, most: int) -> bool:
    return type(number) is int and least <= number <= most


def _is_score(score: Any) -> bool:
    # Not a number is neither above nor below anything.
    return (type(score) is float or type(score) is int) and 0 <= score <= 1
