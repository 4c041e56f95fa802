"""The route that lists the models of an installation."""

import asyncio

from fastapi import APIRouter

from whatsit.errors import InvalidModelCard
from whatsit.prediction import ModelId
from whatsit.running import Running
from whatsit.web.api.examples import MODELS_EXAMPLE
from whatsit.web.api.openapi import ok
from whatsit.web.api.schemas import (
    CanaryDocument,
    KnownModelDocument,
    LiveModelsDocument,
    ModelDocument,
    ModelsDocument,
    PromotedDocument,
)


def build_models_router(running: Running) -> APIRouter:
    """The route about the models of one running service."""
    router = APIRouter()

    @router.get("/api/v1/models", summary="List the models", responses=ok(MODELS_EXAMPLE))
    async def models() -> ModelsDocument:
        return await asyncio.to_thread(_list_models, running)

    return router


def _list_models(running: Running) -> ModelsDocument:
    line_up = running.service.line_up
    serving = line_up.live.model
    present = running.store.present_names()
    known = []
    for name in running.store.known_names():
        facts = {"name": name, "present": name in present, "serving": name == serving.name}
        try:
            card = running.store.card(name)
        except InvalidModelCard as error:
            facts |= {"description": "", "licence": "", "problem": error.detail}
        else:
            facts |= {"description": card.description, "licence": card.licence}
        known.append(KnownModelDocument.model_validate(facts))
    return ModelsDocument(
        requested=running.model.requested,
        serving=_describe_model(serving),
        serving_since=line_up.live.since,
        note=running.note,
        live=_describe_live(running),
        models=known,
    )


def _describe_model(model: ModelId) -> ModelDocument:
    return ModelDocument(name=model.name, fingerprint=model.fingerprint)


def _describe_live(running: Running) -> LiveModelsDocument | None:
    if running.follower is None:
        return None
    state, canary = running.follower.read(), running.service.line_up.canary
    return LiveModelsDocument(
        history=[PromotedDocument(name=it.name, since=it.since) for it in state.history],
        canary=None
        if state.canary is None
        else CanaryDocument(
            name=state.canary.name,
            since=state.canary.since,
            ratio=state.canary.ratio,
            serving=None if canary is None else _describe_model(canary.model),
        ),
    )
