"""Limits of every connection before a request is complete: sizes, times and numbers."""
