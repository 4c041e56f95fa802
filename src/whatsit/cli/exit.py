"""Exit statuses."""

from collections.abc import Mapping

from whatsit.errors import (
    GateFailed,
    InputError,
    ModelError,
    PipelineError,
    SettingsError,
    UnknownModel,
    WhatsitError,
)

EXIT_CODES: Mapping[type[WhatsitError], int] = {
    InputError: 1,
    SettingsError: 2,
    UnknownModel: 2,
    ModelError: 3,
    WhatsitError: 4,
    PipelineError: 5,
    GateFailed: 6,
}
"""Exit status by class of error; the nearest base class counts."""


def exit_code_of(error: WhatsitError) -> int:
    """Return the exit status for `error`."""
    return next(EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES)
