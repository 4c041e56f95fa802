"""``make test``: what may share the machine on all cores, then what has to be alone on it.

Arguments go to both runs of pytest. Exit status 0 if something ran and nothing failed.
"""

import subprocess
import sys

MOST_PROCESSES = 4
"""Each starts servers, Redis and a browser of its own, about 1 GB together."""
_NOTHING_TO_RUN = 5
_USUALLY_LEFT_OUT = "not docker and not training"


def main() -> int:
    """Run both and say how they ended."""
    spread = ["-n", "auto", "--maxprocesses", str(MOST_PROCESSES), "--dist", "loadfile"]
    statuses = [
        _run(f"not alone and {_USUALLY_LEFT_OUT}", *spread),
        _run(f"alone and {_USUALLY_LEFT_OUT}"),
    ]
    if statuses == [_NOTHING_TO_RUN] * 2:
        return _NOTHING_TO_RUN
    return next((status for status in statuses if status not in {0, _NOTHING_TO_RUN}), 0)


def _run(marks: str, *options: str) -> int:
    command = [sys.executable, "-m", "pytest", "-m", marks, *options, *sys.argv[1:]]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
