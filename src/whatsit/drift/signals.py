"""The numbers of an answered picture that show whether pictures have changed."""

from whatsit.familiarity import STATISTICS, PixelStatistics
from whatsit.prediction import Prediction

SIGNALS = (
    *("score", "margin", "certainty", "familiarity"),
    *("shorter_side", "aspect_ratio"),
    *STATISTICS,
)
"""The signals that are watched, if the model gives them and its card has a reference."""
SHAPE_SIGNALS = frozenset({"shorter_side", "aspect_ratio"})
"""Signals that the model hardly sees, as it scales and crops every picture; no verdict follows
from them."""
CERTAINTIES = ("sure", "probably", "unsure", "unrecognised")
"""The signal ``certainty`` counts answers by their place in here."""


def describe_signals(
    prediction: Prediction, familiarity: float | None, statistics: PixelStatistics | None
) -> dict[str, float]:
    """The value of each of the `SIGNALS` for one answered picture.

    Args:
        prediction: The answer.
        familiarity: As `whatsit.familiarity.familiarity`; None where the model has no profile.
        statistics: As `whatsit.familiarity.describe_pixels`; None where the model has no profile.

    Returns:
        Without the signals that the model does not give. The index does not change where a
        scale is bent, so sizes stay pixels rather than logarithms.
    """
    answer, image = prediction.answer, prediction.image
    best, *others = prediction.top[:2]
    certainty = answer.certainty if answer.recognised else "unrecognised"
    signals = {
        "score": best.score,
        "margin": best.score - (others[0].score if others else 0.0),
        "certainty": float(CERTAINTIES.index(certainty)),
        "shorter_side": float(min(image.width, image.height)),
        "aspect_ratio": image.width / image.height,
    }
    if familiarity is not None:
        signals["familiarity"] = familiarity
    if statistics is not None:
        signals.update(zip(STATISTICS, statistics.tolist(), strict=True))
    return signals
