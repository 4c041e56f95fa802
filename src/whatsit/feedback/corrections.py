"""The newest correction of every picture, in memory, so that an answer does not wait for it."""

import logging
import threading
from datetime import UTC, date, datetime, timedelta
from typing import Self

from whatsit.errors import FeedbackUnavailable
from whatsit.feedback.accuracy import WeekAccuracy, monday_of, sum_up_weeks
from whatsit.feedback.correction import Correction, Record
from whatsit.feedback.store import FeedbackStore, NewCorrection, Picture

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
_MAX_PICTURES = 100_000
"""Each takes about half a kB; of more pictures than these, the latest are kept."""

_MAX_REMEMBERED = 10_000
"""Callers without a key and their pictures, to recognise their own corrections."""


class Corrections:
    """Finds corrections in memory; sees other processes' changes within about a second.

    While the database fails, the corrections in memory stay.

    Args:
        store: Where they are kept.
        look_seconds: How often to look for changes.
    """

    def __init__(self, store: FeedbackStore, look_seconds: float = _LOOK_SECONDS) -> None:
        self._store = store
        self._look_seconds = look_seconds
        self._newest: dict[str, Correction] = {}
        self._said: dict[tuple[str, str], tuple[str, ...]] = {}
        self._number: int | None = None
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._is_failing = False
        # A daemon: a database that hangs must not keep the process from ending.
        self._watcher = threading.Thread(target=self._watch, name="whatsit-feedback", daemon=True)

    def __enter__(self) -> Self:
        self._try_refresh()
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._watcher.join(self._look_seconds)
        self._store.database.close()

    def get(self, sha256: str) -> Correction | None:
        """The newest correction of a picture; never waits."""
        return self._newest.get(sha256)

    def add(
        self, new: NewCorrection, picture: Picture | None = None, caller: str | None = None
    ) -> Record:
        """Keep a correction; see `FeedbackStore.add`. From then on it is found.

        Args:
            new: The correction.
            picture: To be kept as well.
            caller: The caller's address, if it has no key; kept in memory only.
        """
        about = None if new.who is not None or caller is None else (caller, new.sha256)
        # Held meanwhile, so that a later one of another process is not learned before this one.
        with self._lock:
            own = () if about is None else self._said.get(about, ())
            record = self._store.add(new, picture, own)
            self._learn(record.correction)
            if about is not None:
                self._said.pop(about, None)
                self._said[about] = (*own[-1:], record.correction.id)
                if len(self._said) > _MAX_REMEMBERED:
                    del self._said[next(iter(self._said))]
        return record

    def undo(self, correction_id: str) -> None:
        """Delete a correction; see `FeedbackStore.undo`. The one before it is found again."""
        with self._lock:
            gone = self._store.undo(correction_id)
            before = self._store.database.newest(gone.sha256)
            if before is None:
                self._newest.pop(gone.sha256, None)
            else:
                self._newest[gone.sha256] = before.correction

    def weeks(self, count: int = 12, today: date | None = None) -> tuple[WeekAccuracy, ...]:
        """How often answers were found right, week by week; asks the database.

        Args:
            count: How many weeks, the present one included.
            today: The day to count back from, UTC.

        Raises:
            FeedbackUnavailable: The database fails.
        """
        database = self._store.database
        if not database.exists():
            return ()
        first = monday_of(today or datetime.now(UTC).date()) - timedelta(weeks=count - 1)
        return sum_up_weeks(database.tally(first.isoformat()))

    def refresh(self) -> None:
        """Load the changes of other processes.

        Raises:
            FeedbackUnavailable: The database fails.
        """
        # Held while reading as well, so that what is added meanwhile is not forgotten again.
        with self._lock:
            changes = self._store.database.changes_since(self._number, _MAX_PICTURES)
            if changes is None:
                return
            known = frozenset(self._newest)
            if changes.is_all:
                self._newest = {correction.sha256: correction for correction in changes.corrections}
            else:
                for correction in changes.corrections:
                    self._learn(correction)
            self._number = changes.number
        if changes.is_all and known:
            self._store.drop_unneeded(known)

    def _learn(self, correction: Correction) -> None:
        self._newest.pop(correction.sha256, None)
        self._newest[correction.sha256] = correction
        if len(self._newest) > _MAX_PICTURES:
            del self._newest[next(iter(self._newest))]

    def _watch(self) -> None:
        while not self._ended.wait(self._look_seconds):
            self._try_refresh()

    def _try_refresh(self) -> None:
        try:
            self.refresh()
        except FeedbackUnavailable as error:
            if not self._is_failing:
                _log.warning("%s Until it works, no correction is kept.", error.reason)
            self._is_failing = True
        except Exception:  # noqa: BLE001 - answers go on, and looking again may help
            if not self._is_failing:
                _log.exception("Corrections can't be read.")
            self._is_failing = True
        else:
            if self._is_failing:
                _log.info("Corrections are kept again.")
            self._is_failing = False
