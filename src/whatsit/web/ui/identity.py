"""The sign-in of the page: the operator's file, read and checked at the start."""

import tomllib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from whatsit.errors import SettingsError
from whatsit.settings import Settings

CALLBACK_PATH = "/oauth2callback"
"""Where the provider sends people back to; Streamlit's."""

MIN_COOKIE_SECRET_LENGTH = 32

_KEYS = ("redirect_uri", "cookie_secret", "client_id", "client_secret", "server_metadata_url")
_FURTHER_KEYS = ("client_kwargs",)
_SEE = "See docs/run/sign-in.md."


def load_sign_in_secrets(settings: Settings) -> dict[str, Any]:
    """The section ``[auth]`` of the secrets file, for Streamlit.

    Raises:
        SettingsError: The optional dependency, the file, the section or a key is missing, or a
            value can't work.
    """
    if find_spec("authlib") is None:
        raise SettingsError(
            "WHATSIT_PAGE_SIGN_IN is required, which needs Authlib. "
            "Install it with: pip install 'whatsit[sign-in]'"
        )
    path = settings.page_secrets or settings.store / "secrets.toml"
    auth = _read(path).get("auth")
    if not isinstance(auth, Mapping):
        raise SettingsError(f"The section [auth] is missing in {path}. {_SEE}")
    missing = [key for key in _KEYS if not auth.get(key)]
    if missing:
        raise SettingsError(f"The section [auth] of {path} lacks {', '.join(missing)}. {_SEE}")
    if unknown := sorted(set(auth) - {*_KEYS, *_FURTHER_KEYS}):
        raise SettingsError(f"The section [auth] of {path} has unknown keys: {unknown}. {_SEE}")
    _require_sane(auth, path)
    return {"auth": dict(auth)}


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SettingsError(
            f"WHATSIT_PAGE_SIGN_IN is required, but {path} does not exist. {_SEE}"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} can't be read as UTF-8 text.") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not TOML: {error}.") from error


def _require_sane(auth: Mapping[str, Any], path: Path) -> None:
    if not all(isinstance(auth[key], str) for key in _KEYS):
        raise SettingsError(f"The keys {', '.join(_KEYS)} of {path} must be text in quotes.")
    if len(auth["cookie_secret"]) < MIN_COOKIE_SECRET_LENGTH:
        raise SettingsError(
            f"The cookie_secret of {path} has fewer than {MIN_COOKIE_SECRET_LENGTH} characters. "
            'Make one with: python -c "import secrets; print(secrets.token_urlsafe(48))"'
        )
    redirect = urlsplit(auth["redirect_uri"])
    if redirect.scheme not in ("http", "https") or redirect.path != CALLBACK_PATH:
        raise SettingsError(
            f"The redirect_uri of {path} must be the page's address followed by {CALLBACK_PATH}."
        )
