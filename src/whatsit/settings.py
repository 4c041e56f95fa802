"""Everything that can be set, in one class: ``WHATSIT_...`` in the environment, or an option.

A setting given on the command line wins over the environment, which wins over ``.env`` in the
working folder, which wins over the default.
"""

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from whatsit.errors import SettingsError
from whatsit.images import DEFAULT_MAX_PIXELS, DEFAULT_MAX_UPLOAD_BYTES
from whatsit.models.catalogue import DEFAULT_MODEL
from whatsit.models.store import default_home

_PREFIX = "WHATSIT_"
_NOT_OURS = frozenset({"WHATSIT_SHARED"})
"""Read by the test-suite."""


class Settings(BaseSettings):
    """The effective settings; built once, where the program starts."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_file=".env", extra="ignore", frozen=True
    )

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8501, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    model: str = Field(DEFAULT_MODEL, description="Name of the model that answers.")
    store: Path = Field(
        default_factory=default_home,
        description="Folder of models and of the embedded cache.",
    )
    engine: str = Field("openvino", description="Runtime of the model: openvino or onnxruntime.")
    inference_threads: int = Field(
        default_factory=lambda: (os.cpu_count() or 1) + 1,
        ge=1,
        le=256,
        description="Pictures worked on at the same time.",
    )
    max_upload_bytes: int = Field(
        DEFAULT_MAX_UPLOAD_BYTES, ge=1_000, le=500_000_000, description="Largest picture, bytes."
    )
    max_pixels: int = Field(
        DEFAULT_MAX_PIXELS,
        ge=1_000,
        le=89_000_000,  # from 89.5 million on, Pillow itself objects
        description="Largest picture, width x height; each may cost 6 bytes of memory.",
    )
    cache: Literal["on", "off"] = Field("on", description="Whether answers are kept at all.")
    cache_ttl_seconds: int = Field(
        604_800, ge=1, description="How long an answer may be reused, seconds."
    )
    cache_namespace: str = Field(
        "whatsit",
        pattern=r"^[A-Za-z0-9_.-]{1,64}$",
        description="Prefix of all keys, for a Redis that others use too.",
    )
    cache_memory_entries: int = Field(
        2_000, ge=0, le=1_000_000, description="Answers kept in the process, about 4 kB each."
    )
    redis_url: SecretStr | None = Field(
        None,
        description="Address of a Redis or Valkey. Empty: an embedded Valkey is started.",
    )
    redis_timeout_seconds: float = Field(
        0.2, gt=0, le=10, description="Compute the answer when Redis takes longer, seconds."
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


def load_settings(options: Mapping[str, Any] | None = None) -> Settings:
    """Build the settings from options, environment, ``.env`` and defaults.

    An empty value stands for the default.

    Args:
        options: Values from the command line by field name; None means not given.

    Raises:
        SettingsError: A value is out of range, a ``WHATSIT_...`` variable is not known, or
            ``.env`` can't be read.
    """
    _require_known_variables({**_read_dotenv(), **os.environ})
    given = {name: value for name, value in (options or {}).items() if value is not None}
    try:
        return Settings(**given)
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


def _read_dotenv() -> dict[str, str | None]:
    try:
        return dotenv_values(".env")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            "The file .env in the working folder can't be read as UTF-8 text. Save it as that."
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
            raise SettingsError(f"There is no setting {variable}.{hint}")
