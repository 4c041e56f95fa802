"""Corrections: what people say about answers, kept beside them and exported for the next model."""
