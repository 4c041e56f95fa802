"""Check the address of a Redis before its use, and say what is wrong with it."""

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

_FORM = (
    "It must be the address of one server, like redis://user:password@host:6379/0 "
    "(or rediss://, or unix:///path). For a cluster or Sentinel, give the address of a proxy "
    "before it. In a name or password, write : / ? # @ and % as %3A %2F %3F %23 %40 and %25"
)
_Judge = Callable[[str], str | None]
"""Says what is wrong with an option's value, as the rest of a sentence; None if it is right."""
_Options = Mapping[str, _Judge]
_FLAGS = frozenset({"0", "1", "true", "false", "yes", "no", "t", "f", "y", "n"})
_OPTION_NAME = re.compile(r"[A-Za-z_]{1,50}")
_TIMEOUTS = frozenset({"socket_timeout", "socket_connect_timeout", "timeout"})


def require_redis_address(url: str) -> None:
    """Refuse an address that a Redis client would refuse later, or understand differently.

    Args:
        url: ``redis://``, ``rediss://`` (TLS) or ``unix://``, with user and password if needed,
            and options behind a question mark.

    Raises:
        ValueError: The address is unusable. The message is a sentence without its full stop, and
            without any of the address but the names of options and files.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:  # the port is not a number: often a password with a slash in it
        raise ValueError(_FORM) from error
    if parts.scheme not in ("redis", "rediss", "unix") or parts.fragment or port == 0:
        raise ValueError(_FORM)
    if parts.scheme == "unix":
        if parts.hostname or not parts.path:
            raise ValueError("The path of a socket follows three slashes, like unix:///run/redis")
    else:
        _require_database(parts.path)
    _require_options(parts)


def _require_database(path: str) -> None:
    number = unquote(path).strip("/")
    if number and not (number.isascii() and number.isdigit()):
        raise ValueError("After the last slash write the number of the database, like /0")


def _require_options(parts: SplitResult) -> None:
    known = _KNOWN[parts.scheme]
    options = parse_qsl(parts.query, keep_blank_values=True)
    for name, value in options:
        if name in _TIMEOUTS:
            raise ValueError(
                f"The option {name} is not supported: WHATSIT_REDIS_TIMEOUT_SECONDS sets how "
                "long whatsit waits for Redis"
            )
        if name in _TLS_OPTIONS and name not in known:
            raise ValueError(
                f"The option {name} is for TLS, so the address must begin with rediss://"
            )
        if name not in known:
            # Otherwise it may be the rest of a password with a question mark in it.
            if not _OPTION_NAME.fullmatch(name):
                raise ValueError(_FORM)
            near = get_close_matches(name, known, n=1, cutoff=0.6)
            hint = f"the nearest is {near[0]}" if near else f"known are {', '.join(sorted(known))}"
            raise ValueError(f"The option {name!r} is unknown; {hint}")
        if (complaint := known[name](value)) is not None:
            raise ValueError(f"The option {name} {complaint}")
    if parts.scheme == "rediss":
        _require_certificates(dict(options))


def _require_certificates(options: Mapping[str, str]) -> None:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authorities = options.get("ssl_ca_certs"), options.get("ssl_ca_path")
    certificate, key = options.get("ssl_certfile"), options.get("ssl_keyfile")
    if any(authorities):
        try:
            context.load_verify_locations(*authorities)
        except (OSError, ssl.SSLError) as error:
            raise ValueError("ssl_ca_certs must name a file of certificates in PEM form") from error
    if certificate:
        try:
            context.load_cert_chain(certificate, key, options.get("ssl_password", ""))
        except (OSError, ssl.SSLError) as error:
            raise ValueError(
                "ssl_certfile and ssl_keyfile must name a certificate with its key in PEM form, or "
                "ssl_password does not open the key"
            ) from error
    if (ciphers := options.get("ssl_ciphers")) is not None:
        try:
            context.set_ciphers(ciphers)
        except ssl.SSLError as error:
            raise ValueError("ssl_ciphers is not a list of ciphers that OpenSSL knows") from error


def _any(value: str) -> str | None:
    del value
    return None


def _flag(value: str) -> str | None:
    return None if value.lower() in _FLAGS else "must be true or false"


def _number(value: str) -> str | None:
    return None if value.isascii() and value.isdigit() else "must be a whole number"


def _word(value: str) -> str | None:
    is_word = value.isascii() and value.isprintable() and " " not in value
    return None if is_word else "must be plain characters without spaces"


def _file(value: str) -> str | None:
    return None if Path(value).is_file() else f"does not name a file: {_shown(value)}"


def _folder(value: str) -> str | None:
    return None if Path(value).is_dir() else f"does not name a folder: {_shown(value)}"


def _one_of(*words: str) -> _Judge:
    return lambda value: None if value in words else f"must be {' or '.join(words)}"


def _shown(text: str) -> str:
    """The value as written if it is printable on a line; a very long one is cut."""
    return repr(text[:100])


_OPTIONS: _Options = {
    "client_name": _word,
    "db": _number,
    "health_check_interval": _number,
    "password": _any,
    "protocol": _one_of("2", "3"),
    "username": _any,
}
_TCP_OPTIONS: _Options = {**_OPTIONS, "socket_keepalive": _flag}
_TLS_OPTIONS: _Options = {
    "ssl_ca_certs": _file,
    "ssl_ca_path": _folder,
    "ssl_certfile": _file,
    "ssl_cert_reqs": _one_of("required", "optional", "none"),
    "ssl_check_hostname": _flag,
    "ssl_ciphers": _any,
    "ssl_keyfile": _file,
    "ssl_min_version": _one_of("771", "772"),
    "ssl_password": _any,
}
_KNOWN: Mapping[str, _Options] = {
    "unix": _OPTIONS,
    "redis": _TCP_OPTIONS,
    "rediss": {**_TCP_OPTIONS, **_TLS_OPTIONS},
}
