"""Print the compose file that a release carries: ``release_compose.py NAME:TAG@sha256:DIGEST``.

It is the one of this repository with that image as its default, so that the file alone starts
exactly the released image. Exit status 2, with a sentence, where the image has another form.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILT_HERE = "${WHATSIT_IMAGE:-whatsit}"


def main(arguments: list[str]) -> int:
    """Print the file; the exit status."""
    (image,) = arguments
    if not re.fullmatch(r"[a-z0-9][\w./:-]*:[\w.-]+@sha256:[0-9a-f]{64}", image):
        print(f"'{image}' is not NAME:TAG@sha256:DIGEST.", file=sys.stderr)
        return 2
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    assert text.count(BUILT_HERE) == 1
    print(text.replace(BUILT_HERE, f"${{WHATSIT_IMAGE:-{image}}}"), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
