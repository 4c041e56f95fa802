"""The query parameters that several routes take."""

from typing import Annotated

from fastapi import Query

from whatsit.prediction import MAX_TOP_K, CacheMode

TopK = Annotated[int, Query(ge=1, le=MAX_TOP_K, description="How many labels.", examples=[3])]
Cache = Annotated[
    CacheMode,
    Query(
        description="`refresh` computes again and keeps that; `bypass` neither reads nor keeps.",
        examples=["use"],
    ),
]
