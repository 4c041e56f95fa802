"""API keys: made, listed and revoked in a file of the store, recognised by every process there.

A key is 256 random bits, so its SHA-256 can't be turned back into it by trying: the slow hashes
that protect passwords would protect nothing here, and cost every request their time.
"""

import hashlib
import hmac
import json
import logging
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

from whatsit.clock import utc_now
from whatsit.errors import InvalidParameter, SettingsError
from whatsit.files import (
    LOCK_SECONDS,
    exclusive,
    make_private_folder,
    read_plain,
    replace_file,
    store_failures,
)

KEY_FILE = "keys.json"

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.25
"""How long the file's last known state is trusted; a revoked key lives this much longer."""
_ID_BYTES = 4
_SECRET_BYTES = 32
_MAX_KEY_CHARACTERS = 100
_MAX_FILE_BYTES = 10_000_000
"""Some 40,000 keys."""


@dataclass(frozen=True)
class ApiKey:
    """The stored facts about a key; not the key itself, which cannot be recovered.

    Attributes:
        id: The middle part of the key, for lists and logs.
        name: The person or program that it was made for.
        sha256: Digest of the whole key, in hexadecimal digits.
        created: When it was made, UTC, in ISO 8601.
        revoked: When it stopped working; None while it works.
    """

    id: str
    name: str
    sha256: str
    created: str
    revoked: str | None = None


class KeyFile:
    """The keys of one store, for the operator: made, listed, revoked.

    The file is replaced as a whole, by one writer at a time, and is readable by its owner only.

    Args:
        store: Folder of the file; made when the first key is.
        lock_seconds: How long to wait for another writer.
    """

    def __init__(self, store: Path, lock_seconds: float = LOCK_SECONDS) -> None:
        self._store = store
        self._lock_seconds = lock_seconds
        self.path = store / KEY_FILE

    def known(self) -> tuple[ApiKey, ...]:
        """All keys ever made here, oldest first, revoked ones among them.

        Raises:
            SettingsError: The file can't be read, or is damaged.
        """
        try:
            return _parse(_read(self.path))
        except FileNotFoundError:
            return ()
        except (OSError, ValueError) as error:
            raise SettingsError(_unusable(self.path, error)) from error

    def create(self, name: str) -> str:
        """Make a key.

        Args:
            name: The person or program that it is for: 1 to 64 printable characters.

        Returns:
            The key. It is stored nowhere, so this is the only time it can be shown.

        Raises:
            InvalidParameter: The name is empty, too long, or not printable.
            SettingsError: The file can't be read or written.
        """
        if not (0 < len(name.strip()) <= 64 and name.isprintable()):
            raise InvalidParameter("A key's name has 1 to 64 printable characters.")
        with self._changing() as keys:
            taken = {key.id for key in keys}
            while (key_id := secrets.token_hex(_ID_BYTES)) in taken:
                pass
            key = f"wi_{key_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"
            keys.append(ApiKey(key_id, name.strip(), _digest(key), utc_now()))
        return key

    def revoke(self, key_id: str) -> ApiKey:
        """Make a key stop working, within a second and for good, in all processes of the store.

        Revoking it again changes nothing.

        Raises:
            InvalidParameter: The key does not exist.
            SettingsError: The file can't be read or written.
        """
        with self._changing() as keys:
            for position, key in enumerate(keys):
                if key.id == key_id:
                    keys[position] = replace(key, revoked=key.revoked or utc_now())
                    return keys[position]
            raise InvalidParameter(
                f"The key {key_id!r} does not exist. To list the ids: whatsit keys list"
            )

    @contextmanager
    def _changing(self) -> Iterator[list[ApiKey]]:
        with store_failures(self._store):
            make_private_folder(self._store)
            with exclusive(self._store / "keys.lock", self._lock_seconds):
                keys = list(self.known())
                yield keys
                self._write(keys)

    def _write(self, keys: list[ApiKey]) -> None:
        document = {"version": 1, "keys": [vars(key) for key in keys]}
        content = json.dumps(document, indent=1, ensure_ascii=False)
        replace_file(self.path, content.encode())


class KeyRing:
    """Recognises keys from memory, and notices within half a second that the file changed.

    While the file is damaged or can't be read, no key is valid, and the log says so.

    Args:
        store: Folder of the file, which may be made later.
        clock: Seconds that only grow.
    """

    def __init__(self, store: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = store / KEY_FILE
        self._clock = clock
        self._look_at = clock()
        self._seen: object = None
        self._complaint: str | None = None
        self._valid: dict[str, ApiKey] = {}

    def find(self, offered: str) -> ApiKey | None:
        """The key that `offered` is; None where it is unknown or revoked.

        Costs a look at the file's state four times a second, otherwise about two microseconds.
        """
        if self._clock() >= self._look_at:
            self._look()
        if len(offered) > _MAX_KEY_CHARACTERS:
            return None
        # Ids are not secret: the time that a miss takes reveals nothing.
        key = self._valid.get(_id_of(offered))
        if key is None or not hmac.compare_digest(key.sha256, _digest(offered)):
            return None
        return key

    def is_empty(self) -> bool:
        """True if no key would be recognised now."""
        self._look()
        return not self._valid

    def _look(self) -> None:
        self._look_at = self._clock() + _LOOK_SECONDS
        try:
            facts = self._path.stat()
            # The change time shows new rights, the rest shows new content.
            state = (facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino, facts.st_size)
            if state == self._seen:
                return
            keys = _parse(_read(self._path))
        except FileNotFoundError:
            self._know((), seen=None)
        except OSError as error:
            self._know((), seen=None, complaint=_unusable(self._path, error))
        except ValueError as error:
            self._know((), seen=state, complaint=_unusable(self._path, error))
        else:
            self._know(keys, seen=state)

    def _know(self, keys: tuple[ApiKey, ...], seen: object, complaint: str | None = None) -> None:
        self._valid = {key.id: key for key in keys if key.revoked is None}
        self._seen = seen
        if complaint != self._complaint and complaint is not None:
            _log.error("%s Until then every request that needs a key is refused.", complaint)
        self._complaint = complaint


class _StoredKey(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}$")]
    name: str
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    created: str
    revoked: str | None


class _StoredKeys(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    version: Literal[1]
    keys: list[_StoredKey]


def _read(path: Path) -> bytes:
    # A link is followed: that is how Kubernetes mounts a secret.
    return read_plain(path, _MAX_FILE_BYTES, follow=True)


def _parse(content: bytes) -> tuple[ApiKey, ...]:
    """The keys in the file's content; `ValueError` where it is anything else."""
    document = _StoredKeys.model_validate_json(content)
    if len({key.id for key in document.keys}) != len(document.keys):
        raise ValueError("An id occurs twice.")
    return tuple(ApiKey(**key.model_dump()) for key in document.keys)


def _unusable(path: Path, error: Exception) -> str:
    reason = error.strerror if isinstance(error, OSError) else "it is damaged"
    return (
        f"The API keys can't be read from {path}: {reason}. "
        "Repair it, or delete it and make new keys."
    )


def _id_of(key: str) -> str:
    prefix, _, rest = key.partition("_")
    return rest.partition("_")[0] if prefix == "wi" else ""


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "backslashreplace")).hexdigest()
