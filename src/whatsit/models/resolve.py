"""Which model to serve with: the one that was asked for, or the bundled one in its place."""

import logging
from dataclasses import dataclass

from whatsit.errors import ModelUnavailable, StoreUnusable
from whatsit.models.catalogue import BUNDLED_MODEL, Progress
from whatsit.models.folder import ModelFolder
from whatsit.models.store import ModelStore

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ResolvedModel:
    """The model to serve with.

    Attributes:
        folder: The model.
        requested: The name that was asked for.
        note: Why it is another one than requested, as a sentence; None where it is that one.
    """

    folder: ModelFolder
    requested: str
    note: str | None = None


def resolve_model(
    store: ModelStore, name: str, *, progress: Progress | None = None
) -> ResolvedModel:
    """Find the model to serve with: stored, bundled or pulled; else the bundled one, and say so.

    Args:
        store: Where to look first, and where a pulled model goes.
        name: The name asked for.
        progress: Called for every chunk of a download.

    Raises:
        UnknownModel: Nothing has that name.
        InvalidModelCard: The stored model's card is wrong.
        WeightsRejected: The stored model's weights are not those of its card.
    """
    if name in store.names() or name == BUNDLED_MODEL:
        return ResolvedModel(store.open(name), name)
    try:
        return ResolvedModel(store.pull(name, progress), name)
    except ModelUnavailable as error:
        _log.info("%s", error)
        reason = "can't be downloaded now"
    except StoreUnusable as error:
        _log.info("%s", error)
        reason = "can't be written to the store"
    return ResolvedModel(
        store.open(BUNDLED_MODEL),
        name,
        note=f"{name} is not on this machine and {reason}, so {BUNDLED_MODEL} "
        f"answers. To get it later: whatsit models pull {name}",
    )
