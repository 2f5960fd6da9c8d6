"""Calls under way at once travel together: one script call for all that gathered while the last one was out."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from ..errors import Conflict

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Coalescer(Generic[Item, Answer]):
    """Gathers items and sends them in batches of at most `most`, one batch under way at a time.

    A lone caller sends its own item at once, without a task in between; whoever comes meanwhile goes in the next batch.
    An exception of a batch reaches each of its callers. A Conflict is one caller's: then each item is sent by itself.
    """

    def __init__(self, send: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]], most: int) -> None:
        self._send, self._most = send, most
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._busy = False
        # Batches outlive the caller that started them, so they are tasks of the client, ended in close().
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, item: Item) -> Answer:
        """Send one item; returns its answer."""
        if self._busy:
            return await self._join(item)
        self._busy = True
        try:
            (answer,) = await self._send((item,))
        finally:
            self._next()
        return answer

    async def _join(self, item: Item) -> Answer:
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        return await future

    def _next(self) -> None:
        """Start the next batch, or be idle."""
        if not self._waiting:
            self._busy = False
            return
        batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
        task = asyncio.get_running_loop().create_task(self._flush(batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _flush(self, batch: list[tuple[Item, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._send([item for item, _ in batch])
        except Conflict as error:
            await self._flush_singly(batch, error)
        except BaseException as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            if not isinstance(error, Exception):
                raise
        else:
            for (_, future), answer in zip(batch, answers, strict=True):
                if not future.done():
                    future.set_result(answer)
        finally:
            self._next()

    async def _flush_singly(self, batch: list[tuple[Item, asyncio.Future[Answer]]], error: Conflict) -> None:
        for item, future in batch:
            try:
                if len(batch) == 1:
                    raise error  # noqa: TRY301 - a lone item is refused as it was
                (answer,) = await self._send((item,))
            except Exception as refusal:  # noqa: BLE001 - it is handed to the caller of this item
                if not future.done():
                    future.set_exception(refusal)
            else:
                if not future.done():
                    future.set_result(answer)

    async def close(self) -> None:
        """Wait for what is under way."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
