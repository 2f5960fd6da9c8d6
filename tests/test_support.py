"""The support code itself: servers, waiting, the fault proxy, children."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from redis.asyncio import Redis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.support.framing import Splitter
from tests.support.processes import Children, state
from tests.support.proxy import FaultProxy, ThreadedFaultProxy
from tests.support.servers import EVERY_KIND, Server, require
from tests.support.waiting import wait_until, wait_until_sync


def client(url: str) -> Redis:
    """A client that never resends by itself."""
    return Redis.from_url(url, socket_timeout=0.3, retry=AsyncRetry(NoBackoff(), 0))


@pytest.mark.parametrize("server", EVERY_KIND, indirect=True)
def test_each_kind_serves_scripts_and_streams(server: Server) -> None:
    with redis.Redis.from_url(server.url) as connection:
        assert connection.eval("return redis.call('XADD', KEYS[1], '1-1', 'a', 'b')", 1, "{p}:s") == b"1-1"
        assert connection.info("cluster")["cluster_enabled"] == (server.kind == "cluster")


def test_a_server_starts_quickly(new_server: Callable[..., Server]) -> None:
    began = time.perf_counter()
    new_server()
    assert time.perf_counter() - began < 1.0  # some 30 ms on a quiet machine


def test_data_outlives_a_kill_with_aof_alone(new_server: Callable[..., Server]) -> None:
    for aof in (True, False):
        server = new_server(aof=aof)
        port, pid = server.port, server.pid
        assert server.call("SET", "a", 1) == "+OK\r\n"
        server.restart(kill=True)
        assert server.call("EXISTS", "a") == f":{aof:d}\r\n"
        assert server.port == port
        assert server.pid != pid


def test_a_frozen_or_ended_shared_server_is_mended(server: Server) -> None:
    server.freeze()
    assert state(server.pid) == "T"
    server.flush()
    server.kill()
    server.flush()
    assert server.call("PING") == "+PONG\r\n"


def test_a_missing_server_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.support.servers.find", lambda kind: None)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no redis server"):
        require("redis")
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="no redis server"):
        require("redis")


async def test_waiting_returns_the_answer_or_names_what_never_came() -> None:
    answers = iter([0, 0, 7])
    assert await wait_until(lambda: next(answers), description="seven") == 7
    with pytest.raises(AssertionError, match=r"0\.01 s: the moon turns green \(last answer: False\)"):
        await wait_until(lambda: False, description="the moon turns green", timeout=0.01)
    with pytest.raises(AssertionError, match="a predicate that hangs"):
        await wait_until(lambda: asyncio.Event().wait(), description="a predicate that hangs", timeout=0.01)
    with pytest.raises(AssertionError, match="nothing"):
        wait_until_sync(lambda: None, description="nothing", timeout=0.01)


def test_messages_are_cut_at_their_ends() -> None:
    whole = [
        b"*2\r\n$3\r\nGET\r\n$2\r\n\r\n\r\n",
        b"+OK\r\n",
        b"*-1\r\n",
        b"$-1\r\n",
        b"%1\r\n+a\r\n*2\r\n:1\r\n$0\r\n\r\n",
        b">1\r\n_\r\n",
        b"*0\r\n",
        b"-ERR x\r\n",
    ]
    for size in (1, 3, 1000):
        stream, splitter = b"".join(whole), Splitter()
        pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
        assert [message for piece in pieces for message in splitter.feed(piece)] == whole


async def test_a_lost_reply_was_executed_and_a_lost_command_was_not(server: Server) -> None:
    async with FaultProxy(server.unix_url) as proxy, client(proxy.url) as through:
        await through.set("a", 0)
        fault = proxy.lose_reply(b"INCR", nth=2)
        assert await through.incr("a") == 1
        with pytest.raises(redis.ConnectionError):
            await through.incr("a")
        assert fault.happened.is_set()
        assert server.call("GET", "a") == "$1\r\n2\r\n"
        proxy.lose_command(b"INCR")
        with pytest.raises(redis.ConnectionError):
            await through.incr("a")
        assert await through.get("a") == b"2"


async def test_of_a_pipeline_only_the_matching_reply_is_lost(server: Server) -> None:
    async with FaultProxy(server.url) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        proxy.lose_reply(b"two")
        writer.write(b"".join(b"*2\r\n$4\r\nECHO\r\n$%d\r\n%s\r\n" % (len(w), w) for w in (b"one", b"two", b"six")))
        received = b""
        while chunk := await reader.read(100):
            received += chunk
        assert received == b"$3\r\none\r\n"
        writer.close()


async def test_black_hole_refusal_cut_and_delay(server: Server) -> None:
    async with FaultProxy(server.url) as proxy, client(proxy.url) as through:
        assert await through.ping()
        proxy.black_hole()
        with pytest.raises(redis.TimeoutError):
            await through.ping()
        proxy.restore()
        assert await through.ping()
        proxy.refuse()
        with pytest.raises(redis.ConnectionError):
            await through.ping()
        proxy.restore()
        proxy.delay = 0.05
        began = time.perf_counter()
        assert await through.ping()
        assert time.perf_counter() - began > 0.05
        proxy.cut()
        await wait_until(lambda: proxy.connections == 0, description="all connections are cut")


def test_a_threaded_proxy_serves_blocking_clients(server: Server) -> None:
    never = Retry(NoBackoff(), 0)
    with ThreadedFaultProxy(server.url) as proxy, redis.Redis.from_url(proxy.url, retry=never) as through:
        fault = proxy.lose_reply(b"$3\r\nSET\r\n")
        with pytest.raises(redis.ConnectionError):
            through.set("a", 1)
        assert fault.happened.wait(1)
        assert through.get("a") == b"1"


async def test_children_write_freeze_burn_and_end(children: Children) -> None:
    child = children.python("-u", "-c", "print('up')\nwhile True: pass")
    await wait_until(lambda: child.cpu_seconds() > 0.05 and "up" in child.text(), description="the child is busy")
    child.freeze()
    used = child.cpu_seconds()
    assert child.cpu_seconds() == used
    child.thaw()
    await wait_until(lambda: child.cpu_seconds() > used, description="the child goes on")
    assert child.stop() == -15
    assert await children.python("-c", "raise SystemExit(3)").ended() == 3


def test_children_do_not_outlive_us(children: Children) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom tests.support.processes import Child\n"
        "print(Child(['sleep', '60'], output=Path(sys.argv[1])).pid, flush=True)\nsys.stdin.read()\nwhile True: pass"
    )
    root = str(Path(__file__).parents[1])
    parent = children.python("-c", code, children.folder / "sleep.log", env={"PYTHONPATH": root})
    pid = int(wait_until_sync(parent.text, description="the child has a child"))
    parent.kill()
    wait_until_sync(lambda: state(pid) in "ZX", description="it went with its parent")
