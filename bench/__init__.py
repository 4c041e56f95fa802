"""Measurements of speed and memory; ``make bench`` runs them all."""

from whatsit.engines.no_telemetry import silence_dependencies

silence_dependencies()
