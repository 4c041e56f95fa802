"""The examples of the OpenAPI document: real values in the form in which the API sends them."""

from datetime import date
from typing import Any

import numpy as np
from pydantic import BaseModel

from whatsit.documents import describe_heat_map, describe_origin, describe_reply
from whatsit.feedback.correction import Correction, describe_correction
from whatsit.prediction import (
    Answer,
    AnswerPart,
    HeatMap,
    ImageFacts,
    ModelId,
    Prediction,
    Reply,
    ScoredLabel,
)
from whatsit.web.api.schemas import (
    CanaryDocument,
    DriftDocument,
    FeedbackDocument,
    KnownModelDocument,
    LabelDocument,
    LabelsDocument,
    LiveModelsDocument,
    ModelDocument,
    ModelsDocument,
    PromotedDocument,
    ReadyDocument,
    ReferenceDocument,
    SignalDriftDocument,
    WeekDocument,
    WindowDriftDocument,
)

_REQUEST_ID = "5a5cba0bcd924505"
_BEE = ScoredLabel("bee", "n02206856", 309, 0.99)
MODEL = ModelId("efficientnet-lite2", "9f0c" * 16)
_IMAGE = ImageFacts(451, 300, "JPEG", "e3b0" * 16)
_PREDICTION = Prediction(
    model=MODEL,
    answer=Answer(
        text="A bee (99 %).",
        label=_BEE.label,
        wnid=_BEE.wnid,
        score=_BEE.score,
        certainty="sure",
        path=("animal", "insect", "bee"),
        set=(_BEE,),
        parts=(AnswerPart("stated", "certain", _BEE.label, _BEE.wnid, "class", _BEE.score),),
    ),
    top=(_BEE, ScoredLabel("ringlet butterfly", "n02277742", 322, 0.001)),
    image=_IMAGE,
)
REPLY = Reply(
    _PREDICTION,
    _PREDICTION.top,
    "miss",
    {"decode": 2.1, "preprocess": 0.6, "infer": 9.4, "total": 12.9},
)
_KEPT_REPLY = Reply(_PREDICTION, _PREDICTION.top, "hit", {"cache": 0.021, "total": 0.021})
_HEAT_MAP = HeatMap(
    model=MODEL,
    image=_IMAGE,
    label=_BEE.label,
    wnid=_BEE.wnid,
    index=_BEE.index,
    method="activation",
    grid=np.array([[0.0, 0.2], [0.4, 1.0]], dtype=np.float32),
    box=(75.5, 0.0, 375.5, 300.0),
)
_CORRECTION = Correction(
    id="0123456789abcdef",
    sha256=_IMAGE.sha256,
    verdict="other",
    label="ladybug",
    wnid="n02165456",
    at="2026-01-31T10:34:29.067Z",
)
_MODEL_DOCUMENT = ModelDocument(name=MODEL.name, fingerprint=MODEL.fingerprint)
_LABEL = LabelDocument(
    label=_BEE.label,
    wnid=_BEE.wnid,
    index=_BEE.index,
    synonyms=["honeybee"],
    definition="any of numerous hairy-bodied insects including social and solitary species",
)


def _encode(document: BaseModel) -> dict[str, Any]:
    """The document as FastAPI answers it."""
    return document.model_dump(mode="json")


CLASSIFY_EXAMPLE = {"id": _REQUEST_ID, **describe_reply(REPLY)}
KEPT_ANSWER_EXAMPLE = {"id": _REQUEST_ID, **describe_reply(_KEPT_REPLY)}
EXPLAIN_EXAMPLE = {
    "id": _REQUEST_ID,
    **describe_origin("miss", {"decode": 2.1, "preprocess": 0.6, "infer": 10.2, "total": 14.0}),
    **describe_heat_map(_HEAT_MAP),
}
FEEDBACK_EXAMPLE = _encode(
    FeedbackDocument(
        **describe_correction(_CORRECTION), sha256=_CORRECTION.sha256, picture_kept=False
    )
)
LABEL_EXAMPLE = _encode(_LABEL)
LABELS_EXAMPLE = _encode(LabelsDocument(labels=[_LABEL]))
MODELS_EXAMPLE = _encode(
    ModelsDocument(
        requested="live",
        serving=_MODEL_DOCUMENT,
        serving_since="2026-01-31T10:34:29Z",
        note=f"birds.v3 is live but can't be opened, so {MODEL.name} answers.",
        live=LiveModelsDocument(
            history=[
                PromotedDocument(name="birds.v3", since="2026-01-31T10:40:02Z"),
                PromotedDocument(name=MODEL.name, since="2026-01-31T10:34:27Z"),
            ],
            canary=CanaryDocument(
                name="birds.v4",
                since="2026-01-31T10:41:17Z",
                ratio=0.1,
                serving=ModelDocument(name="birds.v4", fingerprint="27ae" * 16),
            ),
        ),
        models=[
            KnownModelDocument(
                name=MODEL.name,
                description="EfficientNet-Lite2, 8 bits",
                licence="Apache-2.0",
                present=True,
                serving=True,
            )
        ],
    )
)
DRIFT_EXAMPLE = _encode(
    DriftDocument(
        model=_MODEL_DOCUMENT,
        since="2026-01-31T10:34:29.067Z",
        reference=ReferenceDocument(pictures=300, dataset="photographs"),
        windows=[
            WindowDriftDocument(
                window="day",
                pictures=120,
                since="2026-01-31T11:02:10.500Z",
                drift="different",
                signals=[
                    SignalDriftDocument(
                        signal="certainty",
                        psi=1.31,
                        drift="different",
                        edges=[0.5, 1.5, 2.5],
                        reference=[0.83, 0.05, 0.06, 0.06],
                        pictures=[40, 15, 30, 35],
                    )
                ],
            )
        ],
        feedback=[
            WeekDocument(
                monday=date(2026, 1, 26), model=MODEL.name, right=12, wrong=4, accuracy=0.75
            )
        ],
        next_step="Look at some of the pictures that come now.",
    )
)
READY_EXAMPLE = _encode(
    ReadyDocument(
        status="ready",
        model=MODEL.name,
        cache="unreachable",
        cache_note="Redis refuses the user or the password of WHATSIT_REDIS_URL.",
    )
)
