"""The route that reports how far pictures have drifted from the model's reference."""

import asyncio

from fastapi import APIRouter

from whatsit.clock import format_time
from whatsit.drift.report import WindowDrift, next_step
from whatsit.drift.watch import WatchReport
from whatsit.errors import FeedbackUnavailable
from whatsit.feedback.accuracy import WeekAccuracy
from whatsit.running import Running
from whatsit.web.api.examples import DRIFT_EXAMPLE
from whatsit.web.api.openapi import ok
from whatsit.web.api.schemas import (
    DriftDocument,
    ModelDocument,
    ReferenceDocument,
    SignalDriftDocument,
    WeekDocument,
    WindowDriftDocument,
)


def build_drift_router(running: Running) -> APIRouter:
    """The route about the traffic of one running service."""
    router = APIRouter()

    @router.get(
        "/api/v1/drift",
        summary="Say how far pictures lie from those the model was measured on",
        responses=ok(DRIFT_EXAMPLE),
    )
    async def drift() -> DriftDocument:
        return await asyncio.to_thread(_describe, running)

    return router


def _describe(running: Running) -> DriftDocument:
    report = running.drift()
    # The service is open, so there is a model.
    assert report is not None
    return DriftDocument(
        model=ModelDocument(name=report.model.name, fingerprint=report.model.fingerprint),
        since=format_time(report.since, "milliseconds"),
        reference=_reference(report),
        windows=[_window(window) for window in report.windows],
        feedback=_feedback(running),
        next_step=next_step(report.windows),
    )


def _reference(report: WatchReport) -> ReferenceDocument | None:
    reference = report.reference
    if reference is None:
        return None
    return ReferenceDocument(pictures=reference.pictures, dataset=reference.dataset)


def _window(window: WindowDrift) -> WindowDriftDocument:
    return WindowDriftDocument(
        window="day" if window.window == "day" else "latest",
        pictures=window.pictures,
        since=None if window.since is None else format_time(window.since, "milliseconds"),
        drift=window.drift,
        signals=[
            SignalDriftDocument(
                signal=signal.signal,
                psi=round(signal.psi, 4),
                drift=signal.drift,
                edges=list(signal.reference.edges),
                reference=list(signal.reference.shares),
                pictures=list(signal.counts),
            )
            for signal in window.signals
        ],
    )


def _feedback(running: Running) -> list[WeekDocument] | None:
    if running.feedback is None:
        return None
    try:
        return [_week(week) for week in running.feedback.weeks()]
    except FeedbackUnavailable:
        # The drift of the pictures is worth reporting all the same.
        return None


def _week(week: WeekAccuracy) -> WeekDocument:
    return WeekDocument(
        monday=week.monday,
        model=week.model,
        right=week.right,
        wrong=week.wrong,
        accuracy=round(week.accuracy, 4),
    )
