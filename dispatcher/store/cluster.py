"""Clients of a cluster: each command goes to the member that has its pool, over clients that know one member each.

Not redis-py's own client of clusters. It refuses EVALSHA in pipelines, where a publish and its proof travel together;
it takes a connection from a pool for each call, where a turn's write must leave at once over one that is there; and it
has no read that waits at several members. A pool is one slot, so finding the member is a look into a list.

Asked again where a slot is: after MOVED, at once; after a lost connection, CLUSTERDOWN and the like, with the profile's
patience. What was sent twice does no harm (I6). ASK is followed, but see docs/connections.md: a script needs its whole
pool, so a pool's slot is moved key by key only while nothing uses the pool.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from redis.asyncio.retry import Retry as AsyncRetry
from redis.commands import AsyncCoreCommands
from redis.exceptions import AskError, ClusterDownError, MovedError, ReadOnlyError, RedisError, TryAgainError
from redis.exceptions import ConnectionError as LostError
from redis.exceptions import TimeoutError as SilentError

from .members import Members
from .slots import HOME, slot_of
from .summary import combined

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..addresses import Address, Host

PASSING = (LostError, SilentError, ClusterDownError, TryAgainError, ReadOnlyError)
"""What may be otherwise when the slots are looked up again."""
REDIRECTIONS = 5
_Commands: Any = AsyncCoreCommands  # redis-py's types of commands know no other clients than its own


class Routed(_Commands):  # type: ignore[misc]  # see _Commands
    """A client of all masters, in one profile: `connect` makes clients of one member, which do not retry."""

    def __init__(self, address: Address, connect: Callable[[str], Any], retry: AsyncRetry) -> None:
        self.members = Members(address, connect)
        self._retry = AsyncRetry(retry._backoff, retry._retries, PASSING)  # noqa: SLF001 - it has no other way to tell

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command to the member that has its first key, or the catalogue where it has none."""
        slot = slot_of(args)
        send = partial(self._send, HOME if slot is None else slot, args, options)
        return await self._retry.call_with_retry(send, self._lost)

    def pipeline(self, transaction: bool = False) -> Pipeline:  # noqa: FBT001, FBT002 - as redis-py has it
        """Commands that travel together to each member; at no one moment, and never a transaction."""
        if transaction:
            raise ValueError("a transaction does not reach across a cluster: pass transaction=False")
        return Pipeline(self)

    async def info(self, *sections: Any, **options: Any) -> dict[str, Any]:
        """INFO of all masters as if they were one server."""
        return combined([await node.info(*sections, **options) for node in (await self.members.masters()).values()])

    async def script_load(self, script: Any) -> Any:
        """Load it at every master that answers. Raises RedisError when none does."""
        told = await self._each("SCRIPT LOAD", script)
        return told[0]

    async def script_exists(self, *args: Any) -> Any:
        """Whether every master that answers has them."""
        return [all(row) for row in zip(*await self._each("SCRIPT EXISTS", *args), strict=True)]

    async def aclose(self) -> None:
        """Close all connections."""
        await self.members.close()

    async def owner_of(self, key: str) -> str:
        """Who has the slot of a key, as `host:port`. Raises redis-py's ConnectionError and ClusterDownError."""
        slot = slot_of((key,))
        host, port = await self.members.owner(HOME if slot is None else slot)
        return f"{host}:{port}"

    async def with_patience(self, do: Callable[[], Any]) -> Any:
        """Do something again, as this profile does, while what is wrong may pass."""
        return await self._retry.call_with_retry(do, self._lost)

    async def _send(self, slot: int, args: Sequence[Any], options: dict[str, Any]) -> Any:
        host = await self.members.owner(slot)
        for _ in range(REDIRECTIONS):
            try:
                return await self.members.client(host).execute_command(*args, **options)
            except MovedError as error:
                host = self.members.moved(error, host)
            except AskError as error:
                async with self.members.client((error.host or host[0], error.port)).pipeline(transaction=False) as pipe:
                    pipe.execute_command("ASKING")
                    pipe.execute_command(*args, **options)
                    return (await pipe.execute())[1]
            except asyncio.CancelledError:  # nobody waits any longer: it may be gone
                self.members.distrust()
                raise
        raise ClusterDownError(f"slot {slot} was sent from member to member {REDIRECTIONS} times")

    async def _each(self, *words: Any) -> list[Any]:
        told: list[Any] = []
        fault: Exception | None = None
        for node in (await self.members.masters()).values():
            try:
                told.append(await node.execute_command(*words))
            except (LostError, SilentError) as error:
                fault = error
        if not told and fault:
            raise fault
        return told

    async def _lost(self, _error: Exception) -> None:
        self.members.distrust()


class _Command(NamedTuple):
    slot: int | None
    words: tuple[Any, ...]
    options: dict[str, Any]


class Pipeline(_Commands):  # type: ignore[misc]  # see _Commands
    """Commands for several members. One without a key goes with the first that has one: what waits for a write."""

    def __init__(self, client: Routed) -> None:
        self._client, self._members = client, client.members
        self._commands: list[_Command] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._commands.clear()

    def execute_command(self, *args: Any, **options: Any) -> Self:
        """Add a command."""
        self._commands.append(_Command(slot_of(args), args, options))
        return self

    async def execute(self, raise_on_error: bool = True) -> list[Any]:  # noqa: FBT001, FBT002 - as redis-py has it
        """Send them all; answers in their order. Errors among these are raised, unless told otherwise."""
        commands, self._commands = self._commands, []
        rows: list[Any] = await self._client.with_patience(partial(self._settled, commands))
        for row in rows:
            if raise_on_error and isinstance(row, Exception):
                raise row
        return rows

    async def _settled(self, commands: list[_Command]) -> list[Any]:
        for _ in range(REDIRECTIONS):
            rows = await self._sent(commands)
            if not any(isinstance(row, MovedError) for row in rows):
                return await self._asked(commands, rows)
        raise ClusterDownError(f"a pipeline was sent from member to member {REDIRECTIONS} times")

    async def _sent(self, commands: list[_Command]) -> list[Any]:
        default = next((command.slot for command in commands if command.slot is not None), HOME)
        groups: dict[Host, list[int]] = {}
        for place, command in enumerate(commands):
            host = await self._members.owner(default if command.slot is None else command.slot)
            groups.setdefault(host, []).append(place)
        rows: list[Any] = [None] * len(commands)
        told = await asyncio.gather(
            *(self._group(host, [commands[i] for i in group]) for host, group in groups.items())
        )
        for group, answers in zip(groups.values(), told, strict=True):
            for place, answer in zip(group, answers, strict=True):
                rows[place] = answer
        return rows

    async def _group(self, host: Host, commands: list[_Command]) -> list[Any]:
        pipe = self._members.client(host).pipeline(transaction=False)
        for command in commands:
            pipe.execute_command(*command.words, **command.options)
        try:
            answers: list[Any] = await pipe.execute(raise_on_error=False)
        except asyncio.CancelledError:
            self._members.distrust()
            raise
        for answer in answers:
            if isinstance(answer, MovedError):
                self._members.moved(answer, host)
            elif isinstance(answer, PASSING):
                raise answer
        return answers

    async def _asked(self, commands: list[_Command], rows: list[Any]) -> list[Any]:
        """What is on its way to another member, one after the other."""
        strays = [place for place, row in enumerate(rows) if isinstance(row, AskError)]
        if strays and any(command.slot is None for command in commands):
            raise TryAgainError("a slot is on its way, and what goes together cannot be parted")
        for place in strays:
            try:
                rows[place] = await self._client.execute_command(*commands[place].words, **commands[place].options)
            except RedisError as error:
                rows[place] = error
        return rows
