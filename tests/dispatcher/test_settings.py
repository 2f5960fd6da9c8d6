"""Settings: where values come from, and what is said about bad ones."""

import os
from pathlib import Path

import pytest
import redis
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


def test_a_password_from_a_file_becomes_part_of_the_address(
    bare_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bare_environment / "password").write_text("hunter:2/@#%\n")
    monkeypatch.setenv("SLUICE_REDIS_URL", "rediss://[::1]:6380/2?timeout=1")
    monkeypatch.setenv("SLUICE_REDIS_USERNAME", "worker")
    monkeypatch.setenv("SLUICE_REDIS_PASSWORD_FILE", str(bare_environment / "password"))
    settings = read_settings()
    assert settings.redis_url == "rediss://worker:hunter%3A2%2F%40%23%25@[::1]:6380/2?timeout=1"
    used = redis.Redis.from_url(settings.redis_url).connection_pool.connection_kwargs
    assert (used["username"], used["password"], used["host"], used["db"]) == ("worker", "hunter:2/@#%", "::1", 2)


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({"SLUICE_REDIS_USERNAME": "worker"}, "redis://worker@127.0.0.1:6379/0"),
        ({"SLUICE_REDIS_PASSWORD_FILE": "password"}, "redis://:hunter2@127.0.0.1:6379/0"),
        (
            {"SLUICE_REDIS_URL": "unix:///run/redis.sock?db=1", "SLUICE_REDIS_PASSWORD_FILE": "password"},
            "unix://:hunter2@/run/redis.sock?db=1",
        ),
    ],
)
def test_a_user_or_a_password_alone_is_added_to_any_address(
    bare_environment: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], address: str
) -> None:
    (bare_environment / "password").write_text("hunter2")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings = read_settings()
    assert settings.redis_url == address
    assert "redis_url" in settings.model_fields_set  # it comes before the server of a `sluice up`


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "cannot be read"), (b"", "expected one line"), (b"a\nb\n", "one line"), (b"\xff\xfe", "UTF-8")],
)
def test_a_password_file_that_holds_none_is_refused_by_name(
    bare_environment: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, reason: str
) -> None:
    if content is not None:
        (bare_environment / "password").write_bytes(content)
    monkeypatch.setenv("SLUICE_REDIS_PASSWORD_FILE", "password")
    with pytest.raises(SettingsError, match=f"environment: SLUICE_REDIS_PASSWORD_FILE='password': .*{reason}"):
        read_settings()


@pytest.mark.parametrize("address", ["redis://:hunter2@host/0", "redis://someone@host/0"])
def test_credentials_in_two_places_are_refused(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("SLUICE_REDIS_URL", address)
    monkeypatch.setenv("SLUICE_REDIS_USERNAME", "worker")
    with pytest.raises(SettingsError, match="SLUICE_REDIS_USERNAME: environment: SLUICE_REDIS_URL has") as caught:
        read_settings()
    assert "hunter2" not in str(caught.value)
