"""The table of corrections, in SQLite or PostgreSQL.

Every change takes the next number of a counter, in the transaction that makes it. Writers so come
one after the other, numbers are committed in their order, and whoever remembers the last number
knows whether it missed something, and whether that was more than new rows.
"""

import re
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from whatsit.errors import FeedbackFull, FeedbackUnavailable, SettingsError
from whatsit.feedback.accuracy import DayTally
from whatsit.feedback.correction import MAX_LABEL_CHARACTERS, CorrectedAnswer, Correction, Record
from whatsit.files import is_there, make_private_file, make_private_folder

DATABASE_FILE = "feedback.db"
DEFAULT_MAX_CORRECTIONS = 1_000_000
"""Some 400 MB."""

_VERSION = 1
_TIMEOUT_SECONDS = 3
_LOCK_NUMBER = 0x77686174
"""Anything that no other program would choose; held while the tables are made."""
_WRITES = "whatsit_writes"
_COUNTED_EVERY = 1_000
"""After so many new rows all of them are counted again."""
_FULL_SECONDS = 1.0
"""How long a full table is taken for full without counting."""

_tables = sa.MetaData()
_state = sa.Table(
    "whatsit_feedback_state",
    _tables,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("changes", sa.BigInteger, nullable=False),
)
_feedback = sa.Table(
    "whatsit_feedback",
    _tables,
    sa.Column("change", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("id", sa.String(16), nullable=False, unique=True),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("at", sa.String(24), nullable=False),
    sa.Column("verdict", sa.String(8), nullable=False),
    sa.Column("label", sa.String(MAX_LABEL_CHARACTERS)),
    sa.Column("wnid", sa.String(16)),
    sa.Column("answered_label", sa.Text),
    sa.Column("answered_wnid", sa.String(16)),
    sa.Column("answered_score", sa.Float),
    sa.Column("answered_certainty", sa.String(16)),
    sa.Column("model", sa.Text),
    sa.Column("fingerprint", sa.String(64)),
    sa.Column("who", sa.Text),
    sa.Column("picture_format", sa.String(16)),
    sa.Index("whatsit_feedback_by_picture", "sha256", "change"),
)


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened since a number of the counter.

    Attributes:
        number: The counter now.
        corrections: New ones since, oldest first; where `is_all`, the newest of each picture.
        is_all: Whether that is all there is, because something was deleted meanwhile.
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
        self._engine = _create_engine(url)
        self._file = Path(url.database) if _is_sqlite(url) and url.database else None
        self._lock = threading.Lock()
        self._is_prepared = False
        self._max_corrections = max_corrections
        self._room = 0
        self._full_until = 0.0

    def exists(self) -> bool:
        """Whether there may be anything in it: False only for a file that is not there."""
        return self._file is None or is_there(self._file)

    def prepare(self) -> None:
        """Make the tables where there are none.

        Raises:
            FeedbackUnavailable: It can't be reached, or a newer whatsit has changed its tables.
        """
        with self._lock, _sentences():
            if self._is_prepared:
                return
            if self._file is not None:
                _make_private(self._file)
            with self._transaction(writes=True) as connection:
                if connection.dialect.name == "postgresql":
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK_NUMBER)))
                _tables.create_all(connection)
                version = connection.scalar(sa.select(_state.c.version))
                if version is None:
                    connection.execute(_state.insert().values(id=1, version=_VERSION, changes=0))
                elif version != _VERSION:
                    raise FeedbackUnavailable(
                        f"The table of corrections has version {version}, this whatsit knows "
                        f"version {_VERSION} only. Install the whatsit that made it."
                    )
            self._is_prepared = True

    def add(self, record: Record, own: Sequence[str] = ()) -> Record:
        """Store a correction with its facts.

        Of what one caller says of one picture, this and the one before it are there: that one
        counts again if this one is undone. Older ones go, and leave this one their picture.

        Args:
            record: What to store.
            own: Ids of what the same caller said of the picture before, without a key. What it
                said with a key of the same name is found without them.

        Returns:
            What was stored.

        Raises:
            FeedbackFull: There are as many as may be, and none was to go.
            FeedbackUnavailable: See above.
        """
        with self._changing() as (connection, number):
            older = self._older(connection, record, own)
            if not older:
                self._require_room(connection)
            elif (gone := _delete(connection, of_ids(older))) and record.picture_format is None:
                kept = next((row.picture_format for row in gone if row.picture_format), None)
                record = replace(record, picture_format=kept)
            values = {
                **{name: getattr(record.correction, name) for name in Correction.__slots__},
                **_answered_columns(record.answered),
                "who": record.who,
                "picture_format": record.picture_format,
            }
            connection.execute(_feedback.insert().values(change=number, **values))
        return record

    def _older(self, connection: Connection, record: Record, own: Sequence[str]) -> Sequence[str]:
        """Ids of what the caller said before what it said last."""
        if record.who is None and not own:
            return ()
        is_own = of_ids(own)
        if record.who is not None:
            is_own = sa.or_(is_own, _feedback.c.who == record.who)
        query = (
            sa.select(_feedback.c.id)
            .where(of_picture(record.correction.sha256), is_own)
            .order_by(_feedback.c.change.desc())
        )
        return connection.scalars(query).all()[1:]

    def _require_room(self, connection: Connection) -> None:
        if self._room <= 0:
            # Counting takes long where there are many, so whoever knocks at a full table again
            # and again must not have it counted each time.
            if time.monotonic() < self._full_until:
                raise FeedbackFull(self._max_corrections)
            count = connection.scalar(sa.select(sa.func.count()).select_from(_feedback)) or 0
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
            query = sa.select(sa.func.count()).select_from(_feedback).where(*conditions)
            return int(connection.scalar(query) or 0)

    def needed_pictures(self) -> frozenset[str]:
        """Digests of all pictures that some row says are kept."""
        with self._reading() as connection:
            return self._needed(connection)

    def find(self, correction_id: str) -> Record | None:
        """The correction with an id; None where there is none, or none any more."""
        with self._reading() as connection:
            row = connection.execute(
                sa.select(_feedback).where(_feedback.c.id == correction_id)
            ).first()
            return None if row is None else _record(row)

    def newest(self, sha256: str) -> Record | None:
        """The newest correction of a picture; None where there is none."""
        with self._reading() as connection:
            row = connection.execute(
                sa.select(_feedback)
                .where(_feedback.c.sha256 == sha256)
                .order_by(_feedback.c.change.desc())
                .limit(1)
            ).first()
            return None if row is None else _record(row)

    def records(self, *, newest_only: bool = False) -> Iterator[Record]:
        """All corrections, oldest first; or the newest of each picture only."""
        query = sa.select(_feedback).order_by(_feedback.c.change)
        if newest_only:
            query = query.where(_is_newest())
        with self._reading() as connection:
            for row in connection.execution_options(yield_per=1000).execute(query):
                yield _record(row)

    def tally(self, since: str) -> tuple[DayTally, ...]:
        """What was said of answers since a day in ISO 8601; of each picture the newest only."""
        day = sa.func.substr(_feedback.c.at, 1, 10).label("day")
        columns = (day, _feedback.c.model, _feedback.c.verdict)
        query = (
            sa.select(*columns, sa.func.count().label("pictures"))
            .where(_is_newest(), _feedback.c.at >= since)
            # By its name: written out again, it has other parameters than above.
            .group_by("day", _feedback.c.model, _feedback.c.verdict)
        )
        with self._reading() as connection:
            rows = connection.execute(query).all()
        return tuple(DayTally(row.day, row.model, row.verdict, row.pictures) for row in rows)

    def changes_since(self, number: int | None, max_pictures: int) -> Changes | None:
        """What happened since a number of the counter; None if nothing did.

        Args:
            number: As an earlier call has told it; None for all there is.
            max_pictures: Of how many pictures to tell at most, the latest first of all.
        """
        with self._reading() as connection:
            # The counter first: what is committed between the two queries is then told twice.
            now = int(connection.scalar(sa.select(_state.c.changes)) or 0)
            if now == number:
                return None
            if number is not None and 0 < now - number <= max_pictures:
                newer = sa.select(_feedback).where(
                    _feedback.c.change > number, _feedback.c.change <= now
                )
                rows = connection.execute(newer.order_by(_feedback.c.change)).all()
                if len(rows) == now - number:
                    return Changes(now, _corrections(rows), is_all=False)
            latest = sa.select(_feedback).where(_is_newest())
            rows = connection.execute(
                latest.order_by(_feedback.c.change.desc()).limit(max_pictures)
            ).all()
            return Changes(now, _corrections(rows[::-1]), is_all=True)

    def close(self) -> None:
        """Let go of the connections."""
        self._engine.dispose()

    def _needed(self, connection: Connection) -> frozenset[str]:
        query = sa.select(_feedback.c.sha256).where(_feedback.c.picture_format.is_not(None))
        return frozenset(connection.scalars(query.distinct()))

    @contextmanager
    def _changing(self) -> Iterator[tuple[Connection, int]]:
        self.prepare()
        with _sentences(), self._transaction(writes=True) as connection:
            step = _state.update().values(changes=_state.c.changes + 1)
            number = connection.execute(step.returning(_state.c.changes)).scalar_one()
            yield connection, int(number)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        self.prepare()
        with _sentences(), self._transaction(writes=False) as connection:
            yield connection

    @contextmanager
    def _transaction(self, *, writes: bool) -> Iterator[Connection]:
        with self._engine.connect() as connection:
            # Asked for before the transaction begins, because SQLite has to know then.
            connection = connection.execution_options(**{_WRITES: writes})
            with connection.begin():
                yield connection


def of_id(correction_id: str) -> sa.ColumnElement[bool]:
    """The condition that a row is the correction with an id."""
    return _feedback.c.id == correction_id


def of_ids(correction_ids: Sequence[str]) -> sa.ColumnElement[bool]:
    """The condition that a row is one of the corrections with these ids."""
    return _feedback.c.id.in_(correction_ids)


def of_picture(sha256: str) -> sa.ColumnElement[bool]:
    """The condition that a row is about a picture."""
    return _feedback.c.sha256 == sha256


def url_in_store(store: Path) -> URL:
    """The address of the database that is used where none is set."""
    return URL.create("sqlite", database=str(store / DATABASE_FILE))


def parse_url(text: str) -> URL:
    """The address of a database: ``postgresql://user:password@host/name`` or ``sqlite:///file``.

    Raises:
        SettingsError: It is anything else, or the driver for it is not installed. The sentence
            does not repeat it, as there may be a password in it.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise SettingsError(f"WHATSIT_FEEDBACK_URL is no address. {_EXAMPLES}") from error
    if url.drivername == "sqlite" and url.database and url.database != ":memory:":
        if url.query:
            raise SettingsError("WHATSIT_FEEDBACK_URL: a SQLite file takes no options.")
        return _place_file(url, url.database)
    if url.drivername in ("postgres", "postgresql", "postgresql+psycopg"):
        if not url.database:
            raise SettingsError(f"WHATSIT_FEEDBACK_URL names no database. {_EXAMPLES}")
        try:
            import psycopg  # noqa: F401 - SQLAlchemy would say the same less clearly, and later
        except ImportError as error:
            raise SettingsError(
                "WHATSIT_FEEDBACK_URL names a PostgreSQL database, for which the driver is "
                "missing. Install it with: pip install 'whatsit[postgresql]'"
            ) from error
        url = url.set(drivername="postgresql+psycopg")
        _require_options(url)
        return url
    raise SettingsError(f"WHATSIT_FEEDBACK_URL names no database that is known here. {_EXAMPLES}")


_TLS_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_EXAMPLES = "Write it like postgresql://user:password@host/name or sqlite:////folder/file.db."


def _place_file(url: URL, file: str) -> URL:
    try:
        return url.set(database=str(Path(file).expanduser().absolute()))
    except (RuntimeError, OSError) as error:
        raise SettingsError(
            "WHATSIT_FEEDBACK_URL: the home or working folder is not known. Write the whole path."
        ) from error


def _require_options(url: URL) -> None:
    """Refuse what the driver would refuse at every connection."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    try:
        options = url.get_dialect()().create_connect_args(url)[1]
        conninfo_to_dict(make_conninfo(**options))
    except (ProgrammingError, ArgumentError, TypeError, ValueError) as error:
        unknown = re.search(r'invalid connection option "(\w+)"', str(error))
        what = f"there is no option {unknown[1]!r}" if unknown else "its options can't be read"
        raise SettingsError(f"WHATSIT_FEEDBACK_URL: {what}. {_EXAMPLES}") from error
    if (mode := options.get("sslmode", "prefer")) not in _TLS_MODES:
        raise SettingsError(
            f"WHATSIT_FEEDBACK_URL: sslmode must be one of {', '.join(_TLS_MODES)}, not {mode!r}."
        )
    for name in ("sslrootcert", "sslcert", "sslkey"):
        file = options.get(name, "system")
        if file != "system" and not Path(file).is_file():
            raise SettingsError(f"WHATSIT_FEEDBACK_URL: {name} names no file: {file!r}.")


def _create_engine(url: URL) -> Engine:
    if _is_sqlite(url):
        engine = sa.create_engine(
            url, connect_args={"timeout": _TIMEOUT_SECONDS}, pool_size=4, max_overflow=4
        )
        sa.event.listen(engine, "connect", _set_sqlite_up)
        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine
    engine = sa.create_engine(
        url,
        # Prepared statements would not survive a pooler between us and the server.
        connect_args={
            "connect_timeout": _TIMEOUT_SECONDS,
            "application_name": "whatsit",
            "prepare_threshold": None,
        },
        pool_pre_ping=True,
        pool_size=4,
        max_overflow=4,
        pool_timeout=_TIMEOUT_SECONDS,
    )
    sa.event.listen(engine, "begin", _limit_postgresql)
    return engine


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _set_sqlite_up(connection: sqlite3.Connection, record: object) -> None:
    # The driver would begin transactions by itself, and too late.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")
    # With a write-ahead log this loses nothing but the last moment, if the power fails.
    connection.execute("PRAGMA synchronous = NORMAL")
    # What is forgotten leaves no traces in the file.
    connection.execute("PRAGMA secure_delete = ON")


def _begin_sqlite(connection: Connection) -> None:
    # Whoever reads first and then wants to write is refused at once; who says so first may wait.
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _limit_postgresql(connection: Connection) -> None:
    limit = f"SET LOCAL statement_timeout = '{_TIMEOUT_SECONDS}s'"
    connection.exec_driver_sql(limit)


def _make_private(file: Path) -> None:
    """Make the file, so that only its owner can read it; SQLite's other files follow it."""
    make_private_folder(file.parent)
    make_private_file(file)


@contextmanager
def _sentences() -> Iterator[None]:
    """Turn what a database or a disk says into one sentence."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        # The first line says what happened, the others repeat the statement with its values.
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[:1]
        raise FeedbackUnavailable(
            f"The database of corrections failed: {''.join(reason).rstrip('.')}."
        ) from error
    except OSError as error:
        raise FeedbackUnavailable(f"The folder of corrections failed: {error.strerror}.") from error


def _delete(connection: Connection, *conditions: sa.ColumnElement[bool]) -> Sequence[Any]:
    """Delete rows; tells the pictures that they named."""
    return connection.execute(
        _feedback.delete()
        .where(*conditions)
        .returning(_feedback.c.sha256, _feedback.c.picture_format)
    ).all()


def _answered_columns(answered: CorrectedAnswer | None) -> dict[str, object]:
    if answered is None:
        return {}
    return {
        "answered_label": answered.label,
        "answered_wnid": answered.wnid,
        "answered_score": answered.score,
        "answered_certainty": answered.certainty,
        "model": answered.model,
        "fingerprint": answered.fingerprint,
    }


def _is_newest() -> sa.ColumnElement[bool]:
    newest = sa.select(sa.func.max(_feedback.c.change)).group_by(_feedback.c.sha256)
    return _feedback.c.change.in_(newest)


def _corrections(rows: Sequence[Any]) -> tuple[Correction, ...]:
    return tuple(_correction(row) for row in rows)


def _correction(row: Any) -> Correction:
    return Correction(row.id, row.sha256, row.verdict, row.label, row.wnid, row.at)


def _record(row: Any) -> Record:
    answered = None
    if row.answered_label is not None:
        answered = CorrectedAnswer(
            row.answered_label,
            row.answered_wnid,
            row.answered_score,
            row.answered_certainty,
            row.model,
            row.fingerprint,
        )
    return Record(_correction(row), answered, row.who, row.picture_format)
