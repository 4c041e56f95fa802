"""Corrections and the pictures kept with them, as one."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from whatsit.clock import utc_now
from whatsit.errors import FeedbackUnavailable, FeedbackUnknown
from whatsit.feedback.correction import CorrectedAnswer, Correction, Record, Verdict
from whatsit.feedback.database import FeedbackDatabase
from whatsit.feedback.pictures import KeptPictures
from whatsit.feedback.tables import of_id, of_picture

_ID_BYTES = 8


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that its sender agreed to have kept; it has been decoded once.

    Attributes:
        image_bytes: As they were sent.
        format: Name of the file format, such as ``JPEG``.
    """

    image_bytes: bytes
    format: str


@dataclass(frozen=True, slots=True)
class NewCorrection:
    """A correction before it is kept; see `Record` for the attributes."""

    sha256: str
    verdict: Verdict
    label: str | None = None
    wnid: str | None = None
    answered: CorrectedAnswer | None = None
    who: str | None = None


class FeedbackStore:
    """Keeps corrections, with pictures only where they were given for it.

    Args:
        database: Where the corrections are.
        pictures: Where the pictures are.
    """

    def __init__(self, database: FeedbackDatabase, pictures: KeptPictures) -> None:
        self.database = database
        self.pictures = pictures

    def add(
        self, new: NewCorrection, picture: Picture | None = None, own: Sequence[str] = ()
    ) -> Record:
        """Keep a correction; see `FeedbackDatabase.add` for what it replaces.

        Args:
            new: The correction.
            picture: To be kept as well, if there is room; `new.sha256` is its digest.
            own: Ids of the same caller's earlier corrections of the picture, without a key.

        Returns:
            The stored correction.

        Raises:
            FeedbackFull: There are as many corrections as may be; nothing was kept.
            FeedbackUnavailable: Nothing was kept.
        """
        with _disk_failures(), self.pictures.changing() if picture else nullcontext():
            was_there = picture is not None and self.pictures.has(new.sha256)
            kept = picture is not None and self.pictures.keep(new.sha256, picture.image_bytes)
            correction = Correction(
                secrets.token_hex(_ID_BYTES),
                new.sha256,
                new.verdict,
                new.label,
                new.wnid,
                utc_now("milliseconds"),
            )
            picture_format = picture.format if picture is not None and kept else None
            record = Record(correction, new.answered, new.who, picture_format)
            try:
                return self.database.add(record, own)
            except BaseException:
                if kept and not was_there:
                    self.pictures.forget(new.sha256)
                raise

    def undo(self, correction_id: str) -> Correction:
        """Delete a correction, and its picture unless another one needs it.

        Returns:
            The deleted correction.

        Raises:
            FeedbackUnknown: The id is unknown, or its correction is deleted.
            FeedbackUnavailable: Nothing was deleted.
        """
        record = self.database.find(correction_id)
        if record is None:
            raise FeedbackUnknown(correction_id)
        has_picture = record.picture_format is not None
        with (
            _disk_failures(),
            self.pictures.changing() if has_picture else nullcontext(),
            self.database.removing(of_id(correction_id)) as unneeded,
        ):
            # Before the row is deleted: a picture without a row would stay for ever.
            for sha256 in unneeded:
                self.pictures.forget(sha256)
        return record.correction

    def forget(self, sha256: str | None) -> int:
        """Delete everything that is kept about a picture, or about all of them.

        This includes pictures without a correction.

        Returns:
            The number of deleted corrections.

        Raises:
            FeedbackUnavailable: Not everything was deleted.
        """
        conditions = () if sha256 is None else (of_picture(sha256),)
        present = self.pictures.names()
        if sha256 is not None:
            present &= {sha256}
        with _disk_failures(), self.pictures.changing() if present else nullcontext():
            gone = self.database.count(*conditions) if self.database.exists() else 0
            with self.database.removing(*conditions) if gone else nullcontext(()) as unneeded:
                for name in {*unneeded, *present}:
                    self.pictures.forget(name)
        return gone

    def drop_unneeded(self, among: frozenset[str]) -> None:
        """Delete pictures of this machine whose last correction was undone on another one.

        Args:
            among: Digests that this database has known; no others are looked at, because the
                pictures may be those of another database.

        Raises:
            FeedbackUnavailable: They could not be found or deleted.
        """
        with _disk_failures():
            if not self.pictures.names() & among:
                return
            with self.pictures.changing():
                unneeded = (self.pictures.names() & among) - self.database.needed_pictures()
                for sha256 in unneeded:
                    self.pictures.forget(sha256)


@contextmanager
def _disk_failures() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FeedbackUnavailable(f"The folder of corrections failed: {error.strerror}.") from error
