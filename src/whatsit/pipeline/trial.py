"""A look at a model's answers before it is stored or goes live."""

import numpy as np

from whatsit.answer import Logits
from whatsit.classifier import Classifier, complain_of_activation
from whatsit.data import example_pictures
from whatsit.errors import InferenceFailed
from whatsit.models.folder import ModelFolder


def require_running(folder: ModelFolder, engine: str = "openvino") -> None:
    """Open a model, ask it about the example pictures, and close it.

    Args:
        folder: The model.
        engine: Name of the engine to run it with.

    Raises:
        ModelError: It does not run, its labels do not fit, or see `require_sensible`.
    """
    with Classifier.from_folder(folder, engine=engine) as classifier:
        require_sensible(classifier)


def require_sensible(classifier: Classifier) -> None:
    """Ask a model about the example pictures and judge the answers, without knowing what is right.

    Raises:
        InferenceFailed: It gives no answer, or one without scores; the answers contradict the
            card; or all of them are the same.
    """
    outputs: list[Logits] = []
    for image_bytes in example_pictures().values():
        pixels, facts = classifier.prepare(image_bytes)
        classifier.predict(pixels, facts)
        outputs.append(classifier.engine.infer(pixels))
    if (complaint := complain_of_activation(outputs, classifier.card)) is not None:
        raise InferenceFailed(complaint)
    if len(classifier.labels) > 1 and all(np.array_equal(outputs[0], one) for one in outputs):
        raise InferenceFailed(
            f"The model {classifier.card.name!r} gives the same answer to every picture. Its "
            "weights are damaged, or scale, mean and std in its card are not those it was trained "
            "with."
        )
