"""What every engine promises."""

from collections.abc import Collection
from typing import Protocol

from whatsit.answer import Logits
from whatsit.errors import InferenceFailed
from whatsit.preprocess import BatchNCHW


class Engine(Protocol):
    """Turns a batch into logits. Implementations are safe to call from several threads.

    Attributes:
        identity: Runtime and numeric precision, such as ``openvino-bf16``. Part of the
            fingerprint, because two precisions give slightly different scores.
        num_classes: Length of one row of logits.
    """

    identity: str
    num_classes: int

    def infer(self, batch: BatchNCHW) -> Logits:
        """Run the model.

        Args:
            batch: Shape (N, 3, size, size).

        Returns:
            Shape (N, num_classes), owned by the caller.

        Raises:
            InferenceFailed: The runtime refused the batch.
        """
        ...

    def close(self) -> None:
        """Free the model; the engine can't be used afterwards."""
        ...


def require_port(kind: str, wanted: str | None, found: Collection[str]) -> str:
    """The name of the input or output to use.

    Args:
        kind: ``input`` or ``output``, for the sentence.
        wanted: What the card says; None where the model has only one.
        found: What the weights have.

    Raises:
        InferenceFailed: The weights have no such port, or several and the card names none.
    """
    if wanted is None and len(found) == 1:
        return next(iter(found))
    if wanted in found:
        return str(wanted)
    names = ", ".join(map(repr, sorted(found)))
    raise InferenceFailed(
        f"The card names the {kind} {wanted!r}, but the weights have {names}. "
        f"Write the right name under [{kind}] in card.toml."
    )
