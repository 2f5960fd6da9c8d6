"""Settings: where values come from, and what is said about bad ones."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from dispatcher.errors import SettingsError
from dispatcher.settings import read_settings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("SLUICE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "nothing"))
    return tmp_path


def test_defaults() -> None:
    settings = read_settings()
    assert settings.redis_url == "redis://127.0.0.1:6379/0"
    assert (settings.lease_seconds, settings.tick_ms, settings.payload_limit) == (15, 250, 524_288)


def test_given_comes_before_environment_before_file(bare_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (bare_environment / ".env").write_text("SLUICE_POOL=file\nSLUICE_LEASE_SECONDS=7\nSLUICE_TICK_MS=70\nOTHER=1\n")
    monkeypatch.setenv("SLUICE_POOL", "environment")
    monkeypatch.setenv("SLUICE_LEASE_SECONDS", "8")
    settings = read_settings({"pool": "given", "log_level": None})
    assert (settings.pool, settings.lease_seconds, settings.tick_ms, settings.log_level) == ("given", 8, 70, "info")


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_POOL", "")
    assert read_settings().pool == "default"


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        read_settings().pool = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLUICE_LEASE_SECONDS", "soon"),
        ("SLUICE_LEASE_SECONDS", "-1"),
        ("SLUICE_LEASE_SECONDS", "nan"),
        ("SLUICE_TICK_MS", "2.5"),
        ("SLUICE_PAYLOAD_LIMIT", "9999999"),
        ("SLUICE_REDIS_URL", "localhost:6379"),
        ("SLUICE_POOL", "a/b"),
        ("SLUICE_POOL", "a\n"),
        ("SLUICE_LOG_FORMAT", "xml"),
    ],
)
def test_a_bad_value_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        read_settings()
    assert f"{name}={value!r}: " in str(caught.value)


def test_every_bad_value_is_told_at_once_and_what_was_given_by_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_TICK_MS", "x")
    with pytest.raises(SettingsError) as caught:
        read_settings({"pool": "no way"})
    assert {line.split("=")[0] for line in str(caught.value).splitlines()} == {"environment: SLUICE_TICK_MS", "pool"}


def test_an_error_does_not_show_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_REDIS_URL", "http://someone:hunter2@host/0")
    with pytest.raises(SettingsError) as caught:
        read_settings()
    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_not_text_is_refused(bare_environment: Path) -> None:
    (bare_environment / ".env").write_bytes(b"SLUICE_POOL=\xff\xfe\n")
    with pytest.raises(SettingsError, match="UTF-8"):
        read_settings()
