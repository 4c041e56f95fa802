"""The tables of corrections, the conditions that rows are chosen by, and rows as values."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from whatsit.feedback.correction import MAX_LABEL_CHARACTERS, CorrectedAnswer, Correction, Record

VERSION = 1
"""Of the tables."""

TABLES = sa.MetaData()
STATE = sa.Table(
    "whatsit_feedback_state",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("changes", sa.BigInteger, nullable=False),
)
FEEDBACK = sa.Table(
    "whatsit_feedback",
    TABLES,
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


def of_id(correction_id: str) -> sa.ColumnElement[bool]:
    """The condition that a row is the correction with an id."""
    return FEEDBACK.c.id == correction_id


def of_ids(correction_ids: Sequence[str]) -> sa.ColumnElement[bool]:
    """The condition that a row is one of the corrections with these ids."""
    return FEEDBACK.c.id.in_(correction_ids)


def of_picture(sha256: str) -> sa.ColumnElement[bool]:
    """The condition that a row is about a picture."""
    return FEEDBACK.c.sha256 == sha256


def is_newest() -> sa.ColumnElement[bool]:
    """The condition that a row is the newest one about its picture."""
    newest = sa.select(sa.func.max(FEEDBACK.c.change)).group_by(FEEDBACK.c.sha256)
    return FEEDBACK.c.change.in_(newest)


def columns_of(record: Record) -> dict[str, object]:
    """A correction with its facts as the columns of a row, except for its number."""
    columns: dict[str, object] = {
        name: getattr(record.correction, name) for name in Correction.__slots__
    }
    if (answered := record.answered) is not None:
        columns |= {
            "answered_label": answered.label,
            "answered_wnid": answered.wnid,
            "answered_score": answered.score,
            "answered_certainty": answered.certainty,
            "model": answered.model,
            "fingerprint": answered.fingerprint,
        }
    return columns | {"who": record.who, "picture_format": record.picture_format}


def correction_of(row: Any) -> Correction:
    """The correction in a row."""
    return Correction(row.id, row.sha256, row.verdict, row.label, row.wnid, row.at)


def corrections_of(rows: Sequence[Any]) -> tuple[Correction, ...]:
    """The corrections in some rows, in their order."""
    return tuple(correction_of(row) for row in rows)


def record_of(row: Any) -> Record:
    """The correction in a row, with its facts."""
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
    return Record(correction_of(row), answered, row.who, row.picture_format)
