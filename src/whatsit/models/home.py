"""Where models and state live unless the settings say otherwise."""

from pathlib import Path

import platformdirs

from whatsit.errors import SettingsError


def default_home() -> Path:
    """The folder for models and state in the user's home; nothing is made there yet.

    Raises:
        SettingsError: The user has no home folder, so there is no such place.
    """
    try:
        return platformdirs.user_data_path("whatsit")
    except RuntimeError as error:
        raise SettingsError(
            "This user has no home folder (HOME). Say in WHATSIT_STORE which folder to use."
        ) from error
