"""Where models and state live unless the settings say otherwise."""

from pathlib import Path

import platformdirs

from whatsit.errors import SettingsError


def default_home() -> Path:
    """The folder for models and state in the user's home; nothing is made there yet.

    Raises:
        SettingsError: The user has no home folder.
    """
    try:
        return platformdirs.user_data_path("whatsit")
    except RuntimeError as error:
        raise SettingsError(
            "This user has no home folder (HOME). Set WHATSIT_STORE to the folder to use."
        ) from error
