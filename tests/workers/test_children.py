"""Starting processes below keepers: what cannot be started is told, and the keeper goes on."""

import asyncio
import errno
import gc
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from workers.children import Children, Order, StartFailed

DESCRIPTORS = Path("/proc/self/fd")


@pytest.fixture
async def children(tmp_path: Path) -> AsyncIterator[Children]:
    children = Children(str(tmp_path / "folders"))
    yield children
    await children.close()


@pytest.mark.parametrize(
    ("words", "folder", "number", "what"),
    [
        (["true", "a\0b"], "/", errno.EINVAL, "command"),
        ([""], "/", errno.EINVAL, "command"),
        (["true", "\ud800"], "/", errno.EINVAL, "command"),
        (["no\nsuch"], "/", errno.ENOENT, "command"),
        (["true"], "/no/such", errno.ENOENT, "folder"),
        (["true"], "/etc/passwd", errno.ENOTDIR, "folder"),
    ],
)
async def test_what_cannot_be_started_is_told(
    children: Children, words: list[str], folder: str, number: int, what: str
):
    with pytest.raises(StartFailed) as failed:
        await children.start(Order(words, dict(os.environ), folder))
    assert (failed.value.number, failed.value.what) == (number, what)
    child = await children.start(Order(["true"], dict(os.environ), "/"))
    assert await child.gone == 0
    child.close()


async def test_an_order_longer_than_a_sockets_buffer_arrives(children: Children):
    environment = {**os.environ, **{f"LONG_{n}": "x" * 100_000 for n in range(10)}}
    child = await children.start(Order(["sh", "-c", 'test "${#LONG_9}" = 100000'], environment, "/"))
    assert await child.gone == 0
    child.close()


async def test_a_start_that_is_cancelled_twice_leaves_no_pipe_and_no_complaint(
    children: Children, caplog: pytest.LogCaptureFixture
):
    child = await children.start(Order(["true"], dict(os.environ), "/"))
    assert await child.gone == 0
    child.close()
    before = len(list(DESCRIPTORS.iterdir()))
    for folder in ("/", "/no/such"):
        starting = asyncio.ensure_future(children.start(Order(["sleep", "60"], dict(os.environ), folder)))
        for _ in range(3):  # as a scope of anyio does: again, until it is over
            await asyncio.sleep(0)
            starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        del starting
        gc.collect()
    assert len(list(DESCRIPTORS.iterdir())) <= before  # what an earlier test left to the collector may go meanwhile
    assert [record.message for record in caplog.records if record.name == "asyncio"] == []
