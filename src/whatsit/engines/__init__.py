"""Runtimes that turn pixels into logits, chosen by name."""

from collections.abc import Callable
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from whatsit.engines.base import Engine
from whatsit.engines.no_telemetry import silence_dependencies
from whatsit.errors import SettingsError
from whatsit.model_card import ModelCard

__all__ = ["Engine", "engine_names", "open_engine"]

# Every import of an engine from here passes through this module.
silence_dependencies()

EngineFactory = Callable[[Path, ModelCard], Engine]


def _open_openvino(weights: Path, card: ModelCard) -> Engine:
    from whatsit.engines.openvino import OpenVinoEngine

    return OpenVinoEngine(weights, card)


def _open_onnxruntime(weights: Path, card: ModelCard) -> Engine:
    if find_spec("onnxruntime") is None:
        raise SettingsError(
            "The engine 'onnxruntime' is not installed. Run: pip install 'whatsit[onnxruntime]'"
        )
    from whatsit.engines.onnxruntime import OnnxRuntimeEngine

    return OnnxRuntimeEngine(weights, card)


_BUILT_IN: dict[str, EngineFactory] = {
    "openvino": _open_openvino,
    "onnxruntime": _open_onnxruntime,
}


def engine_names() -> tuple[str, ...]:
    """The names `open_engine` takes: ours, and those of installed plug-ins."""
    return (*_BUILT_IN, *(point.name for point in entry_points(group="whatsit.engines")))


def open_engine(name: str, weights: Path, card: ModelCard) -> Engine:
    """Load a model's weights into the engine of that name.

    Args:
        name: One of `engine_names`. Plug-ins offer theirs in the entry-point group
            ``whatsit.engines``, as a callable with the two other arguments.
        weights: ONNX file whose digest has been checked.
        card: How the model wants its pixels, and the names of its input and output.

    Raises:
        SettingsError: The engine is unknown.
        InferenceFailed: The engine can't load these weights.
    """
    if name in _BUILT_IN:
        return _BUILT_IN[name](weights, card)
    for point in entry_points(group="whatsit.engines", name=name):
        factory: EngineFactory = point.load()
        return factory(weights, card)
    raise SettingsError(f"The engine {name!r} is unknown. Known: {', '.join(engine_names())}.")
