"""What the start says when people shall sign in, but how is not set up."""

from pathlib import Path

import pytest

from whatsit.errors import SettingsError
from whatsit.settings import Settings
from whatsit.web.ui.identity import load_sign_in_secrets

GOOD = {
    "redirect_uri": "https://whatsit.example/oauth2callback",
    "cookie_secret": "x" * 40,
    "client_id": "whatsit",
    "client_secret": "secret",
    "server_metadata_url": "https://login.example/.well-known/openid-configuration",
}


def write(path: Path, **changes: str | int | None) -> Path:
    facts = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    lines = [f'{key} = "{v}"' if isinstance(v, str) else f"{key} = {v}" for key, v in facts.items()]
    path.write_text("\n".join(["[auth]", *lines, "", "[other]", "password = 'x'"]))
    return path


def test_the_section_is_read_from_the_store_and_nothing_else_of_the_file(tmp_path):
    write(tmp_path / "secrets.toml")

    assert load_sign_in_secrets(Settings(store=tmp_path)) == {"auth": GOOD}


def test_another_file_can_be_named(tmp_path):
    elsewhere = write(tmp_path / "elsewhere.toml", client_id="other")
    settings = Settings(store=tmp_path, page_secrets=elsewhere)

    assert load_sign_in_secrets(settings)["auth"]["client_id"] == "other"


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"secrets\.toml does not exist.*sign-in\.md"):
        load_sign_in_secrets(Settings(store=tmp_path))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[other]\n", r"section \[auth\] is missing"),
        ("auth = 1\n", r"section \[auth\] is missing"),
        ("[auth\n", "is not TOML"),
        ("\xff", "UTF-8"),
    ],
)
def test_a_file_that_can_not_be_used_is_told(tmp_path, text, sentence):
    (tmp_path / "secrets.toml").write_bytes(text.encode("latin-1"))

    with pytest.raises(SettingsError, match=sentence):
        load_sign_in_secrets(Settings(store=tmp_path))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"client_id": None, "cookie_secret": ""}, "lacks cookie_secret, client_id"),
        ({"cookie_secret": "too short"}, "fewer than 32 characters"),
        ({"redirect_uri": "https://whatsit.example/"}, "followed by /oauth2callback"),
        ({"redirect_uri": "whatsit.example/oauth2callback"}, "followed by /oauth2callback"),
        ({"client_secret": 12345678}, "must be text"),
        ({"expose_tokens": "access"}, r"unknown keys: \['expose_tokens'\]"),
    ],
)
def test_a_section_that_can_not_work_is_told(tmp_path, changes, sentence):
    write(tmp_path / "secrets.toml", **changes)

    with pytest.raises(SettingsError, match=sentence) as caught:
        load_sign_in_secrets(Settings(store=tmp_path))
    assert GOOD["cookie_secret"] not in str(caught.value)


def test_the_extra_is_named_where_it_is_missing(tmp_path, monkeypatch):
    write(tmp_path / "secrets.toml")
    monkeypatch.setattr("whatsit.web.ui.identity.find_spec", lambda name: None)

    with pytest.raises(SettingsError, match=r"pip install 'whatsit\[sign-in\]'"):
        load_sign_in_secrets(Settings(store=tmp_path))
