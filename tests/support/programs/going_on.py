"""Publishes until SIGTERM, each run until it is acknowledged; waits for their ends: `going_on.py COMMAND LEVEL...`.

There is one publisher for each level of durability. It says each run that is acknowledged, and at the end, as a line of
JSON, what was published at each level, which of it nobody knows any more, and how the others ended.
"""

import asyncio
import json
import signal
import sys
from collections import Counter
from dataclasses import dataclass, field

from dispatcher import Client
from dispatcher.errors import RunNotFound, ServerError
from dispatcher.ids import new_run_id
from dispatcher.settings import read_settings

PAUSE = 0.25
PATIENCE = 120.0


@dataclass
class Told:
    """What became of the runs of one level."""

    published: list[str] = field(default_factory=list)
    refused: int = 0
    lost: list[str] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)


async def publish(client: Client, command: str, level: str, told: Told, is_over: asyncio.Event) -> None:
    """One run after the other."""
    while not is_over.is_set():
        run_id = new_run_id()
        while True:
            try:
                await client.publish(command=["sh", "-ec", command, "run"], run_id=run_id, durability=level)
            except ServerError:
                told.refused += 1
                if is_over.is_set():
                    return
                await asyncio.sleep(PAUSE)
            else:
                break
        told.published.append(run_id)
        print(level, run_id, flush=True)
        await asyncio.sleep(PAUSE)


async def ending(client: Client, told: Told) -> None:
    """Wait for the ends."""
    for run_id in told.published:
        while True:
            try:
                state = (await client.get(run_id)).state
            except RunNotFound:
                told.lost.append(run_id)
                break
            if state.is_terminal:
                told.states[state.value] += 1
                break
            await asyncio.sleep(PAUSE)


async def main(command: str, *levels: str) -> None:
    is_over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, is_over.set)
    told = {level: Told() for level in levels}
    async with Client(read_settings().redis_url) as client:
        async with asyncio.TaskGroup() as group:
            for level in levels:
                group.create_task(publish(client, command, level, told[level], is_over))
        async with asyncio.timeout(PATIENCE):
            for level in levels:
                await ending(client, told[level])
    print(json.dumps({level: vars(found) for level, found in told.items()}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
