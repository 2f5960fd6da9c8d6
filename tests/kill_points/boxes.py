"""A worker type whose infrastructure lives in Redis, beside the pool: it goes on without its worker, to be adopted."""

import asyncio
from typing import Any

import redis.asyncio as aredis

from dispatcher import codec
from dispatcher.models import HandOff
from workers import Outcome, WorkerType

PATIENCE = 60.0
"""Seconds; a busy machine is no fault of a box, and a box that cannot be reached is a crash."""


class Boxes(WorkerType):
    """A box is a key with the moment at which its work is over. How often each claim had one opened is counted."""

    type = "boxes"
    site = "harbour"
    prefetch_seconds = 0.8

    def __init__(self, url: str) -> None:
        self._url = url

    async def open(self) -> None:
        patience = {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE}
        self._redis = aredis.Redis.from_url(self._url, decode_responses=True, **patience)

    async def close(self) -> None:
        await self._redis.aclose()

    async def start(self, run: HandOff) -> str:
        seconds = float((codec.decode_spec(run.spec).parameters or {})["seconds"])
        for old in await self._ask("KEYS", f"box:{run.id}:*"):  # of a claim that is over
            await self._ask("DEL", old)
        await self._ask("INCR", f"opened:{run.id}:{run.token}")
        await self._ask("SET", _box(run), await self._now() + seconds)
        return _box(run)

    async def watch(self, run: HandOff, infrastructure: str) -> Outcome:
        while (until := await self._ask("GET", infrastructure)) is not None:
            if await self._now() >= float(until):
                return Outcome("completed", "", codec.pack(1))
            await asyncio.sleep(0.05)
        return Outcome("lost")

    async def stop(self, run: HandOff, infrastructure: str, grace: float) -> None:
        await self._ask("DEL", _box(run))

    async def adopt(self, run: HandOff, infrastructure: str) -> bool:
        return bool(await self._ask("EXISTS", infrastructure))

    async def forget(self, run: HandOff) -> None:
        await self._ask("DEL", _box(run))

    async def _ask(self, *command: Any) -> Any:
        """Not cancelled in the middle: a cancellation can be lost in there."""
        return await asyncio.shield(asyncio.ensure_future(self._redis.execute_command(*command)))

    async def _now(self) -> float:
        seconds, micros = await self._ask("TIME")
        return int(seconds) + int(micros) / 1_000_000


def _box(run: HandOff) -> str:
    return f"box:{run.id}:{run.token}"


async def opened_twice(url: str) -> list[str]:
    """Claims for which more than one box was opened."""
    async with aredis.Redis.from_url(url, decode_responses=True) as plain:
        found = [(name, int(await plain.get(name))) for name in await plain.keys("opened:*")]
    return [f"{name} {times} times" for name, times in found if times != 1] + ["no box"] * (not found)
