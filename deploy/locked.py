"""Print what to install for a purpose, with versions and hashes: ``locked.py PURPOSE [...]``.

``pip install --require-hashes --requirement`` takes it. The lines are those of `requirements.lock`,
beside this file or in the folder above it, that end with the name of the purpose; `make lock`
writes them.
"""

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def locked(text: str, purposes: set[str]) -> str:
    """The entries of a lock that are for one of these purposes, as lines for pip.

    Raises:
        ValueError: Nothing is for one of them.
    """
    chosen, found = [], set()
    for entry in re.split(r"^(?=\S)", text, flags=re.MULTILINE):
        requirement, _, comment = entry.partition("    # for ")
        if wanted := purposes & set(comment.split()):
            chosen.append(requirement)
            found |= wanted
    if purposes - found:
        raise ValueError(f"Nothing is locked for: {', '.join(sorted(purposes - found))}")
    return "".join(chosen)


if __name__ == "__main__":
    lock = next(
        path for folder in (HERE, HERE.parent) if (path := folder / "requirements.lock").is_file()
    )
    try:
        print(locked(lock.read_text(encoding="utf-8"), set(sys.argv[1:])), end="")
    except ValueError as error:
        sys.exit(str(error))
