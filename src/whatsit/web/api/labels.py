"""The routes that find labels, for people who correct an answer."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from whatsit.errors import LabelUnknown
from whatsit.labels.search import FoundLabel
from whatsit.service.service import Service
from whatsit.web.api.examples import LABEL_EXAMPLE, LABELS_EXAMPLE
from whatsit.web.api.openapi import ok
from whatsit.web.api.refusals import NO_LABEL, problem_responses
from whatsit.web.api.schemas import LabelDocument, LabelsDocument

_MAX_QUERY_CHARACTERS = 100
_MAX_LABELS = 100


def build_labels_router(service: Service) -> APIRouter:
    """The routes about the labels of the model that answers."""
    router = APIRouter()

    # Not asynchronous: a search takes milliseconds, in which the event loop answers pictures.
    @router.get(
        "/api/v1/labels",
        summary="Search the labels of the model",
        responses={**ok(LABELS_EXAMPLE), **problem_responses(422)},
    )
    def labels(
        q: Annotated[
            str,
            Query(
                max_length=_MAX_QUERY_CHARACTERS,
                description="The beginning of a name or a synonym, or a part of one; small typos "
                "are forgiven. Nothing: all labels by name.",
                examples=["bee"],
            ),
        ] = "",
        limit: Annotated[
            int, Query(ge=1, le=_MAX_LABELS, description="How many at most.", examples=[5])
        ] = 20,
    ) -> LabelsDocument:
        found = service.line_up.live.label_search.search(q, limit)
        return LabelsDocument(labels=[_describe(each) for each in found])

    @router.get(
        "/api/v1/labels/{wnid}",
        summary="Say what a label or a group of labels means",
        responses={**ok(LABEL_EXAMPLE), **problem_responses(422, also=(NO_LABEL,))},
    )
    def label(
        wnid: Annotated[
            str,
            Path(
                pattern="^n[0-9]{8}$",
                description="WordNet id, as in an answer.",
                examples=["n02206856"],
            ),
        ],
    ) -> LabelDocument:
        found = service.line_up.live.label_search.find(wnid)
        if found is None:
            raise LabelUnknown(wnid)
        return _describe(found)

    return router


def _describe(found: FoundLabel) -> LabelDocument:
    entry = found.entry
    return LabelDocument(
        label=entry.label,
        wnid=entry.wnid,
        index=found.index,
        synonyms=list(entry.synonyms),
        definition=entry.definition,
    )
