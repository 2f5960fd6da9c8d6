"""Profiles: where they are kept, when they count, what is refused, what is shown."""

import json
import os
import stat
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from dispatcher.cli import main
from dispatcher.cli.connecting import server_url
from dispatcher.cli.failures import ExitCode
from dispatcher.errors import SettingsError
from dispatcher.profiles import Profiles, read_profiles
from dispatcher.settings import read_settings
from tests.support.servers import Server

Sluice = Callable[..., int]


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where the file of profiles will be; no variable of ours is set."""
    for name in [name for name in os.environ if name.startswith("SLUICE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return tmp_path / "config" / "sluice" / "profiles.toml"


@pytest.fixture
def sluice(file: Path) -> Sluice:
    """Run a command in this process; its exit code."""

    def run(*words: str) -> int:
        with pytest.raises(SystemExit) as end:
            main(words)
        return int(end.value.code or 0)

    return run


def written(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def refusal() -> str:
    with pytest.raises(SettingsError) as caught:
        read_settings()
    return str(caught.value)


def test_the_profile_comes_after_given_environment_and_file_and_before_the_default(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(
        file,
        'active = "p"\n[profiles.p]\npool = "profile"\ntick_ms = 77\nlease_seconds = 7\npayload_limit = 7777\n',
    )
    Path(".env").write_text("SLUICE_POOL=dotenv\nSLUICE_TICK_MS=88\nSLUICE_LEASE_SECONDS=8\n")
    monkeypatch.setenv("SLUICE_POOL", "environment")
    monkeypatch.setenv("SLUICE_TICK_MS", "99")
    settings = read_settings({"pool": "given"})
    assert (settings.pool, settings.tick_ms, settings.lease_seconds) == ("given", 99, 8)
    assert (settings.payload_limit, settings.log_level) == (7777, "info")


def test_without_a_file_or_an_active_profile_nothing_changes(file: Path) -> None:
    assert read_settings().model_fields_set == set()
    written(file, '[profiles.p]\npool = "other"\n')
    assert read_settings().pool == "default"


def test_a_variable_chooses_before_the_file_does(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(file, 'active = "a"\n[profiles.a]\npool = "pa"\n[profiles.b]\npool = "pb"\n')
    assert read_settings().pool == "pa"
    Path(".env").write_text("SLUICE_PROFILE=b\n")
    assert read_settings().pool == "pb"
    monkeypatch.setenv("SLUICE_PROFILE", "a")
    assert read_settings().pool == "pa"


def test_another_folder_may_be_named(file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "profiles.toml").write_text('active = "x"\n[profiles.x]\npool = "there"\n')
    monkeypatch.setenv("SLUICE_CONFIG_DIR", str(tmp_path))
    assert read_settings().pool == "there"


def test_a_server_of_a_profile_counts_as_configured(file: Path) -> None:
    written(file, 'active = "p"\n[profiles.p]\nredis_url = "redis://127.0.0.1:7/0"\n')
    settings = read_settings()
    assert "redis_url" in settings.model_fields_set
    assert server_url(settings) == "redis://127.0.0.1:7/0"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("active = \n", "line 1"),
        ('[profiles.p]\npool = "a"\npool = "b"\n', "line 3"),
        ('active = "gone"\n[profiles.p]\n', "no profile 'gone', which `sluice profile use` chose"),
        ('active = "p"\n[profiles.p]\nbatch = 7\n', "profile p: 'batch' is no setting: one of data_dir"),
        ('active = "p"\n[profiles.p]\ntick_ms = 5\n', "profile p: tick_ms=5: "),
        ('active = "p"\n[profiles.p]\npool = ["a"]\n', "pool of profile p"),
        ("[profiles.p]\npool = true\n", "pool of profile p"),
        ("active = 3\n", "active"),
        ("[staging]\n", "'staging' is not known there"),
        ('[profiles."a b"]\n', "profiles.a b is no profile"),
        ("profiles = 3\n", "a table of them"),
    ],
)
def test_a_bad_file_is_refused_by_its_name_and_the_place(file: Path, text: str, said: str) -> None:
    written(file, text)
    found = refusal()
    assert said in found
    assert str(file) in found or "tick_ms" in found


def test_a_file_that_is_not_text_is_refused(file: Path) -> None:
    written(file, "")
    file.write_bytes(b'active = "\xff"\n')
    assert f"{file} is not UTF-8" in refusal()


def test_an_unknown_profile_of_the_variable_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(file, "[profiles.one]\n[profiles.two]\n")
    monkeypatch.setenv("SLUICE_PROFILE", "three")
    found = refusal()
    assert "no profile 'three', which SLUICE_PROFILE chose" in found
    assert "there are one, two" in found


def test_each_bad_value_is_told_with_its_source(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(file, 'active = "p"\n[profiles.p]\nredis_url = "http://u:hunter2@h"\npool = "not seen/"\n')
    Path(".env").write_text("SLUICE_TICK_MS=x\n")
    monkeypatch.setenv("SLUICE_LOG_LEVEL", "loud")
    monkeypatch.setenv("SLUICE_POOL", "good")
    found = refusal()
    assert {line.split("=")[0] for line in found.splitlines()} == {
        "environment: SLUICE_LOG_LEVEL",
        ".env: SLUICE_TICK_MS",
        "profile p: redis_url",
    }
    assert "hunter2" not in found


def test_what_is_written_is_read_again_and_is_the_owners_alone(file: Path) -> None:
    values = {"text": 'quote " backslash \\ line\n del \x7f ünïcode \U0001f600', "number": 3, "other": 0.25}
    Profiles(file).put("a.b", values).put("c", {}).choose("a.b").save()
    found = read_profiles(file.parent)
    assert found.chosen == "a.b"
    assert found.values == {"a.b": values, "c": {}}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["profiles.toml"]
    file.chmod(0o644)
    found.drop("c").save()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_folder_that_cannot_be_written_is_a_clear_error(file: Path) -> None:
    file.parent.parent.write_text("a file where a folder should be")
    with pytest.raises(SettingsError, match="cannot be"):
        Profiles(file).put("a", {}).save()


def test_a_profile_from_its_making_to_its_end(
    sluice: Sluice, file: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sluice("profile", "set", "mine", f"redis_url={server.url}", "pool=etl", "tick_ms=50") == ExitCode.OK
    assert tomllib.loads(file.read_text())["profiles"] == {
        "mine": {"redis_url": server.url, "pool": "etl", "tick_ms": 50}
    }
    assert sluice("profile", "use", "mine") == ExitCode.OK
    assert sluice("pool", "create", "etl") == ExitCode.OK  # on the profile's server
    assert "etl" in server.call("SMEMBERS", "sluice:pools")
    assert sluice("profile", "unset", "mine", "tick_ms") == ExitCode.OK
    capsys.readouterr()
    assert sluice("profile", "show", "-o", "json") == ExitCode.OK
    shown = json.loads(capsys.readouterr().out)
    assert shown == {"name": "mine", "active": True, "settings": {"redis_url": server.url, "pool": "etl"}}
    assert sluice("profile", "use") == ExitCode.OK
    assert read_settings().pool == "default"
    assert sluice("profile", "rm", "mine") == ExitCode.USAGE  # nobody to ask
    assert sluice("profile", "rm", "mine", "--yes") == ExitCode.OK
    capsys.readouterr()
    assert sluice("profile", "ls", "-q") == ExitCode.OK
    assert capsys.readouterr().out == ""


def test_a_list_shows_the_active_one_and_no_password(
    sluice: Sluice, file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sluice("profile", "set", "a", "redis_url=redis://u:hunter2@h/0") == ExitCode.OK
    assert sluice("profile", "set", "b", "redis_url=redis://h/0?password=hunter2") == ExitCode.OK
    monkeypatch.setenv("SLUICE_PROFILE", "b")
    for words in (["ls"], ["ls", "-o", "json"], ["show", "a"], ["show", "b"]):
        assert sluice("profile", *words) == ExitCode.OK
    assert sluice("profile", "ls", "-o", "jsonl") == ExitCode.OK
    out, err = capsys.readouterr()
    assert "hunter2" not in out + err
    rows = [json.loads(line) for line in out.splitlines()[-2:]]
    assert [(row["name"], row["active"]) for row in rows] == [("a", False), ("b", True)]
    assert "hunter2" in file.read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["set", "p", "tick_ms=5"], "tick_ms='5': "),
        (["set", "p", "pool=good", "redis_url=nowhere"], "redis_url='nowhere': "),
        (["set", "p", "speed=9"], "is no setting: one of data_dir, "),
        (["set", "p", "pool"], "setting=value"),
        (["set", "p"], "no setting was given"),
        (["set", "p", "data_dir=a\udcff"], "no UTF-8 text"),
        (["set", "p/q", "pool=x"], "is no profile name"),
        (["unset", "old", "tick_ms"], "does not set 'tick_ms'"),
        (["unset", "none", "tick_ms"], "there is no profile 'none'"),
        (["use", "none"], "there are old"),
        (["show"], "no profile is active"),
        (["rm", "none", "--yes"], "there is no profile 'none'"),
    ],
)
def test_what_is_bad_changes_nothing(
    sluice: Sluice, file: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert sluice("profile", "set", "old", "pool=kept") == ExitCode.OK
    before = file.read_text()
    capsys.readouterr()
    assert sluice("profile", *words) == ExitCode.USAGE
    assert said in capsys.readouterr().err
    assert file.read_text() == before


def test_an_active_profile_that_is_gone_or_bad_can_be_mended(
    sluice: Sluice, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written(file, 'active = "p"\n[profiles.p]\ntick_ms = 5\nold = 1\n')
    monkeypatch.setenv("SLUICE_PROFILE", "gone")
    assert sluice("profile", "ls") == ExitCode.OK
    assert "'gone', which does not exist" in capsys.readouterr().err
    assert sluice("status") == ExitCode.USAGE
    monkeypatch.delenv("SLUICE_PROFILE")
    assert sluice("profile", "unset", "p", "old") == ExitCode.OK
    assert sluice("profile", "set", "p", "tick_ms=50") == ExitCode.OK
    assert read_settings().tick_ms == 50


def test_help_names_the_command(sluice: Sluice, capsys: pytest.CaptureFixture[str]) -> None:
    assert sluice("--help") == ExitCode.OK
    out = capsys.readouterr().out
    assert "\n  profile " in out
    assert "\n  doctor " in out
    assert sluice("profile", "--help") == ExitCode.OK
