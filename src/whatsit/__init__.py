"""whatsit: show it a picture; it tells you what it is, in words.

Example:
    >>> from whatsit import Classifier
    >>> Classifier.__name__
    'Classifier'
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whatsit.classifier import Classifier as Classifier
    from whatsit.client import AsyncClient as AsyncClient
    from whatsit.client import Client as Client
    from whatsit.errors import WhatsitError as WhatsitError
    from whatsit.prediction import Answer as Answer
    from whatsit.prediction import Prediction as Prediction
    from whatsit.prediction import Reply as Reply
    from whatsit.prediction import ScoredLabel as ScoredLabel

__version__ = "0.1.0"

_HOMES = {
    "Answer": "whatsit.prediction",
    "AsyncClient": "whatsit.client",
    "Classifier": "whatsit.classifier",
    "Client": "whatsit.client",
    "Prediction": "whatsit.prediction",
    "Reply": "whatsit.prediction",
    "ScoredLabel": "whatsit.prediction",
    "WhatsitError": "whatsit.errors",
}

__all__ = [
    "Answer",
    "AsyncClient",
    "Classifier",
    "Client",
    "Prediction",
    "Reply",
    "ScoredLabel",
    "WhatsitError",
    "__version__",
]


def __getattr__(name: str) -> Any:  # any of the names above
    # Loading the engine takes most of a second; who only wants the version need not wait.
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'whatsit' has no attribute {name!r}")
