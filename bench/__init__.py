"""Measurements of speed and memory; ``make bench`` runs them all."""

from whatsit.discretion import silence_dependencies

silence_dependencies()
