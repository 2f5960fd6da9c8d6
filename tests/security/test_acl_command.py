"""`sluice acl`: servers take what it prints, what it applies lets services in, passwords are told once or kept."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from dispatcher.access import ROLES, SERVER_ROLES, file_line, publisher_role, service_roles
from dispatcher.cli import main
from dispatcher.errors import InvalidInput
from tests.security.conftest import KINDS
from tests.support.access import ADMIN, Access
from tests.support.composed import FOLDER
from tests.support.servers import Server

Sluice = Callable[..., int]


@pytest.fixture
def sluice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Sluice:
    """Run a command in this process; its exit code."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str, url: str = "redis://127.0.0.1:1/0") -> int:
        monkeypatch.setenv("SLUICE_REDIS_URL", url)
        with pytest.raises(SystemExit) as end:
            main(words)
        return int(end.value.code or 0)

    return run


def told(errors: str) -> dict[str, str]:
    """User and password of each line that tells one."""
    lines = [line.removeprefix("password of ").split(": ") for line in errors.splitlines() if "password of" in line]
    return dict(lines)


def test_users_of_compose_are_made_of_the_same_table():
    named = {role.name: role for role in (*service_roles(), *SERVER_ROLES, publisher_role("publisher", ["default"]))}
    lines = [line for line in (FOLDER / "redis" / "users.acl.template").read_text().splitlines() if line[0] != "#"]
    assert lines == [file_line(named[line.split()[1]], f"@{line.split()[1]}@") for line in lines]
    assert {line.split()[1] for line in lines} >= {"default", "operator", "dispatcher", "scheduler", "worker"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_takes_the_file_and_each_user_gets_in_with_the_password_that_was_told(
    kind: str, sluice: Sluice, capsys: pytest.CaptureFixture[str], new_server: Callable[..., Server], tmp_path: Path
):
    assert sluice("acl", "--publisher", "web", "--publisher", "app") == 0
    printed = capsys.readouterr()
    passwords = told(printed.err)
    assert list(passwords) == [*ROLES, "web", "app"]
    assert len(set(passwords.values())) == len(passwords)
    assert not any(password in printed.out for password in passwords.values())
    (tmp_path / "users.acl").write_text(printed.out)
    server = new_server(kind, settings={"aclfile": str(tmp_path / "users.acl")})
    for user, password in passwords.items():
        with redis.Redis(port=server.port, username=user, password=password) as client:
            client.execute_command("HELLO", 2)
            with pytest.raises(redis.ResponseError):
                client.execute_command("FLUSHALL")
    assert server.call("PING").startswith("-NOAUTH")


@pytest.mark.parametrize("kind", KINDS)
def test_the_commands_make_the_same_users(
    kind: str, sluice: Sluice, capsys: pytest.CaptureFixture[str], new_server: Callable[..., Server]
):
    assert sluice("acl", "-o", "commands", "--publisher", "web", "--pool", "etl") == 0
    printed, server = capsys.readouterr(), new_server(kind)
    for line in printed.out.splitlines():
        assert server.call(line) == "+OK\r\n", line
    with redis.Redis(port=server.port, username="web", password=told(printed.err)["web"]) as web:
        assert web.xadd("sluice:{etl}:publish:web", {"run": "{}"})


def test_passwords_in_files_are_kept_and_made_where_they_are_missing(
    sluice: Sluice, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    folder = tmp_path / "secrets"
    words = ("acl", "--passwords", str(folder))
    assert sluice(*words) == 0
    first = capsys.readouterr()
    assert told(first.err) == {}
    kept = {path.name: path.read_text() for path in folder.iterdir()}
    assert set(kept) == {f"redis_{role}" for role in ROLES}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.iterdir())
    assert not any(password in first.out + first.err for password in kept.values())
    (folder / "redis_worker").unlink()
    assert sluice(*words) == 0
    second = capsys.readouterr()
    changed = [
        new.split()[1] for new, old in zip(second.out.splitlines(), first.out.splitlines(), strict=True) if new != old
    ]
    assert changed == ["worker"]
    (folder / "redis_worker").write_text("one\ntwo\n")
    assert sluice(*words) == 2
    assert "must hold one line" in capsys.readouterr().err


@pytest.mark.parametrize("kind", KINDS)
def test_applied_again_users_keep_their_passwords(
    kind: str, sluice: Sluice, capsys: pytest.CaptureFixture[str], new_server: Callable[..., Server]
):
    server = new_server(kind)
    assert sluice("acl", "--apply", "--publisher", "web", url=server.url) == 0
    first = capsys.readouterr()
    assert first.out == ""
    assert "no ACL file" in first.err
    assert "`default` still logs in without a password" in first.err
    passwords = told(first.err)
    with redis.Redis(port=server.port) as default:
        default.execute_command("ACL", "SETUSER", "worker", "+flushall")
    assert sluice("acl", "--apply", "--role", "worker", url=server.url) == 0
    assert told(capsys.readouterr().err) == {}
    with redis.Redis(port=server.port, username="worker", password=passwords["worker"]) as worker:
        assert worker.ping()
        with pytest.raises(redis.exceptions.NoPermissionError):
            worker.flushall()


def test_what_is_applied_is_saved_where_the_server_has_a_file(
    sluice: Sluice, capsys: pytest.CaptureFixture[str], new_server: Callable[..., Server], tmp_path: Path
):
    file = tmp_path / "users.acl"
    file.write_text(f"user default off resetpass allkeys allchannels +@all\n{ADMIN}\n")
    server = new_server("valkey", settings={"aclfile": str(file)})
    assert sluice("acl", "--apply", "--role", "reader", url=f"redis://admin:x@127.0.0.1:{server.port}/0") == 0
    assert "gone when it restarts" not in capsys.readouterr().err
    assert "user reader on " in file.read_text()


def test_whoever_may_not_apply_is_told_who_may(access: Access, sluice: Sluice, capsys: pytest.CaptureFixture[str]):
    assert sluice("acl", "--apply", url=access.url("operator")) == 5
    assert "forbids this user ACL GETUSER" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--publisher", "worker"), "is the name of a role"),
        (("--publisher", "web", "--publisher", "web-eu"), "could read the answers to 'web-eu'"),
        (("--publisher", "a b"), "is no publisher name"),
        (("--publisher", "*"), "is no publisher name"),
        (("--pool", "{x}*"), "is no pool name"),
        (("--role", "god"), "god"),
    ],
)
def test_what_would_be_no_rule_is_refused(
    words: tuple[str, ...], why: str, sluice: Sluice, capsys: pytest.CaptureFixture[str]
):
    assert sluice("acl", *words) == 2
    printed = capsys.readouterr()
    assert why in printed.err
    assert printed.out == ""


def test_every_role_can_be_asked_for(sluice: Sluice, capsys: pytest.CaptureFixture[str]):
    for role in ROLES:
        assert sluice("acl", "--role", role) == 0
        assert capsys.readouterr().out.startswith(f"user {role} on #")


def test_a_pool_is_no_pattern():
    with pytest.raises(InvalidInput):
        service_roles(["de*"])
