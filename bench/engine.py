"""The floor of many new pictures: OpenVINO's own throughput, and decoding beside it.

Run in a process of its own, with a model and a folder of pictures; prints one line of JSON.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import openvino as ov

from whatsit.images.decode import decode_image
from whatsit.images.preprocess import fit_image, to_batch
from whatsit.models.resolve import resolve_model
from whatsit.models.store import ModelStore

SECONDS = 3.0


def main() -> int:
    """Measure the model named on the command line: home, name, folder of pictures."""
    home, name, folder = sys.argv[1:]
    model = resolve_model(ModelStore(Path(home)), name).folder
    spec = model.card.input
    batches = []
    start = time.perf_counter()
    for path in sorted(Path(folder).iterdir()):
        decoded = decode_image(path.read_bytes(), shorter_side=spec.resize_shorter_side)
        batches.append(to_batch(fit_image(decoded.pixels, spec), spec))
    decode_seconds = (time.perf_counter() - start) / len(batches)
    per_second = _throughput(model.weights, batches)
    print(json.dumps({"per_second": per_second, "decode_seconds": decode_seconds}))
    return 0


def _throughput(weights: Path, batches: list[np.ndarray]) -> float:
    """Inferences in a second with as many requests in flight as OpenVINO finds best."""
    compiled = ov.Core().compile_model(str(weights), "CPU", {"PERFORMANCE_HINT": "THROUGHPUT"})
    requests = ov.AsyncInferQueue(compiled)
    per_second = 0.0
    for warm_up in (True, False):
        begun, start = 0, time.perf_counter()
        while time.perf_counter() - start < (SECONDS / 6 if warm_up else SECONDS):
            requests.start_async({0: batches[begun % len(batches)]}, share_inputs=True)
            begun += 1
        requests.wait_all()
        per_second = begun / (time.perf_counter() - start)
    return per_second


if __name__ == "__main__":
    sys.exit(main())
