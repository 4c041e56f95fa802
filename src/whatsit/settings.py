"""All settings, in one class: ``WHATSIT_...`` in the environment, or an option.

A setting given on the command line wins over the environment, which wins over ``.env`` in the
working folder, which wins over the default.
"""

import os
import stat
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from whatsit.access.hosts import HostNames, is_loopback, parse_host_names
from whatsit.access.networks import Network, parse_networks, parse_ports
from whatsit.access.rates import Rate, parse_rate
from whatsit.cache.address import require_redis_address
from whatsit.cache.secrets import add_password, require_long_secret
from whatsit.errors import SettingsError
from whatsit.images.decode import DEFAULT_MAX_PIXELS, DEFAULT_MAX_UPLOAD_BYTES
from whatsit.models.catalogue import DEFAULT_MODEL
from whatsit.models.home import default_home
from whatsit.service.workers import DEFAULT_MAX_QUEUE, DEFAULT_MAX_WAIT_SECONDS

_PREFIX = "WHATSIT_"
_EXPOSED_RATE = Rate(120, "minute")
_PARSERS: dict[str, tuple[frozenset[str], Callable[[str], object]]] = {
    "rate_limit": (frozenset({"auto", "off"}), parse_rate),
    "allowed_hosts": (frozenset({"auto", "*"}), parse_host_names),
    "trusted_proxies": (frozenset(), parse_networks),
    "fetch_ports": (frozenset(), parse_ports),
    "fetch_allow": (frozenset(), parse_networks),
    "redis_url": (frozenset(), require_redis_address),
    "cache_secret": (frozenset(), require_long_secret),
}
"""Settings that are texts in a form of their own: words beside it, and its parser."""
_NOT_OURS = frozenset({"WHATSIT_SHARED", "WHATSIT_KEY"})
"""Read by the test-suite, and by the command line when it asks a server."""


class Settings(BaseSettings):
    """The effective settings; built once, where the program starts."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_file=".env", extra="ignore", frozen=True
    )

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8501, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    api_keys: Literal["auto", "required", "off"] = Field(
        "auto",
        description="Keys for the API: required or off. "
        "auto: required as soon as other machines can reach the server.",
    )
    rate_limit: str = Field(
        "auto",
        description="Requests that one key or address may send, such as 120/minute, or off. "
        "auto: 120/minute as soon as other machines can reach the server.",
    )
    allowed_hosts: str = Field(
        "auto",
        description="Host names that the server answers to, with commas, such as *.example.org; "
        "* for any. auto: the names of this machine while only it can reach the server, else any.",
    )
    trusted_proxies: str = Field(
        "",
        description="Addresses or networks, with commas, of proxies whose X-Forwarded-For and "
        "X-Forwarded-Proto are trusted. A server with one counts as reachable from other machines.",
    )
    max_connections_per_address: int = Field(
        100,
        ge=1,
        le=100_000,
        description="Connections that one address may have open at the same time; "
        "those of trusted proxies are not counted.",
    )
    model: str = Field(
        DEFAULT_MODEL,
        description="Name of the model that answers; live: the one that was promoted last, "
        "followed while the server runs.",
    )
    store: Path = Field(
        default_factory=default_home,
        description="Folder of models, keys, corrections and the embedded cache.",
    )
    keys_folder: Path | None = Field(
        None,
        description="Folder of `keys.json`, for servers that share keys alone. Empty: the store.",
    )
    engine: str = Field("openvino", description="Runtime of the model: openvino or onnxruntime.")
    inference_threads: int = Field(
        default_factory=lambda: (os.cpu_count() or 1) + 2,
        ge=1,
        le=256,
        description="Pictures in progress at the same time.",
    )
    max_queue: int = Field(
        DEFAULT_MAX_QUEUE,
        ge=0,
        le=10_000,
        description="Pictures that may wait for a worker; the next one is refused for now.",
    )
    max_wait_seconds: float = Field(
        DEFAULT_MAX_WAIT_SECONDS,
        gt=0,
        le=60,
        description="Refuse a picture that would wait longer at the present speed, seconds.",
    )
    max_upload_bytes: int = Field(
        DEFAULT_MAX_UPLOAD_BYTES, ge=1_000, le=500_000_000, description="Largest picture, bytes."
    )
    max_held_bytes: int = Field(
        200_000_000,
        ge=1_000_000,
        description="Bytes of pictures held in memory at the same time, those that still arrive "
        "included; beyond it a picture is refused for now. One caller gets a quarter of it.",
    )
    body_grace_seconds: float = Field(
        8.0,
        gt=0,
        le=600,
        description="How long a picture may take to arrive; every 16 kB of it earn another second, "
        "10 at most in advance. One that brings nothing for 5 seconds ends.",
    )
    fetch_urls: Literal["on", "off"] = Field(
        "off",
        description="Fetch pictures from addresses that callers send; "
        "public ones only, see security.md.",
    )
    fetch_ports: str = Field(
        "80, 443", description="Ports that such an address may name, with commas."
    )
    fetch_allow: str = Field(
        "",
        description="Networks, with commas, such as 10.0.0.0/8, that pictures are fetched from "
        "although they are not public; callers can then reach any address in them.",
    )
    max_pixels: int = Field(
        DEFAULT_MAX_PIXELS,
        ge=1_000,
        le=89_000_000,  # from 89.5 million on, Pillow itself objects
        description="Largest picture, width x height; each may cost 6 bytes of memory.",
    )
    cache: Literal["on", "off"] = Field("on", description="Keep answers to use them again.")
    cache_ttl_seconds: int = Field(
        604_800,
        ge=1,
        le=3_153_600_000,  # a hundred years; far above it, Redis refuses every entry
        description="How long an answer may be reused, seconds.",
    )
    cache_namespace: str = Field(
        "whatsit",
        pattern=r"^[A-Za-z0-9_.-]{1,64}$",
        description="Prefix of all keys, for a Redis that others use too.",
    )
    cache_secret: SecretStr | None = Field(
        None,
        description="Secret that signs the entries in Redis, 16 characters or more, the same for "
        "all servers that share them; entries without its signature are ignored. "
        "Empty: a checksum.",
    )
    cache_memory_entries: int = Field(
        2_000, ge=0, le=1_000_000, description="Answers kept in the process, about 4 kB each."
    )
    redis_url: SecretStr | None = Field(
        None,
        description="Address of a Redis or Valkey. Empty: an embedded Valkey is started.",
    )
    redis_password_file: Path | None = Field(
        None,
        description="File with the password for `WHATSIT_REDIS_URL`, which then holds no secret.",
    )
    redis_timeout_seconds: float = Field(
        0.2, gt=0, le=10, description="Compute the answer when Redis takes longer, seconds."
    )
    feedback_url: SecretStr | None = Field(
        None,
        description="Address of the database of corrections, such as "
        "postgresql://user:password@host/name. Empty: `feedback.db` in the store.",
    )
    feedback_max_corrections: int = Field(
        1_000_000,
        ge=1,
        description="Corrections that are kept, about 400 bytes each; beyond it the next one is "
        "refused, and all others stay.",
    )
    feedback_max_kept_bytes: int = Field(
        1_000_000_000,
        ge=0,
        description="Bytes on the disk of the pictures that people agreed to have kept with "
        "corrections, in total; beyond it, or 100,000 of them, corrections are kept without their "
        "pictures. 0 keeps no picture.",
    )
    max_pages: int = Field(
        400,
        ge=1,
        le=10_000,
        description="Pages open at the same time; the next visitor's says that it has to wait.",
    )
    max_pages_per_address: int = Field(
        60,
        ge=1,
        le=10_000,
        description="Pages open at the same time from one address. It decides as well how often "
        "they are drawn: twice as many at once, then each every six seconds.",
    )
    page_sign_in: Literal["off", "required"] = Field(
        "off", description="Sign-in by OpenID Connect before people see the page: required or off."
    )
    page_secrets: Path | None = Field(
        None,
        description="Set-up of the sign-in; see sign-in.md. Empty: `secrets.toml` in the store.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="How much is logged."
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="Log lines for people or for machines."
    )

    @field_validator("*", mode="before")
    @classmethod
    def _empty_is_not_given(cls, value: Any, info: ValidationInfo) -> Any:
        # A compose file hands on ``WHATSIT_X=${WHATSIT_X}`` whether it is set or not.
        if value != "" or info.field_name is None:
            return value
        return cls.model_fields[info.field_name].get_default(call_default_factory=True)

    @field_validator("store", "keys_folder", "page_secrets", "redis_password_file")
    @classmethod
    def _means_the_same_everywhere(cls, value: Path | None) -> Path | None:
        # Without a shell, ``~`` stays as it is: in ``.env``, a unit file or behind ``--store=``.
        if value is None:
            return None
        try:
            return value.expanduser().absolute()
        except (RuntimeError, OSError) as error:
            raise PydanticCustomError(
                "unplaceable",
                "{path} can't be found, because the home or working folder is not known. "
                "Write the whole path",
                {"path": str(value)},
            ) from error

    @field_validator(*_PARSERS)
    @classmethod
    def _can_be_parsed(
        cls, value: str | SecretStr | None, info: ValidationInfo
    ) -> str | SecretStr | None:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        words, parse = _PARSERS[str(info.field_name)]
        if text is not None and text not in words:
            _require_sentence(parse, text)
        return value

    @property
    def is_exposed(self) -> bool:
        """True if other machines can reach the server, directly or through a proxy."""
        return not is_loopback(self.host) or bool(self.proxy_networks)

    @property
    def keys_store(self) -> Path:
        """Folder of the file of the API keys."""
        return self.keys_folder or self.store

    @property
    def keys_required(self) -> bool:
        """True if the API asks for keys."""
        return self.api_keys == "required" or (self.api_keys == "auto" and self.is_exposed)

    @property
    def rate(self) -> Rate | None:
        """The rate of one caller; None without a limit."""
        if self.rate_limit == "auto":
            return _EXPOSED_RATE if self.is_exposed else None
        return None if self.rate_limit == "off" else parse_rate(self.rate_limit)

    @property
    def host_names(self) -> HostNames | None:
        """The host names that requests may be meant for; None for any.

        A server that only its own machine can reach answers to that machine's names alone.
        Otherwise a page of another name, whose address was changed to that of this machine, could
        use it (DNS rebinding).
        """
        if self.allowed_hosts == "*":
            return None
        if self.allowed_hosts != "auto":
            return HostNames(parse_host_names(self.allowed_hosts))
        if not is_loopback(self.host):
            return None
        return HostNames(parse_host_names(f"localhost, 127.0.0.1, [::1], {self.host}"))

    @property
    def proxy_networks(self) -> tuple[Network, ...]:
        """Networks of proxies whose forwarding headers are trusted."""
        return parse_networks(self.trusted_proxies)

    @property
    def fetchable_ports(self) -> frozenset[int]:
        """Ports that the address of a picture may name."""
        return parse_ports(self.fetch_ports)

    @property
    def fetch_networks(self) -> tuple[Network, ...]:
        """Networks that pictures are fetched from although they are not public."""
        return parse_networks(self.fetch_allow)


def load_settings(options: Mapping[str, Any] | None = None) -> Settings:
    """Build the settings from options, environment, ``.env`` and defaults.

    An empty value stands for the default.

    Args:
        options: Values from the command line by field name; None means not given.

    Raises:
        SettingsError: A value is out of range, a ``WHATSIT_...`` variable is not known, or
            ``.env`` can't be read.
    """
    dotenv = _find_dotenv()
    _require_known_variables({**_read_dotenv(dotenv), **os.environ})
    given = {name: value for name, value in (options or {}).items() if value is not None}
    try:
        return _with_redis_password(Settings(_env_file=dotenv, **given))
    except ValidationError as error:
        complaint = error.errors(include_url=False, include_input=False)[0]
        name = str(complaint["loc"][0])
        raise SettingsError(f"{_PREFIX}{name.upper()}: {complaint['msg']}.") from error


def masked(settings: Settings) -> dict[str, str]:
    """The settings by environment variable, secrets replaced by stars."""
    return {
        f"{_PREFIX}{name.upper()}": "" if (value := getattr(settings, name)) is None else str(value)
        for name in Settings.model_fields
    }


def _with_redis_password(settings: Settings) -> Settings:
    if settings.redis_password_file is None:
        return settings
    url = "" if settings.redis_url is None else settings.redis_url.get_secret_value()
    located = add_password(url, settings.redis_password_file)
    return settings.model_copy(update={"redis_url": SecretStr(located)})


def _require_sentence(parse: Callable[[str], object], value: str) -> None:
    """Report a `ValueError` of `parse` as it is, without the library's own words before it."""
    try:
        parse(value)
    except ValueError as error:
        raise PydanticCustomError("unparsable", "{sentence}", {"sentence": str(error)}) from error


def _find_dotenv() -> Path | None:
    """The ``.env`` of the working folder; None where there is none, or it can't be entered."""
    path = Path(".env")
    try:
        return path if stat.S_ISREG(path.stat().st_mode) else None
    except OSError:
        return None


def _read_dotenv(path: Path | None) -> dict[str, str | None]:
    if path is None:
        return {}
    try:
        return dotenv_values(path)
    except UnicodeDecodeError as error:
        raise SettingsError(
            "The file .env in the working folder can't be read as UTF-8 text. Save it as UTF-8."
        ) from error
    except OSError as error:
        # It may hold settings for access, so whatsit does not start without it.
        raise SettingsError(
            f"The file .env in the working folder can't be read: {error.strerror}. "
            "Let this user read it, or start whatsit in another folder."
        ) from error


def _require_known_variables(environment: Mapping[str, str | None]) -> None:
    known = {name.upper() for name in Settings.model_fields}
    for variable in environment:
        written = variable.upper()
        if not written.startswith(_PREFIX) or written in _NOT_OURS:
            continue
        # The prefix is common to all: compared along with it, any two names are alike.
        name = written.removeprefix(_PREFIX)
        if name not in known:
            near = get_close_matches(name, known, n=1, cutoff=0.7)
            hint = f" Did you mean {_PREFIX}{near[0]}?" if near else ""
            raise SettingsError(f"The setting {variable} does not exist.{hint}")
