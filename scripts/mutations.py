"""Break the core in ten ways, one at a time, and see that the tests notice.

Run: ``python -m scripts.mutations`` (some minutes). Each mutation is made in a copy of the source,
and the quickest part of ``make test`` runs against it until the first failure. Exit status 0 if
the tests notice all of them.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTS = ("tests/unit", "tests/contract", "tests/golden", "tests/integration/test_api.py")


@dataclass(frozen=True)
class Mutation:
    """One fault to plant.

    Attributes:
        fault: What is then wrong.
        module: Path below ``src/whatsit``.
        sound: Stands there once.
        broken: Takes its place.
    """

    fault: str
    module: str
    sound: str
    broken: str


MUTATIONS = (
    Mutation(
        "the mean is not subtracted",
        "images/preprocess.py",
        "batch[0, channel] -= offset[channel]",
        "batch[0, channel] -= 0 * offset[channel]",
    ),
    Mutation(
        "red and blue are swapped",
        "images/preprocess.py",
        'if spec.channel_order == "RGB"',
        'if spec.channel_order == "BGR"',
    ),
    Mutation(
        "two labels are swapped",
        "labels/load.py",
        '_named(document["classes"])',
        '_named([*document["classes"][1::-1], *document["classes"][2:]])',
    ),
    Mutation(
        "scores are not calibrated",
        "answer.py",
        "scaled = logits.astype(np.float64) / temperature",
        "scaled = logits.astype(np.float64)",
    ),
    Mutation(
        "'probably' is said from any score on",
        "answer.py",
        "if path_scores[0] >= thresholds.probably:",
        "if path_scores[0] >= 0:",
    ),
    Mutation(
        "entries in Redis stay for ever",
        "cache/redis.py",
        'value, "EX", self._jittered_seconds())',
        "value)",
    ),
    Mutation(
        "a key of the cache leaves out the model",
        "cache/key.py",
        "{fingerprint[:32]}:{image_sha256}",
        "{'0' * 32}:{image_sha256}",
    ),
    Mutation(
        "an entry with a wrong seal is believed",
        "cache/codec.py",
        "return hmac.compare_digest(seal, self.make(key, payload))",
        "return True",
    ),
    Mutation(
        "a picture on its side stays there",
        "images/orientation.py",
        "turn = _TURNS.get(orientation)",
        "turn = None",
    ),
    Mutation(
        "any secret fits an id of an API key",
        "access/keys.py",
        "if key is None or not hmac.compare_digest(key.sha256, _digest(offered)):",
        "if key is None:",
    ),
)


def main() -> int:
    """Plant each fault, and print what noticed it."""
    missed = 0
    for mutation in MUTATIONS:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "src"
            shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
            _plant(mutation, source / "whatsit" / mutation.module)
            noticed = _first_failure(source)
        missed += noticed is None
        print(f"{mutation.fault:<42} {noticed or 'NOT NOTICED'}", flush=True)
    print(f"{len(MUTATIONS) - missed} of {len(MUTATIONS)} noticed")
    return 1 if missed else 0


def _plant(mutation: Mutation, module: Path) -> None:
    text = module.read_text(encoding="utf-8")
    if text.count(mutation.sound) != 1:
        raise SystemExit(f"{mutation.module} does not hold this once: {mutation.sound}")
    module.write_text(text.replace(mutation.sound, mutation.broken), encoding="utf-8")


def _first_failure(source: Path) -> str | None:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "auto", "--dist", "loadfile"]
    done = subprocess.run(
        [*command, "-p", "no:randomly", *TESTS],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    return found[1] if found else None


if __name__ == "__main__":
    sys.exit(main())
