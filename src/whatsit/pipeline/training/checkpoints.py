"""Where a training run goes on after it was stopped: at the very step."""

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from whatsit.errors import PipelineError
from whatsit.files import READABLE_FILE, replacing

Arrays = Sequence[npt.NDArray[Any]]

_LATEST, _BEST = "latest.npz", "best.npz"
_FACTS = "facts"


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        step: Batches done, over all epochs.
        loss_sum: Of the batches done in the epoch that is under way.
        right: Pictures of that epoch that were named right.
        seen: Pictures of that epoch.
        best_epoch: 1-based; 0 before the first one has ended.
        best_loss: On the validation split, at the end of that epoch; None before.
        epochs: Figures of each epoch that has ended.
    """

    step: int = 0
    loss_sum: float = 0.0
    right: int = 0
    seen: int = 0
    best_epoch: int = 0
    best_loss: float | None = None
    epochs: tuple[Mapping[str, float], ...] = ()


class Checkpoints:
    """A folder with the newest state of one run, and the weights of its best epoch.

    A file is replaced in one step, so a run that is killed while it writes loses nothing.

    Args:
        folder: Made when something is first written.
        run: All that decides the run; another run's checkpoints are refused.
    """

    def __init__(self, folder: Path, run: Mapping[str, Any]) -> None:
        self._folder = folder
        # In the form that JSON gives it back.
        self._run = json.loads(json.dumps(run))

    def save(self, progress: Progress, state: Arrays) -> None:
        """Keep how far the run is, and all variables of model and optimiser."""
        self._write(_LATEST, {"run": self._run, "progress": asdict(progress)}, state)

    def save_best(self, weights: Arrays) -> None:
        """Keep the weights of the best epoch until now."""
        self._write(_BEST, {"run": self._run}, weights)

    def latest(self) -> tuple[Progress, Arrays] | None:
        """The last saved state; None without one.

        Raises:
            PipelineError: It is another run's, or damaged.
        """
        if (found := self._read(_LATEST)) is None:
            return None
        facts, state = found
        progress = {**facts["progress"], "epochs": tuple(facts["progress"]["epochs"])}
        return Progress(**progress), state

    def best(self) -> Arrays | None:
        """The weights of the best epoch; None before the first one has ended.

        Raises:
            PipelineError: They are another run's, or damaged.
        """
        found = self._read(_BEST)
        return None if found is None else found[1]

    def _write(self, name: str, facts: Mapping[str, Any], arrays: Arrays) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        stored: dict[str, Any] = {f"{number:05}": array for number, array in enumerate(arrays)}
        stored[_FACTS] = np.array(json.dumps(facts))
        with replacing(self._folder / name, READABLE_FILE) as file:
            np.savez(file, **stored)

    def _read(self, name: str) -> tuple[dict[str, Any], Arrays] | None:
        try:
            with np.load(self._folder / name, allow_pickle=False) as stored:
                facts = json.loads(str(stored[_FACTS]))
                arrays = [stored[key] for key in sorted(set(stored.files) - {_FACTS})]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise PipelineError(
                f"The checkpoint {name} can't be read. Remove the folder to start again."
            ) from error
        if facts["run"] != self._run:
            changed = sorted(
                key
                for key in {*self._run, *facts["run"]}
                if self._run.get(key) != facts["run"].get(key)
            )
            raise PipelineError(
                f"The checkpoints are those of another run; it differs in {', '.join(changed)}. "
                "Give another folder, or the same arguments."
            )
        return facts, arrays
