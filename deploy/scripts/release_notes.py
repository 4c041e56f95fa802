"""Print what a version brings, from the changelog: ``release_notes.py v1.2.3 [CHANGELOG]``.

The tag must be that of the package, so that what is released under a name also calls itself so.
Exit status 1, with a sentence, where it is not or where the changelog does not speak of it.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: list[str]) -> int:
    """Print the notes; the exit status."""
    tag = arguments[0]
    changelog = Path(arguments[1]) if len(arguments) > 1 else ROOT / "CHANGELOG.md"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    if tag != f"v{project['version']}":
        print(f"The tag is {tag}, but pyproject.toml says {project['version']}.", file=sys.stderr)
        return 1
    heading = rf"^## \[{re.escape(project['version'])}\].*?\n(.*?)(?=^## |\Z)"
    found = re.search(heading, changelog.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    if not found or not found[1].strip():
        print(f"{changelog.name} says nothing of {project['version']}.", file=sys.stderr)
        return 1
    print(found[1].strip())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
