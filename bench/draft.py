"""Measure the gain and the cost of decoding JPEGs at reduced size: ``make bench-draft``.

The photographs are enlarged four times and saved as JPEG again, to about the size that a phone
makes; then each is answered twice, decoded in full and decoded at reduced size.
"""

import csv
import io
import os
import statistics
import sys
import time
from pathlib import Path

from PIL import Image

from whatsit.classifier import Classifier
from whatsit.images.decode import decode_image
from whatsit.images.preprocess import fit_image
from whatsit.models.folder import open_folder

ENLARGEMENT = 4


def main() -> int:
    """Print one line a model: time, accuracy and agreement of both ways."""
    shared = Path(os.environ.get("WHATSIT_SHARED", "../shared"))
    folder = shared / "images" / "photos300"
    if not folder.is_dir():
        print(f"{folder} is missing; set WHATSIT_SHARED.")
        return 1
    with (folder / "labels.csv").open() as table:
        rows = [(row["file"], int(row["class_index"])) for row in csv.DictReader(table)]
    pictures = [(_enlarge((folder / file).read_bytes()), index) for file, index in rows]
    models = [
        Classifier.load("efficientnet-lite2"),
        Classifier.from_folder(open_folder(shared / "models" / "resnet50-tf")),
    ]
    for classifier in models:
        with classifier:
            _compare(classifier, pictures)
    return 0


def _compare(classifier: Classifier, pictures: list[tuple[bytes, int]]) -> None:
    spec = classifier.card.input
    full, reduced, seconds = [], [], {True: [], False: []}  # type: ignore[var-annotated]
    for image_bytes, _ in pictures:
        for answers, side in ((full, None), (reduced, spec.resize_shorter_side)):
            start = time.perf_counter()
            image = decode_image(image_bytes, shorter_side=side).pixels
            pixels = fit_image(image, spec)
            seconds[side is None].append(time.perf_counter() - start)
            answers.append(int(classifier.engine.infer(pixels)[0].argmax()))
    truth = [index for _, index in pictures]
    right = [
        statistics.mean(got == wanted for got, wanted in zip(answers, truth, strict=True))
        for answers in (full, reduced)
    ]
    same = statistics.mean(a == b for a, b in zip(full, reduced, strict=True))
    print(
        f"{classifier.card.name}: decode + preprocess {statistics.median(seconds[True]) * 1e3:.0f}"
        f" -> {statistics.median(seconds[False]) * 1e3:.0f} ms, top-1 {right[0]:.3f} ->"
        f" {right[1]:.3f}, same answer {same:.3f} of {len(pictures)} pictures"
    )


def _enlarge(image_bytes: bytes) -> bytes:
    image = Image.open(io.BytesIO(image_bytes)).convert("RGB")
    size = (image.width * ENLARGEMENT, image.height * ENLARGEMENT)
    enlarged = io.BytesIO()
    image.resize(size, Image.Resampling.LANCZOS).save(enlarged, "JPEG", quality=90)
    return enlarged.getvalue()


if __name__ == "__main__":
    sys.exit(main())
