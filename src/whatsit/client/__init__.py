"""Asking a running server, from Python: `Client`, and `AsyncClient` for programs with a loop.

The answers are the very objects that `whatsit.Classifier` gives, the errors those that it raises.
"""

from whatsit.client.asynchronous import AsyncClient
from whatsit.client.blocking import Client
from whatsit.client.pictures import Picture
from whatsit.client.protocol import KnownModel, Models, Outcome
from whatsit.client.retries import RetryPolicy, parse_retry_after

__all__ = [
    "AsyncClient",
    "Client",
    "KnownModel",
    "Models",
    "Outcome",
    "Picture",
    "RetryPolicy",
    "parse_retry_after",
]
