"""Write `requirements.lock` from `pyproject.toml` and the versions in `constraints.txt`.

Each entry has a version, the hashes of all its files in the package index, for every system and
Python, and the purposes that it is installed for. `deploy/locked.py` reads it.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
HEADER = "# The packages of each purpose, by hash; `make lock` writes it from constraints.txt.\n"


def purposes() -> dict[str, list[str]]:
    """The requirements of each purpose."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    base, extras = document["project"]["dependencies"], document["project"]["optional-dependencies"]
    return {
        "run": base,
        "image": [*base, *extras["sign-in"], *extras["otel"]],
        "test": [*base, *extras["test"]],
        "training": [*base, *extras["training"], *extras["azure-ml"]],
        # In the image of the steps, and where they are submitted.
        "steps": [*base, *extras["training"], "azureml-mlflow"],
        "submit": [*base, *extras["azure-ml"]],
        "check": extras["check"],
        # The second is what hatchling asks for when it installs a package where it stands.
        "build": [*document["build-system"]["requires"], "editables~=0.3"],
    }


def resolve(requirements: list[str], *options: str) -> dict[str, str]:
    """Name to entry, as uv writes it, for every system and supported Python."""
    command = [
        *(str(Path(sys.executable).with_name("uv")), "pip", "compile", "-", "--quiet"),
        *("--universal", "--python-version", "3.11", "--constraint", "constraints.txt"),
        *("--no-annotate", "--no-header", "--only-binary", ":all:", *options),
    ]
    done = subprocess.run(
        command, cwd=ROOT, input="\n".join(requirements), capture_output=True, text=True
    )
    if done.returncode != 0:
        sys.exit(done.stderr)
    entries: dict[str, str] = {}
    for entry in re.split(r"^(?=\S)", done.stdout, flags=re.MULTILINE):
        if name := re.match(r"[\w.-]+", entry):
            # One package may have several versions, for several systems.
            entries[name[0]] = entries.get(name[0], "") + entry
    return entries


def main() -> None:
    """Write it."""
    asked = purposes()
    # Together, so that there is one version of each for all.
    everything = resolve([one for some in asked.values() for one in some], "--generate-hashes")
    names = {purpose: set(resolve(some)) for purpose, some in asked.items()}
    lines = [HEADER]
    for name, entries in sorted(everything.items()):
        users = " ".join(purpose for purpose in asked if name in names[purpose])
        for entry in re.split(r"^(?=\S)", entries, flags=re.MULTILINE)[1:]:
            lines.append(f"{entry.rstrip()}\n    # for {users}\n")
    LOCK.write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
