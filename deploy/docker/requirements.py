"""Print what the image needs to run: the package's own dependencies and the extra for sign-in."""

import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
extras = project["optional-dependencies"]
print(*project["dependencies"], *extras["sign-in"], *extras["otel"], sep="\n")
