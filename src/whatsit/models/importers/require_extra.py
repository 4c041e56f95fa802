"""The extra ``training``: what is imported only where models are made, and only when needed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from whatsit.engines.no_telemetry import silence_dependencies
from whatsit.errors import SettingsError
from whatsit.models.home import default_home


@contextmanager
def training_extra() -> Iterator[None]:
    """Says in a sentence what to install when an import inside the block finds nothing.

    What is imported does not report to its makers; see `whatsit.engines.no_telemetry`.

    Raises:
        SettingsError: Something of the extra is not installed.
    """
    silence_dependencies()
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "something").partition(".")[0]
        raise SettingsError(
            f"This needs {missing}, which is not installed. Run: pip install 'whatsit[training]'"
        ) from error


def require_training() -> None:
    """Refuse at once what would fail later without the extra; imports nothing.

    Raises:
        SettingsError: Something of the extra is not installed.
    """
    with training_extra():
        for name in ("tensorflow", "keras", "nncf", "onnx"):
            if find_spec(name) is None:
                raise ModuleNotFoundError(name=name)


def keep_keras_in(store: Path) -> None:
    """Have Keras keep its settings and what it fetches in the folder ``keras`` of a store.

    Nothing changes where it has a folder already: the one that ``KERAS_HOME`` names, or
    ``~/.keras``.
    """
    # Keras has no folder where the home is unknown (`~` stays).
    if not os.path.isdir(os.path.expanduser("~/.keras")):  # noqa: PTH111, PTH112
        os.environ.setdefault("KERAS_HOME", str(store / "keras"))


def load_keras() -> Any:
    """The module ``keras``, working on TensorFlow and saying only what matters.

    Takes some seconds the first time. Keras' folder is in the default store, unless
    `keep_keras_in` was called before.

    Raises:
        SettingsError: Keras or TensorFlow is not installed, or the program has already loaded
            Keras on something else.
    """
    keep_keras_in(default_home())
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with training_extra():
        import keras
        import tensorflow  # noqa: F401 - Keras would name its absence less kindly
    if keras.backend.backend() != "tensorflow":
        raise SettingsError("Keras runs on another backend in this program; TensorFlow is needed.")
    return keras
