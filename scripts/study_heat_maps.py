"""Do heat maps point to what they are asked for? Writes docs/reports/heat-maps.{json,md}.

Two photographs of different classes are put side by side. Asked for the class of one of them, the
heat map has to lie on its half. Pairs count where the model names both photographs rightly on
their own and still has both labels among its five best for the pair.

    python -m scripts.study_heat_maps --shared ../shared
"""

import argparse
import csv
import io
import json
import platform
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from whatsit.classifier import Classifier, Stopwatch
from whatsit.data import example_pictures
from whatsit.engines.base import Engine
from whatsit.explain import Grid, explain
from whatsit.images.overlay import draw_picture
from whatsit.model_card import InputSpec
from whatsit.models.catalogue import bundled_folder
from whatsit.models.folder import open_folder
from whatsit.picture import Picture
from whatsit.prediction import HeatMapMethod

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / "docs" / "reports"
EXAMPLE = ROOT / "docs" / "images" / "why-bee.png"

REQUIRED_RATIO = 0.90
"""Of the pairs that count."""

_SEED = 20
_AMONG_BEST = 5
_GREY = (124, 116, 104)
_TIMED_RUNS = 100


@dataclass(frozen=True)
class Photo:
    """A labelled photograph."""

    path: Path
    class_index: int


@dataclass(frozen=True)
class PairResult:
    """The result of the two heat maps of one pair.

    Attributes:
        counts: True if both labels are among the best for the pair.
        mass_ratios: Of each map, how much of its mass lies on the right half, 0 to 1.
        peaks_right: Of each map, whether its highest place lies there.
    """

    left: str
    right: str
    counts: bool
    mass_ratios: tuple[float, float]
    peaks_right: tuple[bool, bool]

    @property
    def is_right(self) -> bool:
        """True if both maps have most of their mass on their half."""
        return min(self.mass_ratios) > 0.5


@dataclass(frozen=True)
class StudyResult:
    """All pairs of one model and one method.

    Attributes:
        pairs_tried: Both photographs are named rightly on their own.
        pairs_tried_right_ratio: Of these, whether or not they count; None where only pairs that
            count were looked at.
    """

    model: str
    method: str
    grid: tuple[int, int]
    pairs_tried: int
    pairs_tried_right_ratio: float | None
    pairs_counted: int
    pairs_right_ratio: float
    maps_right_ratio: float
    peaks_right_ratio: float
    mean_mass_ratio: float
    wrong: list[PairResult]


@dataclass(frozen=True)
class Timing:
    """Medians of alternating calls, milliseconds; ratios are medians over the pairs of calls.

    Attributes:
        inference_ms: The engine's part of an answer: batch to logits.
        heat_map_ms: Batch to heat map: the inference, the best class, its map, scaled to 0..1.
        classify_ms: Image bytes to prediction.
        explain_ms: Image bytes to heat map, without drawing it.
    """

    model: str
    inference_ms: float
    heat_map_ms: float
    heat_map_ratio: float
    classify_ms: float
    explain_ms: float
    explain_ratio: float


def read_photos(folder: Path) -> list[Photo]:
    """The labelled photographs of a folder."""
    with (folder / "labels.csv").open(encoding="utf-8") as table:
        return [
            Photo(folder / row["file"], int(row["class_index"])) for row in csv.DictReader(table)
        ]


def draw_pairs(photos: list[Photo], count: int) -> Iterator[tuple[Photo, Photo]]:
    """Random pairs of different classes; the same ones every time."""
    random = np.random.default_rng(_SEED)
    for _ in range(count):
        left, right = (photos[number] for number in random.choice(len(photos), 2, replace=False))
        if left.class_index != right.class_index:
            yield left, right


def join_photos(left: Path, right: Path, spec: InputSpec) -> bytes:
    """Two squares side by side, in the middle of a grey square, as PNG.

    The model's resize leaves the square as it is, and its crop cuts off nothing but grey.
    """
    canvas = Image.new("RGB", (spec.resize_shorter_side, spec.resize_shorter_side), _GREY)
    half = spec.size // 2
    corner = round((spec.resize_shorter_side - spec.size) / 2)
    for number, path in enumerate((left, right)):
        with Image.open(path) as photo:
            square = ImageOps.fit(photo.convert("RGB"), (half, half), Image.Resampling.LANCZOS)
        canvas.paste(square, (corner + number * half, corner + half // 2))
    encoded = io.BytesIO()
    canvas.save(encoded, "PNG", compress_level=1)
    return encoded.getvalue()


def mass_on_left(grid: Grid) -> float:
    """How much of a map lies on the left half, 0 to 1; a middle column counts for both halves."""
    by_column = grid.sum(axis=0, dtype=np.float64)
    middle = len(by_column) / 2
    shares = np.clip(middle - np.arange(len(by_column)), 0, 1)
    total = by_column.sum()
    return float(by_column @ shares / total) if total else 0.5


def judge_pair(
    classifier: Classifier, left: Photo, right: Photo, *, only_if_it_counts: bool = True
) -> PairResult | None:
    """Ask for the maps of both labels of a pair; None where it does not count and need not."""
    pair = join_photos(left.path, right.path, classifier.card.input)
    best = [entry.index for entry in classifier.classify(pair).top[:_AMONG_BEST]]
    counts = left.class_index in best and right.class_index in best
    if only_if_it_counts and not counts:
        return None
    grids = [explain(classifier, pair, photo.class_index).grid for photo in (left, right)]
    masses = mass_on_left(grids[0]), 1 - mass_on_left(grids[1])
    peaks = [int(grid.argmax()) % grid.shape[1] + 0.5 for grid in grids]
    middle = grids[0].shape[1] / 2
    return PairResult(
        left.path.name,
        right.path.name,
        counts,
        (round(masses[0], 4), round(masses[1], 4)),
        (peaks[0] <= middle, peaks[1] >= middle),
    )


def study_pairs(
    classifier: Classifier, photos: list[Photo], method: HeatMapMethod, wanted: int
) -> StudyResult:
    """Judge pairs until `wanted` of them count."""
    right_alone: dict[Path, bool] = {}

    def is_right_alone(photo: Photo) -> bool:
        if photo.path not in right_alone:
            best = classifier.classify(photo.path).top[0].index
            right_alone[photo.path] = best == photo.class_index
        return right_alone[photo.path]

    tried, judged, results = 0, list[PairResult](), list[PairResult]()
    only_if_it_counts = method == "occlusion"  # a map takes seconds
    for left, right in draw_pairs(photos, 20 * wanted):
        if len(results) == wanted:
            break
        if is_right_alone(left) and is_right_alone(right):
            tried += 1
            result = judge_pair(classifier, left, right, only_if_it_counts=only_if_it_counts)
            judged += [result] if result is not None else []
            results += [result] if result is not None and result.counts else []
    example = explain(classifier, example_pictures()["bee"])
    assert example.method == method
    height, width = example.grid.shape
    masses = [mass for result in results for mass in result.mass_ratios]
    return StudyResult(
        model=classifier.card.name,
        method=method,
        grid=(height, width),
        pairs_tried=tried,
        pairs_tried_right_ratio=(
            None if only_if_it_counts else ratio([result.is_right for result in judged])
        ),
        pairs_counted=len(results),
        pairs_right_ratio=ratio([result.is_right for result in results]),
        maps_right_ratio=ratio([mass > 0.5 for mass in masses]),
        peaks_right_ratio=ratio([peak for result in results for peak in result.peaks_right]),
        mean_mass_ratio=round(statistics.mean(masses), 4),
        wrong=[result for result in results if not result.is_right],
    )


def ratio(claims: list[bool]) -> float:
    """How many of them hold, 0 to 1."""
    return round(sum(claims) / len(claims), 4)


class EngineWithoutFeatures:
    """An engine that only answers, as ONNX Runtime or a plug-in does."""

    def __init__(self, engine: Engine) -> None:
        self.identity = engine.identity
        self.num_classes = engine.num_classes
        self.infer = engine.infer
        self.close = engine.close


@contextmanager
def open_classifier(folder: Path, method: HeatMapMethod) -> Iterator[Classifier]:
    """A warm classifier whose heat maps are made by one method."""
    with Classifier.from_folder(open_folder(folder)) as classifier:
        if method == "occlusion":
            engine = EngineWithoutFeatures(classifier.engine)
            classifier = Classifier(classifier.card, classifier.labels, engine)
        explain(classifier, example_pictures()["bee"])
        yield classifier


def measure_time(classifier: Classifier) -> Timing:
    """Time heat maps against plain answers, in turns."""
    picture = example_pictures()["bee"]
    rows = []
    for _ in range(_TIMED_RUNS):
        answering, explaining = Stopwatch(), Stopwatch()
        with answering.measure("total"):
            classifier.classify(picture, sha256="0" * 64, stopwatch=answering)
        with explaining.measure("total"):
            explain(classifier, Picture(picture, "0" * 64), stopwatch=explaining)
        answer, map_ = answering.timings_ms, explaining.timings_ms
        rows.append((answer["infer"], map_["explain"], answer["total"], map_["total"]))
    times = np.array(rows)
    inference, mapped, classified, explained = (round(float(t), 2) for t in np.median(times, 0))
    return Timing(
        model=classifier.card.name,
        inference_ms=inference,
        heat_map_ms=mapped,
        heat_map_ratio=round(float(np.median(times[:, 1] / times[:, 0])), 3),
        classify_ms=classified,
        explain_ms=explained,
        explain_ratio=round(float(np.median(times[:, 3] / times[:, 2])), 3),
    )


def write_example(classifier: Classifier) -> None:
    """Draw the map of the bundled bee for the documents, smaller than a page needs."""
    picture = example_pictures()["bee"]
    overlay = Image.open(io.BytesIO(draw_picture(picture, explain(classifier, picture))))
    overlay.thumbnail((400, 400))
    EXAMPLE.parent.mkdir(parents=True, exist_ok=True)
    overlay.save(EXAMPLE, optimize=True)


def format_report(results: list[StudyResult], timings: list[Timing]) -> str:
    """The report for people."""
    lines = [
        "# Heat maps point to what they are asked for",
        "",
        "Written by `python -m scripts.study_heat_maps`; figures are in `heat-maps.json`.",
        "",
        "Two photographs of different classes (from a set of 300, seed fixed) stand side by side",
        "in a grey square, so that the crop cuts off neither. A pair counts if the model names",
        "both photographs rightly on their own, and has both labels among its five best for the",
        "pair. It is right if the map of each of the two labels has more than half of its mass on",
        "its own half; a coin would be right on 25 % of the pairs. The last column takes every",
        "pair whose photographs are named rightly on their own, also where the pair has hidden",
        "one of them from the model.",
        "",
        "| model | method | grid | pairs that count | pairs right | maps right | peaks right "
        "| mean mass on its half | all pairs right |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        ratios = (
            f"{value:.1%}"
            for value in (
                result.pairs_right_ratio,
                result.maps_right_ratio,
                result.peaks_right_ratio,
                result.mean_mass_ratio,
            )
        )
        height, width = result.grid
        everything = (
            "not measured"
            if result.pairs_tried_right_ratio is None
            else f"{result.pairs_tried_right_ratio:.1%} of {result.pairs_tried}"
        )
        lines.append(
            f"| {result.model} | {result.method} | {height} x {width} "
            f"| {result.pairs_counted} | {' | '.join(ratios)} | {everything} |"
        )
    lines += [
        "",
        "`occlusion` is what other networks and engines get; here the same engine, with a budget",
        "of two seconds a map. Its grid is what the budget allowed on this machine.",
        "",
        "## Time",
        "",
        f"Medians of {_TIMED_RUNS} rounds of alternating calls. *Heat map* is one inference with",
        "the feature map as second output, the choice of the best class, its map and the scaling;",
        "it has neither decoding nor drawing in it. *Explain* goes from image bytes to heat map",
        "as *classify* goes to the answer; neither looks into the cache, and no PNG is drawn.",
        "",
        "| model | inference | heat map | ratio | classify | explain | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {timing.model} | {timing.inference_ms:.1f} ms | {timing.heat_map_ms:.1f} ms "
        f"| {timing.heat_map_ratio:.2f} | {timing.classify_ms:.1f} ms "
        f"| {timing.explain_ms:.1f} ms | {timing.explain_ratio:.2f} |"
        for timing in timings
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run the study; 1 if a model's activation maps point elsewhere too often."""
    parser = argparse.ArgumentParser(description="Do heat maps point to what they are asked for?")
    parser.add_argument("--shared", type=Path, required=True, help="real models and pictures")
    parser.add_argument("--pairs", type=int, default=200, help="that count, for activation maps")
    parser.add_argument("--covered", type=int, default=40, help="that count, for occlusion")
    options = parser.parse_args()
    photos = read_photos(options.shared / "images" / "photos300")
    results, timings = list[StudyResult](), list[Timing]()
    methods: tuple[tuple[HeatMapMethod, int], ...] = (
        ("activation", options.pairs),
        ("occlusion", options.covered),
    )
    for folder in (bundled_folder(), options.shared / "models" / "resnet50-tf"):
        for method, wanted in methods:
            with open_classifier(folder, method) as classifier:
                if method == "activation":
                    timings.append(measure_time(classifier))
                    if folder == bundled_folder():
                        write_example(classifier)
                results.append(study_pairs(classifier, photos, method, wanted))
                print(results[-1], file=sys.stderr)
    report = {
        "machine": platform.machine(),
        "seed": _SEED,
        "pictures": "photos300",
        "results": [asdict(result) for result in results],
        "timings": [asdict(timing) for timing in timings],
    }
    REPORTS.mkdir(parents=True, exist_ok=True)
    (REPORTS / "heat-maps.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    text = format_report(results, timings)
    (REPORTS / "heat-maps.md").write_text(text, encoding="utf-8")
    print(text)
    is_good = all(
        result.pairs_right_ratio >= REQUIRED_RATIO
        for result in results
        if result.method == "activation"
    )
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
