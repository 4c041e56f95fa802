"""How long one answer takes."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from whatsit.classifier import Classifier
from whatsit.pipeline.evaluation import Latency
from whatsit.pipeline.manifest import (
    Picture,
    read_picture,
)

_WARM_UPS = 5
_TIMED = 100
_ROUNDS = 3


def time_answers(classifier: Classifier, data: Path, pictures: Sequence[Picture]) -> Latency:
    """Time the whole answer, from bytes to sentence, for up to 100 of the pictures."""
    # An even choice, for files that follow each other show the same class.
    step = max(1, len(pictures) // _TIMED)
    timed = [read_picture(data, picture) for picture in pictures[::step][:_TIMED]]
    for number in range(_WARM_UPS):
        classifier.classify(timed[number % len(timed)])
    rounds = []
    for _ in range(_ROUNDS):
        milliseconds = []
        for image_bytes in timed:
            start = time.perf_counter()
            classifier.classify(image_bytes)
            milliseconds.append((time.perf_counter() - start) * 1000)
        rounds.append(np.quantile(milliseconds, (0.5, 0.95)).tolist())
    # Other programs on the machine only add time, so the least disturbed round is the model's.
    p50, p95 = min(rounds)
    return Latency(round(p50, 2), round(p95, 2))
