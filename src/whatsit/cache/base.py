"""What every tier of the prediction cache promises."""

from typing import Protocol

from whatsit.prediction import Prediction


class PredictionCache(Protocol):
    """Keeps predictions for a while. Implementations are safe to call from several threads."""

    def get(self, key: str) -> Prediction | None:
        """The prediction stored under `key`; None where there is none, or none any more.

        Raises:
            CacheError: The tier can't be asked now.
        """
        ...

    def put(self, key: str, prediction: Prediction) -> None:
        """Keep `prediction` under `key` until its time to live is over.

        Raises:
            CacheError: The tier can't store now.
        """
        ...

    def close(self) -> None:
        """Let go of connections; the entries of a shared tier stay."""
        ...
