"""The contract of every engine."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from whatsit.answer import Logits
from whatsit.errors import InferenceFailed
from whatsit.images.preprocess import BatchNCHW, ImageHWC
from whatsit.model_card import InputSpec, ModelCard

Features = npt.NDArray[np.float32]
"""The last feature map, shape (N, channels, h, w)."""

ClassWeights = npt.NDArray[np.float32]
"""How much each feature speaks for each class, shape (num_classes, channels)."""


_FRACTIONS = frozenset({"bfloat16", "float16", "float32", "float64"})
_WHOLE_NUMBERS = frozenset({"int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"})
"""Those that can hold 0 to 255."""


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
            pixels: Shape (size, size, 3), RGB, as `whatsit.images.preprocess.fit_image` makes them.

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
    """An optional offer of an `Engine`: what its network saw, place by place."""

    def feature_maps(self) -> FeatureMaps | None:
        """The network's feature maps, opened on the first call.

        Returns:
            None where the network does not end in pooling and one dense layer.

        Raises:
            InferenceFailed: The runtime can't open them.
        """
        ...


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of a model, as its file describes it.

    Attributes:
        name: Its name.
        shape: Its sides; None for one that differs from call to call.
        kind: Type of its numbers, as numpy names it: ``float32``, ``uint8``.
    """

    name: str
    shape: tuple[int | None, ...]
    kind: str

    @property
    def shown(self) -> str:
        """The shape for people: ``(N, 3, 224, 224)``."""
        return f"({', '.join('N' if side is None else str(side) for side in self.shape)})"


def require_image_input(ports: Sequence[Port], card: ModelCard) -> Port:
    """The input of a model that takes one picture, in the form that its card says.

    Raises:
        InferenceFailed: The model wants something else; the sentence says what, and what to do.
    """
    name, size = card.name, card.input.size
    if len(ports) > 1:
        raise InferenceFailed(
            f"The model {name!r} takes {len(ports)} inputs ({_listed(ports)}); whatsit passes "
            "one picture and nothing else. Export it with one input."
        )
    wanted = require_port("input", card.input.name, [port.name for port in ports])
    (port,) = ports
    what = f"The input {wanted!r} of the model {name!r}"
    if len(port.shape) != 4:
        raise InferenceFailed(
            f"{what} has the shape {port.shown}; a picture has (N, 3, {size}, {size}). "
            "Export it with such an input."
        )
    batch, channels, *sides = port.shape
    if channels not in (None, 3):
        if port.shape[3] in (1, 3, 4):
            raise InferenceFailed(
                f"{what} has the shape {port.shown}, with the channels last; whatsit passes them "
                f"first: (N, 3, {size}, {size}). Export it in that order "
                f"(tf2onnx: --inputs-as-nchw {wanted})."
            )
        count = "one channel" if channels == 1 else f"{channels} channels"
        raise InferenceFailed(
            f"{what} has {count}: {port.shown}. Pictures have three: red, green and blue. "
            "Export it with three."
        )
    if batch not in (None, 1):
        raise InferenceFailed(
            f"{what} takes {batch} pictures at a time: {port.shown}. whatsit passes one. "
            "Export it for one picture, or for any number."
        )
    if any(side not in (None, size) for side in sides):
        raise InferenceFailed(
            f"{what} has the shape {port.shown}, but its card says {size} x {size} pixels "
            "(input.size, --size). Write the size of the model there, and export it as a square."
        )
    if is_whole(port):
        if not _is_plain(card.input):
            raise InferenceFailed(
                f"{what} takes whole numbers ({port.kind}), so it scales the pixels itself, but "
                "its card scales them too. Write scale = 1.0, mean = [0.0, 0.0, 0.0] and "
                "std = [1.0, 1.0, 1.0] under [input]."
            )
    elif port.kind not in _FRACTIONS:
        raise InferenceFailed(
            f"{what} takes {port.kind}, which can't hold a picture. Export it with float32 or "
            "uint8."
        )
    return port


def require_scores(ports: Sequence[Port], card: ModelCard) -> Port:
    """The output of a model that gives one score for each class.

    Its shape may have sides of 1 beside the classes: (N, classes, 1, 1).

    Raises:
        InferenceFailed: The output is something else; the sentence says what.
    """
    wanted = require_port("output", card.output.name, [port.name for port in ports])
    (port,) = (port for port in ports if port.name == wanted)
    what = f"The output {wanted!r} of the model {card.name!r}"
    if port.kind not in _FRACTIONS:
        raise InferenceFailed(
            f"{what} gives {port.kind}: perhaps the number of a class, not scores. "
            "Export the model with the scores of all classes, (N, classes)."
        )
    batch, *sides = port.shape or (None,)
    wide = [side for side in sides if side not in (None, 1)]
    if len(port.shape) < 2 or batch not in (None, 1) or len(wide) > 1:
        raise InferenceFailed(
            f"{what} has the shape {port.shown}; whatsit needs one score for each class: "
            "(N, classes). Export it like that, or name another output in the card."
        )
    return port


def count_classes(port: Port) -> int | None:
    """How many scores an output has; None where the file leaves that open."""
    sides = port.shape[1:]
    return None if None in sides else math.prod(side or 1 for side in sides)


def as_logits(values: npt.NDArray[Any]) -> Logits:
    """The output of a model for one picture, shape (1, num_classes), owned by the caller."""
    return np.array(values, dtype=np.float32).reshape(1, -1)


def is_whole(port: Port) -> bool:
    """True if an input takes whole numbers, as pixels are, and so scales them itself."""
    return port.kind in _WHOLE_NUMBERS


def _is_plain(spec: InputSpec) -> bool:
    return (spec.scale, spec.mean, spec.std) == (1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def _listed(ports: Sequence[Port]) -> str:
    return ", ".join(f"{port.name!r} {port.shown}" for port in ports)


def require_port(kind: str, wanted: str | None, found: Collection[str]) -> str:
    """The name of the input or output to use.

    Args:
        kind: ``input`` or ``output``, for the sentence.
        wanted: The name on the card; None where the model has only one.
        found: The ports of the weights.

    Raises:
        InferenceFailed: The weights have no such port, or several and the card names none.
    """
    if wanted is None and len(found) == 1:
        return next(iter(found))
    if wanted in found:
        return str(wanted)
    names = ", ".join(map(repr, sorted(found)))
    if wanted is None:
        raise InferenceFailed(
            f"The weights have several {kind}s: {names}. "
            f"Write the name of the right one under [{kind}] in card.toml."
        )
    raise InferenceFailed(
        f"The card names the {kind} {wanted!r}, but the weights have {names}. "
        f"Write the right name under [{kind}] in card.toml."
    )
