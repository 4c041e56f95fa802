"""The model pipeline on Azure ML, and the very same YAML on this machine."""

from whatsit.pipeline.azure_ml.definition import Pipeline, with_inputs
from whatsit.pipeline.azure_ml.reader import load_pipeline
from whatsit.pipeline.azure_ml.run import JobRun, run_pipeline
from whatsit.pipeline.azure_ml.validate import require_valid, validate_pipeline

__all__ = [
    "JobRun",
    "Pipeline",
    "load_pipeline",
    "require_valid",
    "run_pipeline",
    "validate_pipeline",
    "with_inputs",
]
