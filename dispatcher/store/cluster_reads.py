"""Waiting for entries of streams that are in several slots: one connection a pool, all waited on together.

A server takes streams of one slot in one XREAD, also when it has several slots. What is not over when the first answer
comes goes on waiting over its own connection, and the next call takes it up again when it asks for the same entries:
nothing is given up that has not answered. An answer that nobody took does no harm: the reader's own place is the truth.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

from redis.exceptions import TimeoutError as SilentError

from .slots import HOME, slot_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .cluster import Routed

Rows = list[tuple[bytes, Any]]


class _Wait(NamedTuple):
    streams: dict[str, str]
    answer: asyncio.Task[Rows]


class RoutedReads:
    """What a reader needs of a client: XREAD and its end. One reader at a time."""

    def __init__(self, client: Routed, seconds: float) -> None:
        self._client, self._seconds = client, seconds
        self._waits: dict[int, _Wait] = {}

    async def xread(self, streams: Mapping[str, str], count: int | None = None, block: int = 0) -> Rows:
        """Entries of some of the streams as soon as there are any, [] after `block` ms. Raises RedisError.

        The error of one pool is raised when nothing else has come; the others' answers are there in the next call.
        """
        wanted = _by_slot(streams)
        self._drop({slot for slot, wait in self._waits.items() if wait.streams != wanted.get(slot)})
        try:
            async with asyncio.timeout(block / 1000):
                while True:
                    if rows := await self._first(wanted, count, block):
                        return rows
        except TimeoutError:
            return []

    async def aclose(self) -> None:
        """Give up what waits, and close all connections."""
        waiting = [wait.answer for wait in self._waits.values()]
        self._drop(set(self._waits))
        await asyncio.gather(*waiting, return_exceptions=True)
        await self._client.aclose()

    async def _first(self, wanted: dict[int, dict[str, str]], count: int | None, block: int) -> Rows:
        for slot, asked in wanted.items():
            if slot not in self._waits:
                # A task of its own: it outlives this call, and keeps its connection.
                answer = asyncio.create_task(self._read(asked, count, block))  # noqa: TID251 - see above
                self._waits[slot] = _Wait(asked, answer)
        await asyncio.wait([wait.answer for wait in self._waits.values()], return_when=asyncio.FIRST_COMPLETED)
        rows: Rows = []
        fault: BaseException | None = None
        for slot in [slot for slot, wait in self._waits.items() if wait.answer.done()]:
            answer = self._waits.pop(slot).answer
            fault = answer.exception() or fault
            rows += answer.result() if answer.exception() is None else []
        if fault and not rows:
            raise fault
        return rows

    async def _read(self, streams: dict[str, str], count: int | None, block: int) -> Rows:
        try:
            async with asyncio.timeout(self._seconds):
                reply: Any = await self._client.xread(dict(streams), count=count, block=block)
        except TimeoutError:
            raise SilentError(f"no answer in {self._seconds:g} s") from None
        return list(reply.items() if isinstance(reply, dict) else reply or ())

    def _drop(self, slots: set[int]) -> None:
        for slot in slots:
            answer = self._waits.pop(slot).answer
            answer.add_done_callback(_ignore)
            answer.cancel()


def _by_slot(streams: Mapping[str, str]) -> dict[int, dict[str, str]]:
    found: dict[int, dict[str, str]] = {}
    for stream, entry in streams.items():
        slot = slot_of((stream,))
        found.setdefault(HOME if slot is None else slot, {})[stream] = entry
    return found


def _ignore(answer: asyncio.Task[Rows]) -> None:
    """What was given up is nobody's error."""
    if not answer.cancelled():
        answer.exception()
