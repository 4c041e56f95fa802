"""The secrets of a cache: the password of its Redis, and the key that signs its entries."""

from pathlib import Path
from urllib.parse import quote, urlsplit

from whatsit.errors import SettingsError

MIN_SECRET_CHARACTERS = 16

_PASSWORD_FILE = "WHATSIT_REDIS_PASSWORD_FILE"


def require_long_secret(secret: str) -> None:
    """Refuse a secret that is too short to sign with.

    Raises:
        ValueError: It is; the message is a sentence for people.
    """
    if len(secret) < MIN_SECRET_CHARACTERS:
        raise ValueError(
            f"A secret has {MIN_SECRET_CHARACTERS} characters or more; "
            "make one with: openssl rand -hex 32"
        )


def add_password(url: str, password_file: Path) -> str:
    """The address of a Redis with the password that a file holds.

    Args:
        url: As `require_redis_address` accepts it, without a password; or empty.
        password_file: Holds the password, with or without space around it.

    Raises:
        SettingsError: The address lacks a host or has a password already, or the file
            is empty or can't be read.
    """
    parts = urlsplit(url)
    if not parts.hostname:
        raise SettingsError(f"{_PASSWORD_FILE} needs an address in WHATSIT_REDIS_URL.")
    if parts.password:
        raise SettingsError(
            f"WHATSIT_REDIS_URL has a password already; leave out {_PASSWORD_FILE}."
        )
    try:
        password = password_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{_PASSWORD_FILE}: {password_file} can't be read ({error})."
        ) from error
    if not password:
        raise SettingsError(f"{_PASSWORD_FILE}: {password_file} is empty.")
    user, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}").geturl()
