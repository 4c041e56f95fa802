"""The same model in 8 bits, if that costs next to nothing and gains something."""

import logging
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from whatsit.classifier import Classifier
from whatsit.errors import DatasetRejected, SettingsError
from whatsit.images.preprocess import ImageHWC, to_batch
from whatsit.model_card import ModelCard, build_card, write_card
from whatsit.models.folder import ModelFolder, open_folder, weights_digest
from whatsit.models.importers.require_extra import training_extra
from whatsit.pipeline.candidate import open_candidate
from whatsit.pipeline.evaluate import measure_split
from whatsit.pipeline.graph import computes_in_8_bits, unpack_weights
from whatsit.pipeline.manifest import Manifest, Picture, Split, read_manifest, read_picture
from whatsit.pipeline.report import write_report
from whatsit.pipeline.truth import match_classes
from whatsit.quality.measurements import Measurements

_RUNS = 60
_WARM_UPS = 5
_LEAST_OPSET = 13
"""From here on ONNX can quantise each channel by itself."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parity:
    """How the 8-bit form compares with the float32 one.

    Attributes:
        split: Of which the pictures are.
        pictures: How many there are.
        top1_before: How often the best label is right in float32.
        top1_after: The same in 8 bits.
        agreement: How often both name the same label.
        mean_logit_difference: Mean of absolute differences.
        max_logit_difference: The largest one.
        bytes_before: Size of the float32 weights file.
        bytes_after: The same in 8 bits.
        latency_ms_before: Median of one inference on this machine, float32.
        latency_ms_after: The same in 8 bits.
    """

    split: Split
    pictures: int
    top1_before: float
    top1_after: float
    agreement: float
    mean_logit_difference: float
    max_logit_difference: float
    bytes_before: int
    bytes_after: int
    latency_ms_before: float
    latency_ms_after: float

    def objection(self, max_drop: float) -> str | None:
        """Why the float32 form is kept, as a sentence; None where the 8-bit form is the better.

        Where the pictures are so few that one of them weighs more than the limit, one may change.
        """
        limit = max(max_drop, 1 / self.pictures)
        drop = self.top1_before - self.top1_after
        if drop > limit + 1e-9:
            return f"8 bits cost {drop:.4f} of top-1; the limit is {limit:.4f}."
        if self.latency_ms_after >= self.latency_ms_before:
            return (
                f"8 bits take {self.latency_ms_after:.2f} ms, "
                f"float32 {self.latency_ms_before:.2f} ms."
            )
        return None


def optimise(
    data: Path,
    manifest: Path,
    out: Path,
    *,
    model: str | Path,
    calibration_images: int = 300,
    max_drop: float = 0.01,
    seed: int = 0,
    store: Path | None = None,
) -> Path:
    """Quantise a model to 8 bits, and keep it so if it is as good and faster.

    Ranges are fitted on pictures of the train split; the two forms are compared on the validation
    split. The test split is not looked at.

    Args:
        data: Folder of the pictures.
        manifest: Folder that `whatsit.pipeline.prepare` wrote.
        out: Becomes the model folder, with ``report.json``.
        model: A model folder or the name of a model.
        calibration_images: At most so many pictures fit the ranges.
        max_drop: Top-1 that 8 bits may cost.
        seed: Of the choice of pictures.
        store: Folder of the model store; the user's own by default.

    Returns:
        The model folder, which is `out`: in 8 bits, or the model as it was. The report's
        ``kept`` says which, and ``reason`` why.

    Raises:
        SettingsError: An argument is impossible, or the extra ``training`` is missing.
        DatasetRejected: The pictures can't be used.
        UnknownModel: The model is unknown.
        ModelError: The model can't be used.
    """
    start = time.perf_counter()
    if calibration_images < 1:
        raise SettingsError(f"calibration_images is {calibration_images}; it must be at least 1.")
    if not 0 <= max_drop <= 1:
        raise SettingsError(f"max_drop is {max_drop}; it must lie between 0 and 1.")
    with training_extra():
        import onnx

    dataset = read_manifest(manifest)
    before = open_candidate(model, store)
    network = onnx.load(before.weights)
    out.mkdir(parents=True, exist_ok=True)
    facts: dict[str, Any] = {"data_sha256": dataset.data_sha256, "kept": "as it was"}
    if computes_in_8_bits(network):
        facts["reason"] = "The model computes in 8 bits already."
        _copy(before, out)
    else:
        chosen = _choose(dataset, calibration_images, seed)
        facts |= {"calibration_images": len(chosen), "seed": seed, "nncf": version("nncf")}
        with tempfile.TemporaryDirectory(prefix="whatsit-", dir=out) as temporary:
            folder = Path(temporary)
            crops = _crops(before, data, chosen)
            onnx.save(_quantise(network, crops, before.card), folder / "model.onnx")
            after = _as_folder(before, folder, len(chosen), dataset)
            parity = _compare(before, after, data, dataset, crops[0])
            objection = parity.objection(max_drop)
            facts |= {"reason": objection, "parity": _rounded(parity)}
            facts["limit"] = round(max(max_drop, 1 / parity.pictures), 6)
            if objection is None:
                facts |= {"kept": "int8", "reason": "As good, and faster."}
            _copy(before if objection else after, out)
    _log.info("Kept %s: %s", facts["kept"], facts["reason"])
    kept = open_folder(out)
    facts["model"] = {"name": kept.card.name, "weights_sha256": kept.card.weights.sha256}
    arguments = {
        "data": data,
        "manifest": manifest,
        "out": out,
        "model": model,
        "calibration_images": calibration_images,
        "max_drop": max_drop,
        "seed": seed,
        "store": store,
    }
    write_report(out, "optimise", arguments, facts, time.perf_counter() - start)
    return out


def _choose(dataset: Manifest, count: int, seed: int) -> list[Picture]:
    pictures = dataset.pictures_of("train") or dataset.pictures_of("validation")
    if not pictures:
        raise DatasetRejected("The ranges can't be fitted without pictures.")
    rows = np.random.default_rng(seed).permutation(len(pictures))[:count]
    return [pictures[row] for row in sorted(rows.tolist())]


def _crops(model: ModelFolder, data: Path, pictures: Sequence[Picture]) -> list[ImageHWC]:
    with Classifier.from_folder(model) as classifier:
        return [classifier.prepare(read_picture(data, picture))[0] for picture in pictures]


def _quantise(network: Any, crops: Sequence[ImageHWC], card: ModelCard) -> Any:
    # It would report every run to its makers.
    os.environ.setdefault("NNCF_CI", "1")
    with training_extra():
        import nncf
        from nncf.quantization.advanced_parameters import OverflowFix
        from onnx import checker, version_converter

    unpack_weights(network)
    opset = next(entry.version for entry in network.opset_import if entry.domain == "")
    if opset < _LEAST_OPSET:
        network = version_converter.convert_version(network, _LEAST_OPSET)
    name = card.input.name or network.graph.input[0].name
    quantised = nncf.quantize(
        network,
        nncf.Dataset(list(crops), lambda crop: {name: to_batch(crop, card.input)}),
        preset=nncf.QuantizationPreset.PERFORMANCE,
        subset_size=len(crops),
        fast_bias_correction=True,
        # Without it processors that lack VNNI saturate.
        advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=OverflowFix.ENABLE),
    )
    checker.check_model(quantised)
    return quantised


def _as_folder(before: ModelFolder, folder: Path, pictures: int, dataset: Manifest) -> ModelFolder:
    facts = before.card.model_dump(by_alias=True, exclude_none=True)
    facts["weights"] = {"sha256": weights_digest(folder / "model.onnx")}
    facts["tag"] = "_".join(part for part in (before.card.tag, "int8") if part)
    facts["description"] = f"{before.card.description}, in 8 bits".removeprefix(", ")
    # Measured of the other weights.
    facts["quality"] = {}
    facts["provenance"] = {
        **before.card.provenance,
        "float32_weights_sha256": before.card.weights.sha256,
        "nncf": version("nncf"),
        "quantisation": "preset performance, fast bias correction, overflow fix enable",
        "calibration_images": pictures,
        "calibration_data_sha256": dataset.data_sha256,
    }
    write_card(folder, build_card(facts))
    _copy_labels(before, folder)
    return open_folder(folder)


def _compare(
    before: ModelFolder, after: ModelFolder, data: Path, dataset: Manifest, crop: ImageHWC
) -> Parity:
    split: Split = "validation" if dataset.pictures_of("validation") else "train"
    if all(index is None for index in match_classes(dataset.classes, before.labels)):
        raise DatasetRejected(f"The model {before.card.name!r} knows none of the data's classes.")
    with Classifier.from_folder(before) as one, Classifier.from_folder(after) as other:
        measured = [measure_split(classifier, data, dataset, split) for classifier in (one, other)]
        latencies = _time_side_by_side(one, other, crop)
    answers = [each.logits.argmax(axis=1) for each in measured]
    difference = np.abs(measured[0].logits - measured[1].logits)
    return Parity(
        split=split,
        pictures=len(measured[0]),
        top1_before=_top1(measured[0], answers[0]),
        top1_after=_top1(measured[1], answers[1]),
        agreement=float((answers[0] == answers[1]).mean()),
        mean_logit_difference=float(difference.mean()),
        max_logit_difference=float(difference.max()),
        bytes_before=before.weights.stat().st_size,
        bytes_after=after.weights.stat().st_size,
        latency_ms_before=latencies[0],
        latency_ms_after=latencies[1],
    )


def _top1(measured: Measurements, answers: npt.NDArray[np.intp]) -> float:
    return float((answers == measured.class_indices).mean())


def _time_side_by_side(one: Classifier, other: Classifier, crop: ImageHWC) -> tuple[float, float]:
    """Median milliseconds of both, taken in turns so that a busy machine is busy for both."""
    spent: tuple[list[float], list[float]] = ([], [])
    for run in range(_WARM_UPS + _RUNS):
        for classifier, times in zip((one, other), spent, strict=True):
            start = time.perf_counter()
            classifier.engine.infer(crop)
            if run >= _WARM_UPS:
                times.append((time.perf_counter() - start) * 1000)
    return float(np.median(spent[0])), float(np.median(spent[1]))


def _copy(model: ModelFolder, out: Path) -> None:
    shutil.copyfile(model.weights, out / model.card.weights.file)
    _copy_labels(model, out)
    write_card(out, model.card)


def _copy_labels(model: ModelFolder, out: Path) -> None:
    labels = model.weights.parent / model.card.output.labels
    if labels.is_file():
        shutil.copyfile(labels, out / labels.name)


def _rounded(parity: Parity) -> dict[str, Any]:
    return {
        name: round(value, 6) if isinstance(value, float) else value
        for name, value in asdict(parity).items()
    }
