"""The JSON form of predictions, replies and heat maps.

The API, its description, the client and the files of the command line share it. ``describe_*``
makes the members of a document from a value, with scores of six decimals; ``read_*`` makes the
value again and ignores members that it does not know.
"""

import json
from collections.abc import Mapping
from typing import Any

from whatsit.prediction import (
    Answer,
    AnswerPart,
    CacheOutcome,
    HeatMap,
    ImageFacts,
    ModelId,
    Prediction,
    Reply,
    ScoredLabel,
)


def encode(document: object) -> bytes:
    """A document as compact UTF-8."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def describe_prediction(prediction: Prediction, top: tuple[ScoredLabel, ...]) -> dict[str, object]:
    """A prediction, in the form of `whatsit.web.api.schemas.ClassifyDocument`.

    Args:
        prediction: The facts of the document.
        top: As many of its best labels as the document lists.
    """
    return {
        "model": describe_model(prediction.model),
        "answer": describe_answer(prediction.answer),
        "top": [describe_label(entry) for entry in top],
        "image": describe_image(prediction.image),
    }


def describe_reply(reply: Reply) -> dict[str, object]:
    """A reply: its prediction and its origin."""
    return {
        **describe_origin(reply.cache, reply.timings_ms),
        **describe_prediction(reply.prediction, reply.top),
    }


def describe_origin(cache: CacheOutcome, timings_ms: Mapping[str, float]) -> dict[str, object]:
    """The source of an answer, and the milliseconds of each stage with three decimals."""
    return {
        "cache": cache,
        "timings_ms": {stage: round(ms, 3) for stage, ms in timings_ms.items()},
    }


def describe_heat_map(heat_map: HeatMap) -> dict[str, object]:
    """A heat map, in the form of `whatsit.web.api.schemas.ExplainDocument`."""
    left, top, right, bottom = (round(edge, 2) for edge in heat_map.box)
    return {
        "model": describe_model(heat_map.model),
        "label": heat_map.label,
        "wnid": heat_map.wnid,
        "index": heat_map.index,
        "method": heat_map.method,
        "grid": [[round(heat, 3) for heat in row] for row in heat_map.grid.tolist()],
        "box": {"left": left, "top": top, "right": right, "bottom": bottom},
        "image": describe_image(heat_map.image),
    }


def describe_model(model: ModelId) -> dict[str, object]:
    """The name and the fingerprint of a model."""
    return {"name": model.name, "fingerprint": model.fingerprint}


def describe_answer(answer: Answer) -> dict[str, object]:
    """The sentence for people with its certainty, its set and its parts."""
    return {
        "text": answer.text,
        "label": answer.label,
        "wnid": answer.wnid,
        "score": round(answer.score, 6),
        "certainty": answer.certainty,
        "recognised": answer.recognised,
        "level": answer.level,
        "path": answer.path,
        "set": [describe_label(entry) for entry in answer.set],
        "parts": [_describe_part(part) for part in answer.parts],
    }


def describe_label(entry: ScoredLabel) -> dict[str, object]:
    """A label with its score."""
    return {
        "label": entry.label,
        "wnid": entry.wnid,
        "index": entry.index,
        "score": round(entry.score, 6),
    }


def _describe_part(part: AnswerPart) -> dict[str, object]:
    return {
        "role": part.role,
        "hedge": part.hedge,
        "label": part.label,
        "wnid": part.wnid,
        "level": part.level,
        "score": round(part.score, 6),
    }


def describe_image(image: ImageFacts) -> dict[str, object]:
    """The size, the format and the digest of a picture."""
    return {
        "width": image.width,
        "height": image.height,
        "format": image.format,
        "sha256": image.sha256,
    }


def read_reply(document: Mapping[str, Any]) -> Reply:
    """The reply that a document of ``POST /api/v1/classify`` describes.

    Returns:
        Its scores have six decimals, and its labels are only as many as were asked for.

    Raises:
        LookupError: A member is missing.
        TypeError: A member has another type.
        ValueError: A text stands in place of a number.
    """
    top = tuple(read_label(entry) for entry in document["top"])
    prediction = Prediction(
        read_model(document["model"]),
        read_answer(document["answer"]),
        top,
        read_image(document["image"]),
    )
    return Reply(prediction, top, document["cache"], dict(document["timings_ms"]))


def read_model(document: Mapping[str, Any]) -> ModelId:
    """See `describe_model`; raises what `read_reply` raises."""
    return ModelId(require_text(document["name"]), require_text(document["fingerprint"]))


def read_answer(document: Mapping[str, Any]) -> Answer:
    """See `describe_answer`; raises what `read_reply` raises."""
    return Answer(
        text=require_text(document["text"]),
        label=require_text(document["label"]),
        wnid=document["wnid"],
        score=float(document["score"]),
        certainty=document["certainty"],
        level=document["level"],
        path=tuple(document["path"]),
        set=tuple(read_label(entry) for entry in document["set"]),
        recognised=bool(document["recognised"]),
        parts=tuple(_read_part(part) for part in document["parts"]),
    )


def read_label(document: Mapping[str, Any]) -> ScoredLabel:
    """See `describe_label`; raises what `read_reply` raises."""
    return ScoredLabel(
        require_text(document["label"]),
        document["wnid"],
        int(document["index"]),
        float(document["score"]),
    )


def _read_part(document: Mapping[str, Any]) -> AnswerPart:
    return AnswerPart(
        document["role"],
        document["hedge"],
        require_text(document["label"]),
        document["wnid"],
        document["level"],
        float(document["score"]),
    )


def read_image(document: Mapping[str, Any]) -> ImageFacts:
    """See `describe_image`; raises what `read_reply` raises."""
    return ImageFacts(
        int(document["width"]),
        int(document["height"]),
        require_text(document["format"]),
        document["sha256"],
    )


def require_text(value: object) -> str:
    """A member that has to be a text.

    Raises:
        TypeError: It has another type.
    """
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value
