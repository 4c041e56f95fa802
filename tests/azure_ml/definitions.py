"""Small pipelines, written as the YAML and the command lines that they are."""

import copy
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import ROOT

PIPELINE = ROOT / "deploy" / "azure" / "ml" / "pipeline.yml"

COUNT = {
    "type": "command",
    "name": "count",
    "version": "1",
    "environment": "azureml:any@latest",
    "inputs": {
        "data": {"type": "uri_folder"},
        "times": {"type": "integer", "default": 2, "min": 1, "max": 5},
        "share": {"type": "number", "default": 0.5, "min": 0.0, "max": 1.0},
        "mode": {"type": "string", "default": "fast", "enum": ["fast", "slow"]},
        "loud": {"type": "boolean", "default": False},
        "note": {"type": "string", "optional": True},
    },
    "outputs": {"counted": {"type": "uri_folder"}},
    "command": (
        'ls "${{inputs.data}}" > "${{outputs.counted}}/names" && '
        "echo ${{inputs.times}} ${{inputs.share}} ${{inputs.mode}} ${{inputs.loud}} "
        '$[[--note "${{inputs.note}}"]] > "${{outputs.counted}}/arguments"'
    ),
}
JOIN = {
    "type": "command",
    "name": "join",
    "version": "1",
    "environment": "azureml:any@latest",
    "inputs": {"counted": {"type": "uri_folder"}},
    "outputs": {"joined": {"type": "uri_folder"}},
    "command": (
        'python -c "import json, pathlib, sys; '
        "names = pathlib.Path(sys.argv[1], 'names').read_text().split(); "
        "pathlib.Path(sys.argv[2], 'report.json').write_text(json.dumps({'names': names}))"
        '" "${{inputs.counted}}" "${{outputs.joined}}"'
    ),
}
SMALL: dict[str, Any] = {
    "type": "pipeline",
    "settings": {"default_compute": "azureml:any"},
    "inputs": {"data": {"type": "uri_folder", "path": "azureml:pictures@latest"}, "times": 3},
    "outputs": {"joined": {"type": "uri_folder"}},
    # Written in the order in which they can't run.
    "jobs": {
        "join": {
            "type": "command",
            "component": "join.yml",
            "inputs": {"counted": "${{parent.jobs.count.outputs.counted}}"},
            "outputs": {"joined": "${{parent.outputs.joined}}"},
        },
        "count": {
            "type": "command",
            "component": "count.yml",
            "inputs": {"data": "${{parent.inputs.data}}", "times": "${{parent.inputs.times}}"},
        },
    },
}


class SmallPipeline:
    """Two jobs in a folder, changed at will before they are written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = {
            "pipeline.yml": copy.deepcopy(SMALL),
            "count.yml": copy.deepcopy(COUNT),
            "join.yml": copy.deepcopy(JOIN),
        }

    def change(self, file: str, path: str, value: Any) -> None:
        """Set what stands at a path such as ``jobs.count.inputs.times``; None takes it away."""
        *parents, last = path.split(".")
        table = self.files[file]
        for key in parents:
            table = table.setdefault(key, {})
        if value is None:
            del table[last]
        else:
            table[last] = value

    def write(self) -> Path:
        """The pipeline's file."""
        for name, facts in self.files.items():
            text = yaml.safe_dump(facts, sort_keys=False)
            (self.folder / name).write_text(text, encoding="utf-8")
        return self.folder / "pipeline.yml"
