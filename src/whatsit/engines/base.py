"""What every engine promises."""

from collections.abc import Collection
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from whatsit.answer import Logits
from whatsit.errors import InferenceFailed
from whatsit.preprocess import BatchNCHW, ImageHWC

Features = npt.NDArray[np.float32]
"""The last feature map, shape (N, channels, h, w)."""

ClassWeights = npt.NDArray[np.float32]
"""How much each feature speaks for each class, shape (num_classes, channels)."""


class Engine(Protocol):
    """Turns pixels into logits. Implementations are safe to call from several threads.

    Attributes:
        identity: Runtime and numeric precision, such as ``openvino-bf16``. Part of the
            fingerprint, because two precisions give slightly different scores.
        num_classes: Length of one row of logits.
    """

    identity: str
    num_classes: int

    def infer(self, pixels: ImageHWC) -> Logits:
        """Normalise one image as the card says and run the model.

        Args:
            pixels: Shape (size, size, 3), RGB, as `whatsit.preprocess.fit_image` makes them.

        Returns:
            Shape (1, num_classes), owned by the caller.

        Raises:
            InferenceFailed: The runtime refused the pixels.
        """
        ...

    def close(self) -> None:
        """Free the model; the engine can't be used afterwards."""
        ...


class FeatureMaps(Protocol):
    """A network whose logits are the mean of weighted features. Safe to call from several threads.

    Attributes:
        class_weights: Those of the dense layer at the end.
    """

    class_weights: ClassWeights

    def infer(self, batch: BatchNCHW) -> tuple[Logits, Features]:
        """Run the model and keep its last feature map; both results are the caller's.

        Raises:
            InferenceFailed: The runtime refused the batch.
        """
        ...


@runtime_checkable
class Explainable(Protocol):
    """What an `Engine` may offer beside: a look at what its network saw, place by place."""

    def feature_maps(self) -> FeatureMaps | None:
        """The network's feature maps, opened on the first call.

        Returns:
            None where the network does not end in pooling and one dense layer.

        Raises:
            InferenceFailed: The runtime can't open them.
        """
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
