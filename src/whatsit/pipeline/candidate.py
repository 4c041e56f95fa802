"""The model that a step works on, by its name or its folder."""

from pathlib import Path

from whatsit.model_card import CARD_FILE
from whatsit.models.catalogue import BUNDLED_MODEL, DEFAULT_MODEL
from whatsit.models.folder import ModelFolder, open_folder
from whatsit.models.home import default_home
from whatsit.models.live import LiveAlias
from whatsit.models.store import LIVE, ModelStore


def open_candidate(model: str | Path, store: Path | None = None) -> ModelFolder:
    """Open a model of the store or of any folder. Nothing is downloaded.

    Args:
        model: Path of a model folder, the name of a stored or bundled model, or ``live``.
        store: Folder of the model store (`ModelStore`'s home); the user's own by default.

    Raises:
        UnknownModel: It is neither a model folder nor stored nor bundled.
        ModelError: It can't be opened: its card, labels or weights are wrong.
    """
    if isinstance(model, Path) or (Path(model) / CARD_FILE).is_file():
        return open_folder(Path(model))
    home = store or default_home()
    return ModelStore(home).open(live_name(home) if model == LIVE else model)


def live_name(home: Path) -> str:
    """The name of the model that is live: promoted, else the default one if it is on this machine.

    Args:
        home: Folder of the model store.
    """
    if (current := LiveAlias(home).read().current) is not None:
        return current.name
    return DEFAULT_MODEL if DEFAULT_MODEL in ModelStore(home).names() else BUNDLED_MODEL
