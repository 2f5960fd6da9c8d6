"""A thread's client of a cluster: see `cluster`, without what only the event loop needs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from redis.commands import CoreCommands
from redis.exceptions import AskError, ClusterDownError, MovedError
from redis.exceptions import ConnectionError as LostError
from redis.exceptions import TimeoutError as SilentError
from redis.retry import Retry

from .cluster import PASSING, REDIRECTIONS
from .slots import HOME, SlotMap, slot_of
from .summary import combined

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..addresses import Address, Host


_Commands: Any = CoreCommands  # see `cluster`


class BlockingRouted(_Commands):  # type: ignore[misc]  # see _Commands
    """A client of all masters, in one profile. Not thread-safe."""

    def __init__(self, address: Address, connect: Callable[[str], Any], retry: Retry) -> None:
        self._map = SlotMap(address)
        self._connect = connect
        self._retry = Retry(retry._backoff, retry._retries, PASSING)  # noqa: SLF001 - it has no other way to tell
        self._nodes: dict[Host, Any] = {}

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command to the member that has its first key, or the catalogue where it has none."""
        slot = slot_of(args)
        send = partial(self._send, HOME if slot is None else slot, args, options)
        return self._retry.call_with_retry(send, self._lost)

    def info(self, *sections: Any, **options: Any) -> dict[str, Any]:
        """INFO of all masters that answer as if they were one server. Raises RedisError when none does."""
        return combined(self._each(lambda node: node.info(*sections, **options)))

    def script_load(self, script: Any) -> Any:
        """Load it at every master that answers. Raises RedisError when none does."""
        return self._each(lambda node: node.script_load(script))[0]

    def close(self) -> None:
        """Close all connections."""
        for node in self._nodes.values():
            node.close()
        self._nodes.clear()

    def _each(self, call: Callable[[Any], Any]) -> list[Any]:
        self._read()
        told: list[Any] = []
        fault: Exception | None = None
        for host in self._map.masters:
            try:
                told.append(call(self._node(host)))
            except (LostError, SilentError) as error:
                fault = error
        if fault and not told:
            raise fault
        return told

    def _send(self, slot: int, args: Sequence[Any], options: dict[str, Any]) -> Any:
        if self._map.is_stale:
            self._read()
        host = self._map.owner(slot)
        for _ in range(REDIRECTIONS):
            try:
                return self._node(host).execute_command(*args, **options)
            except MovedError as error:
                host = self._map.moved(error, host)
            except AskError as error:
                with self._node((error.host or host[0], error.port)).pipeline(transaction=False) as pipe:
                    pipe.execute_command("ASKING")
                    pipe.execute_command(*args, **options)
                    return pipe.execute()[1]
        raise ClusterDownError(f"slot {slot} was sent from member to member {REDIRECTIONS} times")

    def _node(self, host: Host) -> Any:
        found = self._nodes.get(host)
        if found is None:
            found = self._nodes[host] = self._connect(self._map.url(host))
        return found

    def _read(self) -> None:
        self._map.read()
        for host in self._nodes.keys() - set(self._map.masters):
            self._nodes.pop(host).close()

    def _lost(self, _error: Exception) -> None:
        self._map.is_stale = True
