"""A picture as it was sent: its bytes and their digest, made once where it comes in."""

import hashlib
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that nothing has looked into yet; its bytes may turn out not to be a picture.

    Attributes:
        image_bytes: As they were sent.
        sha256: Their SHA-256, 64 hex digits in lower case. Caches and corrections know the
            picture by it.
    """

    image_bytes: bytes
    sha256: str

    @classmethod
    def of(cls, image_bytes: bytes) -> Self:
        """The picture of some bytes. Takes about half a millisecond for each megabyte.

        Example:
            >>> Picture.of(b"GIF89a").sha256[:8]
            '610f5ae4'
        """
        return cls(image_bytes, hashlib.sha256(image_bytes).hexdigest())
