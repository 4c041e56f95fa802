"""``make test`` and ``make test-all``: runs of pytest, one after the other.

``--all`` runs everything; without it, what a contributor waits for. All other arguments go to each
run of pytest. Exit status 0 if something ran and nothing failed.
"""

import subprocess
import sys

MOST_PROCESSES = 4
"""Each starts servers, Redis and a browser of its own, about 1 GB together."""
_SPREAD = ("-n", "auto", "--maxprocesses", str(MOST_PROCESSES), "--dist", "loadfile")
_QUICK = "not extended and not alone and not docker and not training"
_COMPLETE = (
    ("not alone and not docker and not training", _SPREAD),
    ("alone and not docker and not training", ()),
    ("training", ()),
)
"""Marks and options: what may share the machine, what has to be alone on it, what trains."""
_NOTHING_TO_RUN = 5


def main(arguments: list[str]) -> int:
    """Run the tests and report how they ended."""
    is_complete = "--all" in arguments
    others = [one for one in arguments if one != "--all"]
    if is_complete:
        others.append("--fail-on-unexpected-skips")
    runs = _COMPLETE if is_complete else ((_QUICK, _SPREAD),)
    statuses = [_run(marks, *options, *others) for marks, options in runs]
    if set(statuses) == {_NOTHING_TO_RUN}:
        return _NOTHING_TO_RUN
    return next((status for status in statuses if status not in {0, _NOTHING_TO_RUN}), 0)


def _run(marks: str, *options: str) -> int:
    command = [sys.executable, "-m", "pytest", "-m", marks, *options]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
