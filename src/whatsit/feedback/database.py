"""Corrections in a database: adding, deleting and reading them.

Every change takes the next number of a counter, in the transaction that makes it. Writers so come
one after the other, and numbers are committed in their order. A reader that remembers the last
number knows whether it missed something, and whether that was more than new rows.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection

from whatsit.errors import FeedbackFull, FeedbackUnavailable
from whatsit.feedback.accuracy import DayTally
from whatsit.feedback.connect import WRITES, create_engine, database_failures, sqlite_file
from whatsit.feedback.correction import Correction, Record
from whatsit.feedback.tables import (
    FEEDBACK,
    STATE,
    TABLES,
    VERSION,
    columns_of,
    corrections_of,
    is_newest,
    of_ids,
    of_picture,
    record_of,
)
from whatsit.files import is_there, make_private_file, make_private_folder

DEFAULT_MAX_CORRECTIONS = 1_000_000
"""Some 400 MB."""

_LOCK_NUMBER = 0x77686174
"""Number of the lock held while the tables are made; arbitrary, to avoid a clash."""
_COUNTED_EVERY = 1_000
"""After so many new rows all of them are counted again."""
_FULL_SECONDS = 1.0
"""How long a full table counts as full without a new count."""


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes since a number of the counter.

    Attributes:
        number: The counter now.
        corrections: New ones since, oldest first; where `is_all`, the newest of each picture.
        is_all: True if `corrections` is complete, because something was deleted meanwhile.
    """

    number: int
    corrections: tuple[Correction, ...]
    is_all: bool


class FeedbackDatabase:
    """Corrections, newest last. Safe to use from several threads and processes.

    Nothing is connected to before it is needed. A database that fails raises
    `FeedbackUnavailable` each time that it does, and is used again as soon as it answers.

    Args:
        url: Its address; see `parse_url`.
        max_corrections: How many there may be; processes that add at the same time may go a
            thousand beyond it, each.
    """

    def __init__(self, url: URL, max_corrections: int = DEFAULT_MAX_CORRECTIONS) -> None:
        self._engine = create_engine(url)
        self._file = sqlite_file(url)
        self._lock = threading.Lock()
        self._is_prepared = False
        self._max_corrections = max_corrections
        self._room = 0
        self._full_until = 0.0

    def exists(self) -> bool:
        """False only if its file is not there, so that there is nothing in it."""
        return self._file is None or is_there(self._file)

    def prepare(self) -> None:
        """Make the tables where there are none.

        Raises:
            FeedbackUnavailable: It can't be reached, or a newer whatsit has changed its tables.
        """
        with self._lock, database_failures():
            if self._is_prepared:
                return
            if self._file is not None:
                # SQLite gives the files that it makes beside it the same owner and mode.
                make_private_folder(self._file.parent)
                make_private_file(self._file)
            with self._transaction(writes=True) as connection:
                if connection.dialect.name == "postgresql":
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK_NUMBER)))
                TABLES.create_all(connection)
                version = connection.scalar(sa.select(STATE.c.version))
                if version is None:
                    connection.execute(STATE.insert().values(id=1, version=VERSION, changes=0))
                elif version != VERSION:
                    raise FeedbackUnavailable(
                        f"The table of corrections has version {version}, this whatsit knows "
                        f"version {VERSION} only. Install the whatsit that made it."
                    )
            self._is_prepared = True

    def add(self, record: Record, own: Sequence[str] = ()) -> Record:
        """Store a correction with its facts.

        Of one caller's corrections of one picture, this one and the one before it are kept: that
        one counts again if this one is undone. Older ones are deleted, and leave this one their
        picture.

        Args:
            record: The correction to store.
            own: Ids of the same caller's earlier corrections of the picture, without a key. Those
                that it made with a key of the same name are found without them.

        Returns:
            The stored correction.

        Raises:
            FeedbackFull: The limit is reached, and none was to be deleted.
            FeedbackUnavailable: See above.
        """
        with self._changing() as (connection, number):
            older = self._older(connection, record, own)
            if not older:
                self._require_room(connection)
            elif (gone := _delete(connection, of_ids(older))) and record.picture_format is None:
                kept = next((row.picture_format for row in gone if row.picture_format), None)
                record = replace(record, picture_format=kept)
            connection.execute(FEEDBACK.insert().values(change=number, **columns_of(record)))
        return record

    def _older(self, connection: Connection, record: Record, own: Sequence[str]) -> Sequence[str]:
        """Ids of the caller's corrections before its last one."""
        if record.who is None and not own:
            return ()
        is_own = of_ids(own)
        if record.who is not None:
            is_own = sa.or_(is_own, FEEDBACK.c.who == record.who)
        query = (
            sa.select(FEEDBACK.c.id)
            .where(of_picture(record.correction.sha256), is_own)
            .order_by(FEEDBACK.c.change.desc())
        )
        return connection.scalars(query).all()[1:]

    def _require_room(self, connection: Connection) -> None:
        if self._room <= 0:
            # Counting takes long where there are many, so a caller that tries a full table again
            # and again must not have it counted each time.
            if time.monotonic() < self._full_until:
                raise FeedbackFull(self._max_corrections)
            count = connection.scalar(sa.select(sa.func.count()).select_from(FEEDBACK)) or 0
            self._room = min(self._max_corrections - count, _COUNTED_EVERY)
            if self._room <= 0:
                self._full_until = time.monotonic() + _FULL_SECONDS
                raise FeedbackFull(self._max_corrections)
        self._room -= 1

    @contextmanager
    def removing(self, *conditions: sa.ColumnElement[bool]) -> Iterator[tuple[str, ...]]:
        """Delete the rows that meet all conditions; undone where the block fails.

        Yields:
            The digests of the pictures that were to be kept for the deleted rows and that no
            row needs any more.
        """
        with self._changing() as (connection, _):
            gone = _delete(connection, *conditions)
            kept = {row.sha256 for row in gone if row.picture_format is not None}
            yield tuple(sorted(kept - self._needed(connection)))

    def count(self, *conditions: sa.ColumnElement[bool]) -> int:
        """How many rows meet all conditions."""
        with self._reading() as connection:
            query = sa.select(sa.func.count()).select_from(FEEDBACK).where(*conditions)
            return int(connection.scalar(query) or 0)

    def needed_pictures(self) -> frozenset[str]:
        """Digests of all pictures that a row names as kept."""
        with self._reading() as connection:
            return self._needed(connection)

    def find(self, correction_id: str) -> Record | None:
        """The correction with an id; None where it does not exist, or is deleted."""
        with self._reading() as connection:
            row = connection.execute(
                sa.select(FEEDBACK).where(FEEDBACK.c.id == correction_id)
            ).first()
            return None if row is None else record_of(row)

    def newest(self, sha256: str) -> Record | None:
        """The newest correction of a picture; None where there is none."""
        with self._reading() as connection:
            row = connection.execute(
                sa.select(FEEDBACK)
                .where(FEEDBACK.c.sha256 == sha256)
                .order_by(FEEDBACK.c.change.desc())
                .limit(1)
            ).first()
            return None if row is None else record_of(row)

    def records(self, *, newest_only: bool = False) -> Iterator[Record]:
        """All corrections, oldest first; or the newest of each picture only."""
        query = sa.select(FEEDBACK).order_by(FEEDBACK.c.change)
        if newest_only:
            query = query.where(is_newest())
        with self._reading() as connection:
            for row in connection.execution_options(yield_per=1000).execute(query):
                yield record_of(row)

    def tally(self, since: str) -> tuple[DayTally, ...]:
        """Verdicts on answers since a day in ISO 8601, counted; the newest only of each picture."""
        day = sa.func.substr(FEEDBACK.c.at, 1, 10).label("day")
        columns = (day, FEEDBACK.c.model, FEEDBACK.c.verdict)
        query = (
            sa.select(*columns, sa.func.count().label("pictures"))
            .where(is_newest(), FEEDBACK.c.at >= since)
            # By its name: written out again, it has other parameters than above.
            .group_by("day", FEEDBACK.c.model, FEEDBACK.c.verdict)
        )
        with self._reading() as connection:
            rows = connection.execute(query).all()
        return tuple(DayTally(row.day, row.model, row.verdict, row.pictures) for row in rows)

    def changes_since(self, number: int | None, max_pictures: int) -> Changes | None:
        """The changes since a number of the counter; None if there are none.

        Args:
            number: As an earlier call returned it; None for all there is.
            max_pictures: How many pictures to cover at most; the latest win.
        """
        with self._reading() as connection:
            # The counter first: what is committed between the two queries is then returned twice.
            now = int(connection.scalar(sa.select(STATE.c.changes)) or 0)
            if now == number:
                return None
            if number is not None and 0 < now - number <= max_pictures:
                newer = sa.select(FEEDBACK).where(
                    FEEDBACK.c.change > number, FEEDBACK.c.change <= now
                )
                rows = connection.execute(newer.order_by(FEEDBACK.c.change)).all()
                if len(rows) == now - number:
                    return Changes(now, corrections_of(rows), is_all=False)
            latest = sa.select(FEEDBACK).where(is_newest())
            rows = connection.execute(
                latest.order_by(FEEDBACK.c.change.desc()).limit(max_pictures)
            ).all()
            return Changes(now, corrections_of(rows[::-1]), is_all=True)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _needed(self, connection: Connection) -> frozenset[str]:
        query = sa.select(FEEDBACK.c.sha256).where(FEEDBACK.c.picture_format.is_not(None))
        return frozenset(connection.scalars(query.distinct()))

    @contextmanager
    def _changing(self) -> Iterator[tuple[Connection, int]]:
        self.prepare()
        with database_failures(), self._transaction(writes=True) as connection:
            step = STATE.update().values(changes=STATE.c.changes + 1)
            number = connection.execute(step.returning(STATE.c.changes)).scalar_one()
            yield connection, int(number)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        self.prepare()
        with database_failures(), self._transaction(writes=False) as connection:
            yield connection

    @contextmanager
    def _transaction(self, *, writes: bool) -> Iterator[Connection]:
        with self._engine.connect() as connection:
            # Asked for before the transaction begins, because SQLite has to know then.
            connection = connection.execution_options(**{WRITES: writes})
            with connection.begin():
                yield connection


def _delete(connection: Connection, *conditions: sa.ColumnElement[bool]) -> Sequence[Any]:
    """Delete rows; returns the pictures that they named."""
    return connection.execute(
        FEEDBACK.delete().where(*conditions).returning(FEEDBACK.c.sha256, FEEDBACK.c.picture_format)
    ).all()
