"""The address of the database of corrections, and an engine for it: SQLite or PostgreSQL."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from whatsit.errors import FeedbackUnavailable, SettingsError

DATABASE_FILE = "feedback.db"
WRITES = "whatsit_writes"
"""The option of a connection that says that its transaction will write."""

_TIMEOUT_SECONDS = 3
_TLS_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_EXAMPLES = "Write it like postgresql://user:password@host/name or sqlite:////folder/file.db."


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
        raise SettingsError(f"WHATSIT_FEEDBACK_URL is not an address. {_EXAMPLES}") from error
    if url.drivername == "sqlite" and url.database and url.database != ":memory:":
        if url.query:
            raise SettingsError("WHATSIT_FEEDBACK_URL: a SQLite file takes no options.")
        return _place_file(url, url.database)
    if url.drivername in ("postgres", "postgresql", "postgresql+psycopg"):
        if not url.database:
            raise SettingsError(f"WHATSIT_FEEDBACK_URL does not name a database. {_EXAMPLES}")
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
    raise SettingsError(
        f"WHATSIT_FEEDBACK_URL must name a PostgreSQL or SQLite database. {_EXAMPLES}"
    )


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
        what = f"the option {unknown[1]!r} is unknown" if unknown else "its options can't be read"
        raise SettingsError(f"WHATSIT_FEEDBACK_URL: {what}. {_EXAMPLES}") from error
    if (mode := options.get("sslmode", "prefer")) not in _TLS_MODES:
        raise SettingsError(
            f"WHATSIT_FEEDBACK_URL: sslmode must be one of {', '.join(_TLS_MODES)}, not {mode!r}."
        )
    for name in ("sslrootcert", "sslcert", "sslkey"):
        file = options.get(name, "system")
        if file != "system" and not Path(file).is_file():
            raise SettingsError(f"WHATSIT_FEEDBACK_URL: {name} does not name a file: {file!r}.")


def create_engine(url: URL) -> Engine:
    """An engine that connects when it is first used.

    Args:
        url: As `parse_url` gives it.
    """
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


def sqlite_file(url: URL) -> Path | None:
    """The file of a SQLite database; None for any other."""
    return Path(url.database) if _is_sqlite(url) and url.database else None


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _set_sqlite_up(connection: sqlite3.Connection, record: object) -> None:
    # The driver would begin transactions by itself, and too late.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")
    # With a write-ahead log this loses nothing but the last moment, if the power fails.
    connection.execute("PRAGMA synchronous = NORMAL")
    # Deleted rows leave no traces in the file.
    connection.execute("PRAGMA secure_delete = ON")


def _begin_sqlite(connection: Connection) -> None:
    # SQLite refuses a reader that begins to write at once; one that says so first may wait.
    writes = connection.get_execution_options().get(WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _limit_postgresql(connection: Connection) -> None:
    limit = f"SET LOCAL statement_timeout = '{_TIMEOUT_SECONDS}s'"
    connection.exec_driver_sql(limit)


@contextmanager
def database_failures() -> Iterator[None]:
    """Turn an error of a database or a disk into one sentence.

    Raises:
        FeedbackUnavailable: The block failed.
    """
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
