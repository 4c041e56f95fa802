"""Which model is ``live``: the one that a server started with ``--model live`` follows."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from whatsit.clock import utc_now
from whatsit.errors import ModelError, NothingToRollBack, UnknownModel
from whatsit.files import (
    LOCK_SECONDS,
    READABLE_FILE,
    exclusive,
    make_private_folder,
    read_plain,
    replace_file,
    store_failures,
)
from whatsit.models.catalogue import DEFAULT_MODEL, Progress
from whatsit.models.resolve import ResolvedModel, resolve_model
from whatsit.models.store import LIVE, ModelStore

_log = logging.getLogger(__name__)

_REMEMBERED = 20
_MAX_BYTES = 1_000_000
"""No secret; another user may promote than serves."""


@dataclass(frozen=True, slots=True)
class LiveModel:
    """A model that went live.

    Attributes:
        name: Of a model in the store.
        since: When it went live: RFC 3339, UTC, whole seconds.
    """

    name: str
    since: str


@dataclass(frozen=True, slots=True)
class Canary:
    """A model that answers a share of the pictures beside the live one.

    Attributes:
        name: Of a model in the store.
        since: When it began: RFC 3339, UTC, whole seconds.
        ratio: Its share, above 0 and below 1.
    """

    name: str
    since: str
    ratio: float


@dataclass(frozen=True, slots=True)
class LiveState:
    """The live model, those before it, and the one that is being tried beside it.

    Attributes:
        history: Models that were live, newest first; the first is live now.
        canary: None where no other model is being tried.
    """

    history: tuple[LiveModel, ...] = ()
    canary: Canary | None = None

    @property
    def current(self) -> LiveModel | None:
        """The live model; None where none was ever promoted."""
        return self.history[0] if self.history else None


class LiveAlias:
    """Reads and changes what is live, in one file that is replaced in one step.

    A reader has the state before a change or the one after it. The models themselves are not
    touched: each registered version is a model of its own name, so rolling back copies nothing.

    Args:
        home: Folder of the model store.
        lock_seconds: How long to wait for another writer.
    """

    def __init__(self, home: Path, lock_seconds: float = LOCK_SECONDS) -> None:
        self._lock_seconds = lock_seconds
        self._store = ModelStore(home)
        self._file = home / "models" / ".live.json"

    @property
    def file(self) -> Path:
        """Where the state is kept; it changes, by its name, whenever the state does."""
        return self._file

    def read(self) -> LiveState:
        """The state of now. With a missing or damaged file nothing is live."""
        try:
            facts = json.loads(read_plain(self._file, _MAX_BYTES))
            canary = facts["canary"]
            return LiveState(
                tuple(LiveModel(**entry) for entry in facts["history"]),
                None if canary is None else Canary(**canary),
            )
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return LiveState()

    def promote(self, name: str) -> LiveState:
        """Make a model live; a canary ends with it.

        Raises:
            UnknownModel: It is neither stored nor bundled.
            ModelError: It can't be opened: its card, labels or weights are wrong.
            StoreUnusable: The store can't be written.
        """
        self._store.open(name)
        with self._changing() as before:
            history = (LiveModel(name, utc_now()), *before.history)[:_REMEMBERED]
            return self._write(LiveState(history))

    def roll_back(self) -> LiveState:
        """Make the model live again that was live before; a canary ends with it.

        Raises:
            StoreUnusable: The store can't be written.
            NothingToRollBack: No other model was live before.
            ModelError: The model that was live before can't be opened any more.
        """
        with self._changing() as before:
            names = [entry.name for entry in before.history]
            earlier = [entry for entry in before.history if entry.name != names[0]]
            if not earlier:
                raise NothingToRollBack("No other model was live before, so nothing was changed.")
            self._store.open(earlier[0].name)
            kept = before.history[before.history.index(earlier[0]) + 1 :]
            return self._write(LiveState((LiveModel(earlier[0].name, utc_now()), *kept)))

    def try_beside(self, name: str, ratio: float) -> LiveState:
        """Let a model answer a share of the pictures beside the live one.

        Raises:
            UnknownModel: It is neither stored nor bundled.
            ModelError: It can't be opened.
            ValueError: The share is not above 0 and below 1.
            StoreUnusable: The store can't be written.
        """
        if not 0 < ratio < 1:
            raise ValueError(f"A canary's share is {ratio}; it must lie between 0 and 1.")
        self._store.open(name)
        with self._changing() as before:
            return self._write(LiveState(before.history, Canary(name, utc_now(), ratio)))

    def end_canary(self) -> LiveState:
        """Let the live model answer every picture again.

        Raises:
            StoreUnusable: The store can't be written.
        """
        with self._changing() as before:
            return self._write(LiveState(before.history))

    def stamp(self) -> tuple[int, int, int] | None:
        """A mark that changes with the state; None before the first state."""
        try:
            facts = self._file.stat()
        except OSError:
            return None
        return facts.st_ino, facts.st_mtime_ns, facts.st_size

    @contextmanager
    def _changing(self) -> Iterator[LiveState]:
        folder = self._file.parent
        with store_failures(folder.parent):
            make_private_folder(folder)
            with exclusive(self._file.with_name(".live.lock"), self._lock_seconds):
                yield self.read()

    def _write(self, state: LiveState) -> LiveState:
        replace_file(self._file, json.dumps(asdict(state), indent=2).encode(), READABLE_FILE)
        return state


def resolve_served(
    store: ModelStore, home: Path, name: str, *, progress: Progress | None = None
) -> ResolvedModel:
    """Find the model to serve with, as `resolve_model` does; the name may be ``live``.

    Until a model was promoted, ``live`` stands for the default one. Where the live model can't be
    opened, the one that was live before it answers, and the note says so.

    Args:
        store: Where models are.
        home: Its folder, which says what is live.
        name: The name asked for.
        progress: Called for every chunk of a download.

    Raises:
        UnknownModel: Nothing has that name, or no model that ever was live is there any more.
        ModelError: The model can't be opened.
    """
    if name != LIVE:
        return resolve_model(store, name, progress=progress)
    names = list(dict.fromkeys(entry.name for entry in LiveAlias(home).read().history))
    if not names:
        return replace(resolve_model(store, DEFAULT_MODEL, progress=progress), requested=LIVE)
    errors: list[ModelError | UnknownModel] = []
    for stored in names:
        try:
            folder = store.open(stored)
        except (ModelError, UnknownModel) as error:
            _log.error("The model %s can't be opened: %s", stored, error.detail)
            errors.append(error)
            continue
        return ResolvedModel(folder, LIVE, describe_fallback(names[0], stored) if errors else None)
    raise errors[0]


def describe_fallback(live: str, answering: str) -> str:
    """The sentence that another model answers than the live one."""
    return f"{live} is live but can't be opened, so {answering} answers."
