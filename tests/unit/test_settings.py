"""Every setting comes from one place, the nearest one wins, and a wrong one stops the start."""

from pathlib import Path

import pytest

from whatsit.errors import SettingsError
from whatsit.settings import Settings, load_settings, masked

FIELDS = Settings.model_fields


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder without the ``.env`` of a developer."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("dotenv", "environment", "option", "expected"),
    [
        (None, None, None, 8501),
        ("1001", None, None, 1001),
        (None, "1002", None, 1002),
        ("1001", "1002", None, 1002),
        (None, None, 1003, 1003),
        ("1001", "1002", 1003, 1003),
    ],
    ids=["default", ".env", "environment", "environment-first", "option", "option-first"],
)
def test_the_nearest_source_of_a_setting_wins(
    folder, monkeypatch, dotenv, environment, option, expected
):
    if dotenv is not None:
        (folder / ".env").write_text(f"WHATSIT_PORT={dotenv}\n")
    if environment is not None:
        monkeypatch.setenv("WHATSIT_PORT", environment)

    assert load_settings({"port": option}).port == expected


def test_settings_need_nothing_from_outside():
    settings = load_settings()

    assert (settings.host, settings.model, settings.cache) == ("127.0.0.1", "resnet50", "on")
    assert settings.redis_url is None


def test_a_variable_may_be_written_in_small_letters(monkeypatch):
    monkeypatch.setenv("whatsit_port", "1004")

    assert load_settings().port == 1004


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("WHATSIT_PROT", "WHATSIT_PORT"),
        ("WHATSIT_REDIS_URI", "WHATSIT_REDIS_URL"),
        ("WHATSIT_MAX_UPLOAD_BITES", "WHATSIT_MAX_UPLOAD_BYTES"),
        ("whatsit_modle", "WHATSIT_MODEL"),
    ],
)
def test_a_misspelt_variable_stops_the_start_with_the_nearest_name(monkeypatch, variable, nearest):
    monkeypatch.setenv(variable, "1")

    with pytest.raises(
        SettingsError, match=f"setting {variable} does not exist. Did you mean {nearest}\\?"
    ):
        load_settings()


def test_a_misspelt_line_of_dotenv_stops_the_start_too(folder):
    (folder / ".env").write_text("WHATSIT_PROT=1\n")

    with pytest.raises(SettingsError, match="WHATSIT_PORT"):
        load_settings()


@pytest.mark.parametrize("variable", ["WHATSIT_ABRACADABRA_HOCUS_POCUS", "WHATSIT_TOKEN"])
def test_a_variable_like_no_other_stops_the_start_without_a_guess(monkeypatch, variable):
    monkeypatch.setenv(variable, "1")

    with pytest.raises(SettingsError, match=rf"setting {variable} does not exist\.$"):
        load_settings()


def test_a_dotenv_that_is_no_text_stops_the_start(folder):
    (folder / ".env").write_bytes(b"WHATSIT_PORT=\xff\n")

    with pytest.raises(SettingsError, match=r"\.env .* UTF-8"):
        load_settings()


@pytest.mark.parametrize("variable", ["WHATSIT_STORE", "WHATSIT_KEYS_FOLDER"])
@pytest.mark.parametrize("source", [".env", "environment", "option"])
def test_a_tilde_stands_for_the_home_folder(folder, monkeypatch, variable, source):
    monkeypatch.setenv("HOME", str(folder / "home"))
    field = variable.removeprefix("WHATSIT_").lower()
    if source == ".env":
        (folder / ".env").write_text(f"{variable}=~/x\n")
    elif source == "environment":
        monkeypatch.setenv(variable, "~/x")

    settings = load_settings({field: "~/x"} if source == "option" else None)

    assert getattr(settings, field) == folder / "home" / "x"


def test_a_relative_path_is_that_of_the_folder_whatsit_was_started_in(folder, monkeypatch):
    monkeypatch.setenv("WHATSIT_STORE", "data/../x")

    settings = load_settings()
    monkeypatch.chdir("/")

    assert settings.store == folder / "data/../x"


def test_the_home_of_nobody_stops_the_start_with_a_sentence(monkeypatch):
    monkeypatch.setenv("WHATSIT_STORE", "~no-such-user-here/x")

    with pytest.raises(SettingsError, match="WHATSIT_STORE: ~no-such-user-here/x can't be found"):
        load_settings()


@pytest.mark.parametrize("name", FIELDS)
def test_an_empty_value_stands_for_the_default(folder, monkeypatch, name):
    default = getattr(load_settings(), name)
    (folder / ".env").write_text(f"WHATSIT_{name.upper()}=\n")
    assert getattr(load_settings(), name) == default

    monkeypatch.setenv(f"WHATSIT_{name.upper()}", "")
    assert getattr(load_settings(), name) == default


def test_an_empty_redis_url_means_the_embedded_cache(folder, monkeypatch):
    (folder / ".env").write_text("WHATSIT_REDIS_URL=redis://cache\n")
    monkeypatch.setenv("WHATSIT_REDIS_URL", "")

    assert load_settings().redis_url is None


def test_variables_of_others_are_none_of_our_business(folder, monkeypatch):
    monkeypatch.setenv("WHATSIT_SHARED", "/somewhere")
    monkeypatch.setenv("PORT", "1")
    (folder / ".env").write_text("OTHER=1\n")

    assert load_settings().port == 8501


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "-1"),
        ("port", "65536"),
        ("port", "http"),
        ("inference_threads", "0"),
        ("inference_threads", "257"),
        ("max_upload_bytes", "999"),
        ("max_upload_bytes", "500000001"),
        ("max_pixels", "999"),
        ("max_pixels", "89000001"),
        ("cache", "maybe"),
        ("cache_ttl_seconds", "0"),
        ("cache_ttl_seconds", "3153600001"),
        ("cache_namespace", "a b"),
        ("cache_namespace", "n" * 65),
        ("cache_memory_entries", "-1"),
        ("cache_memory_entries", "1000001"),
        ("redis_timeout_seconds", "0"),
        ("redis_timeout_seconds", "11"),
        ("fetch_urls", "maybe"),
        ("fetch_ports", "0"),
        ("fetch_ports", "http"),
        ("fetch_allow", "10.0.0.0/33"),
        ("fetch_allow", "localhost"),
        ("log_level", "loud"),
        ("log_format", "xml"),
    ],
)
def test_a_value_outside_its_range_stops_the_start_by_its_name(monkeypatch, name, value):
    variable = f"WHATSIT_{name.upper()}"
    monkeypatch.setenv(variable, value)

    with pytest.raises(SettingsError, match=f"^{variable}: .+"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", 0),
        ("port", 65535),
        ("inference_threads", 256),
        ("max_upload_bytes", 1_000),
        ("max_upload_bytes", 500_000_000),
        ("max_pixels", 1_000),
        ("max_pixels", 89_000_000),
        ("cache_ttl_seconds", 1),
        ("cache_ttl_seconds", 3_153_600_000),
        ("cache_memory_entries", 0),
        ("redis_timeout_seconds", 10),
    ],
)
def test_the_ends_of_a_range_are_allowed(name, value):
    assert getattr(load_settings({name: value}), name) == value


def test_masked_settings_hide_the_redis_password(monkeypatch):
    monkeypatch.setenv("WHATSIT_REDIS_URL", "redis://app:hunter2@cache:6379/0")

    settings = load_settings()

    assert settings.redis_url is not None
    assert settings.redis_url.get_secret_value() == "redis://app:hunter2@cache:6379/0"
    assert masked(settings)["WHATSIT_REDIS_URL"] == "**********"
    assert "hunter2" not in f"{masked(settings)} {settings} {settings!r}"


def test_the_password_of_redis_comes_from_a_file(monkeypatch, tmp_path):
    (tmp_path / "password").write_text("p@ss/word\n")
    monkeypatch.setenv("WHATSIT_REDIS_URL", "redis://app@cache:6379/0")
    monkeypatch.setenv("WHATSIT_REDIS_PASSWORD_FILE", str(tmp_path / "password"))

    settings = load_settings()

    assert settings.redis_url is not None
    assert settings.redis_url.get_secret_value() == "redis://app:p%40ss%2Fword@cache:6379/0"
    assert "p%40ss" not in f"{masked(settings)} {settings} {settings!r}"


@pytest.mark.parametrize(
    ("url", "content", "sentence"),
    [
        ("", "word", "needs an address"),
        ("redis://:other@cache", "word", "has a password already"),
        ("redis://cache", "", "is empty"),
        ("redis://cache", None, "can't be read"),
        ("redis://cache", b"\xff", "can't be read"),
    ],
)
def test_a_password_file_that_is_of_no_use_is_refused(
    monkeypatch, tmp_path, url, content, sentence
):
    if content is not None:
        (tmp_path / "password").write_bytes(
            content if isinstance(content, bytes) else content.encode()
        )
    monkeypatch.setenv("WHATSIT_REDIS_URL", url)
    monkeypatch.setenv("WHATSIT_REDIS_PASSWORD_FILE", str(tmp_path / "password"))

    with pytest.raises(SettingsError, match=sentence):
        load_settings()


def test_a_cache_secret_is_long_and_shown_nowhere(monkeypatch):
    monkeypatch.setenv("WHATSIT_CACHE_SECRET", "hunter2hunter2hunter2")
    settings = load_settings()
    assert masked(settings)["WHATSIT_CACHE_SECRET"] == "**********"
    assert "hunter2" not in f"{settings} {settings!r}"

    monkeypatch.setenv("WHATSIT_CACHE_SECRET", "hunter2")
    with pytest.raises(SettingsError, match=r"WHATSIT_CACHE_SECRET: .* 16 characters") as caught:
        load_settings()
    assert "hunter2" not in caught.value.detail

    monkeypatch.setenv("WHATSIT_CACHE_SECRET", "")
    assert load_settings().cache_secret is None


def test_masked_settings_show_every_other_value_by_its_variable(monkeypatch):
    monkeypatch.setenv("WHATSIT_PORT", "1005")

    shown = masked(load_settings())

    assert set(shown) == {f"WHATSIT_{name.upper()}" for name in FIELDS}
    assert (shown["WHATSIT_PORT"], shown["WHATSIT_REDIS_URL"]) == ("1005", "")


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_has_a_default_and_a_sentence_of_description(name):
    field = FIELDS[name]

    assert not field.is_required()
    assert field.description
    assert field.description.endswith(".")


def test_settings_can_not_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        load_settings().port = 1  # type: ignore[misc]
