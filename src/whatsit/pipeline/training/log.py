"""Figures of a training run as it goes: for TensorBoard, and for MLflow where it is asked for."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from whatsit.models.importers.require_extra import load_keras, training_extra

TRACKING_VARIABLE = "MLFLOW_TRACKING_URI"

_log = logging.getLogger(__name__)


class TrainingLog:
    """Writes figures into a folder for TensorBoard, and to MLflow if `TRACKING_VARIABLE` is set.

    In MLflow they go into the run that is active, or that MLFLOW_RUN_ID names; else into a new
    one. A tracking server that fails is left alone from then on: training goes on without it.
    """

    def __init__(self, folder: Path, arguments: Mapping[str, Any]) -> None:
        load_keras()
        import tensorflow as tf

        self._tensorboard = tf.summary.create_file_writer(str(folder))
        self._scalar = tf.summary.scalar
        self._tracker = _start_tracker(arguments) if os.environ.get(TRACKING_VARIABLE) else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._tensorboard.close()
        if self._tracker is not None:
            self._tracker.end("FAILED" if kind else "FINISHED")

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Write figures of one step."""
        with self._tensorboard.as_default():
            for name, value in figures.items():
                self._scalar(name, value, step=step)
        self._tensorboard.flush()
        if self._tracker is not None and not self._tracker.write(step, figures):
            self._tracker = None


class _Tracker:
    """A run in MLflow; ended only by who started it."""

    def __init__(self, mlflow: Any, owns_run: bool) -> None:
        self._mlflow = mlflow
        self._owns_run = owns_run

    def write(self, step: int, figures: Mapping[str, float]) -> bool:
        """True if the server accepted the figures."""
        with _tolerating_failures(self._mlflow):
            self._mlflow.log_metrics(dict(figures), step=step)
            return True
        return False

    def end(self, status: str) -> None:
        if self._owns_run:
            with _tolerating_failures(self._mlflow):
                self._mlflow.end_run(status)


def _start_tracker(arguments: Mapping[str, Any]) -> _Tracker | None:
    # It would report every run to its makers.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    # Seconds, not minutes, for a server that is not there.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    with training_extra():
        import mlflow
    with _tolerating_failures(mlflow):
        owns_run = mlflow.active_run() is None
        if owns_run:
            mlflow.start_run(run_name=f"finetune {arguments['base']}")
        mlflow.log_params(
            {name: str(value) for name, value in arguments.items() if value is not None}
        )
        return _Tracker(mlflow, owns_run)
    return None


@contextmanager
def _tolerating_failures(mlflow: Any) -> Iterator[None]:
    try:
        yield
    except (mlflow.exceptions.MlflowException, OSError) as error:
        _log.warning("MLflow does not take figures (%s); training goes on.", error)
