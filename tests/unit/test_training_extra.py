"""Without the extra ``training`` a sentence says what to install."""

import importlib
import sys

import pytest

from whatsit.errors import SettingsError
from whatsit.models.importers.require_extra import load_keras, training_extra


@pytest.mark.parametrize("module", ["keras", "tensorflow"])
def test_what_is_missing_is_named_with_the_command_that_installs_it(monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed

    with pytest.raises(SettingsError, match=r"pip install 'whatsit\[training\]'"):
        load_keras()


def test_other_imports_are_named_too():
    with pytest.raises(SettingsError, match="no_such_module"), training_extra():
        importlib.import_module("no_such_module.inner")
