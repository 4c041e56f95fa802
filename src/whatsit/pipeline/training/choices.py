"""How to train, and the result of training."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Mode = Literal["head", "full"]


@dataclass(frozen=True)
class Choices:
    """How to train.

    Attributes:
        epochs: At most; fewer where the validation split stops getting better.
        batch_size: Pictures in a step.
        learning_rate: None for the mode's own.
        seed: Of everything random.
        weights: For mode ``full``: ``imagenet``, ``random`` or a weights file without top.
        image_size: For mode ``full``: side of the input, pixels.
        checkpoints: For mode ``full``: folder to go on from and to write to.
        checkpoint_steps: For mode ``full``: how often to write, beside after each epoch.
    """

    epochs: int = 30
    batch_size: int = 32
    learning_rate: float | None = None
    seed: int = 0
    weights: str = "imagenet"
    image_size: int | None = None
    checkpoints: Path | None = None
    checkpoint_steps: int = 200


@dataclass(frozen=True)
class Trained:
    """The result of a mode; the weights are in the folder as ``model.onnx``.

    Attributes:
        card: Tables of the card that the mode decides.
        facts: For the report.
    """

    card: dict[str, Any]
    facts: dict[str, Any] = field(default_factory=dict)
