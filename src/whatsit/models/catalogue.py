"""The models whatsit knows by name, and where their weights are published."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from whatsit.model_card import ModelCard, build_card, read_card

Progress = Callable[[int, int], None]
"""Called during a download: the bytes present so far, and the bytes of the whole file."""

BUNDLED_MODEL = "efficientnet-lite2"
"""Travels in the package: there is always a model to answer with."""

DEFAULT_MODEL = "resnet50"


@dataclass(frozen=True)
class CatalogueEntry:
    """A model that can be pulled by name.

    Attributes:
        card: Its complete card, digest of the weights included.
        size_bytes: Size of the weights file.
        urls: Addresses of that very file. None is trusted: only the digest in the card is.
    """

    card: ModelCard
    size_bytes: int
    urls: tuple[str, ...]


def bundled_folder() -> Path:
    """The folder of the bundled model."""
    return Path(str(resources.files("whatsit"))) / "data" / "models" / BUNDLED_MODEL


def bundled_card() -> ModelCard:
    """The card of the bundled model."""
    return read_card(bundled_folder(), trusted=True)


def catalogue() -> dict[str, CatalogueEntry]:
    """Every model that can be pulled, by name."""
    entries = (
        CatalogueEntry(
            card=_model_zoo_resnet(
                "resnet50",
                "v1_in1k",
                "ResNet-50 v1, ImageNet-1k, float32",
                "ab65bdc02c5b3123eb3cdf6dac01742438517d8635d4f233913b2be1c70db3b6",
                published_top1=0.7493,
            ),
            size_bytes=102_576_419,
            urls=_model_zoo_urls("resnet50-v1-12"),
        ),
        CatalogueEntry(
            card=_model_zoo_resnet(
                "resnet50-int8",
                "v1_in1k_int8",
                "ResNet-50 v1, ImageNet-1k, quantised to 8 bits",
                "d1a4461aeaa1c7a639a89c806b51f3ad8c228cae0039d3cefd6c6ba406dcec37",
                published_top1=0.7477,
            ),
            size_bytes=25_815_878,
            urls=_model_zoo_urls("resnet50-v1-12-int8"),
        ),
    )
    return {entry.card.name: entry for entry in entries}


def _model_zoo_resnet(
    name: str, tag: str, description: str, sha256: str, *, published_top1: float
) -> ModelCard:
    facts: dict[str, Any] = {
        "schema": 1,
        "name": name,
        "architecture": "resnet50-v1",
        "tag": tag,
        "description": description,
        "source": "ONNX Model Zoo, vision/classification/resnet",
        "licence": "Apache-2.0",
        "weights": {"file": "model.onnx", "sha256": sha256},
        # Input handling as the zoo states it for its MXNet ResNets.
        "input": {
            "size": 224,
            "resize_shorter_side": 256,
            "interpolation": "bilinear",
            "channel_order": "RGB",
            "scale": 1 / 255,
            "mean": [0.485, 0.456, 0.406],
            "std": [0.229, 0.224, 0.225],
        },
        "output": {"labels": "imagenet-1k"},
        "quality": {"published_top1": published_top1},
    }
    return build_card(facts, origin=name)


def _model_zoo_urls(stem: str) -> tuple[str, ...]:
    return (
        f"https://huggingface.co/onnxmodelzoo/{stem}/resolve/main/{stem}.onnx",
        "https://media.githubusercontent.com/media/onnx/models/main/validated/vision/"
        f"classification/resnet/model/{stem}.onnx",
    )
