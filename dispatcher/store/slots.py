"""Which member of a cluster has which slot. A pool's keys carry one tag, so a pool is one slot, at one member."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.backoff import NoBackoff
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import AuthenticationError, ClusterDownError, MovedError, RedisError
from redis.exceptions import ConnectionError as LostError
from redis.retry import Retry

from .. import keys
from .opening import open_blocking_server

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..addresses import Address, Host

HOME = key_slot(keys.CATALOGUE.encode())
"""The slot of the catalogue: commands without a key go where it is."""
_PREFIX = "sluice:"
_ASK_SECONDS = 1.5


def slot_of(words: Iterable[Any]) -> int | None:
    """The slot of a command's first key, None when it has none. Keys of ours begin with `sluice:`, and nothing else."""
    for word in words:
        if isinstance(word, str):
            if word.startswith(_PREFIX):
                return key_slot(word.encode())
        elif isinstance(word, bytes) and word.startswith(b"sluice:"):
            return key_slot(word)
    return None


class SlotMap:
    """What a member said last. It is read again when `is_stale`: after a lost connection, and after MOVED.

    Each reading begins at another member: one that was cut off from the others does not know better.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._owners: list[Host | None] = []
        self._members = list(address.hosts)
        self.is_stale = True

    @property
    def masters(self) -> list[Host]:
        """All that have a slot, in the order of slots."""
        return [host for host in dict.fromkeys(self._owners) if host]

    def owner(self, slot: int) -> Host:
        """Who has a slot. Raises ClusterDownError."""
        host = self._owners[slot] if self._owners else None
        if host is None:
            raise ClusterDownError(f"no member of the cluster has slot {slot}")
        return host

    def url(self, host: Host) -> str:
        """The address of a member."""
        return self._address.server(*host)

    def moved(self, error: MovedError, asked: Host) -> Host:
        """Take note of a MOVED that a member answered; who has the slot now."""
        host = (error.host or asked[0], error.port)
        self._owners[error.slot_id] = host
        self.is_stale = True
        return host

    def read(self) -> None:
        """Ask until a member answers. Raises redis-py's ConnectionError when none does. For a thread."""
        faults: list[str] = []
        for host in tuple(self._members):
            try:
                rows = self._ask(host)
            except AuthenticationError:
                raise
            except (RedisError, OSError) as error:
                faults.append(f"{host[0]}:{host[1]}: {error}")
                continue
            if rows:
                self._take(rows, host)
                return
            faults.append(f"{host[0]}:{host[1]} knows of no slots")
        raise LostError(f"no member of the cluster says where its slots are; {'; '.join(faults)}")

    def _ask(self, host: Host) -> Sequence[Any]:
        client = open_blocking_server(
            self.url(host),
            socket_timeout=_ASK_SECONDS,
            socket_connect_timeout=_ASK_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        try:
            rows: Any = client.execute_command("CLUSTER SLOTS")  # type: ignore[no-untyped-call]
        finally:
            client.close()
        return list(rows)

    def _take(self, rows: Sequence[Any], asked: Host) -> None:
        owners: list[Host | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        members: list[Host] = []
        for first, last, *nodes in rows:
            hosts = [_host(node, asked) for node in nodes]
            owners[first : last + 1] = [hosts[0]] * (last + 1 - first)
            members += hosts
        self._owners, self.is_stale = owners, False
        known = dict.fromkeys((*members, *self._address.hosts))
        others = dict.fromkeys((*(host for host in self._members if host in known), *known))
        others.pop(asked, None)
        self._members = [*others, asked]


def _host(node: Sequence[Any], asked: Host) -> Host:
    """Where a member says that it is; '' or '?' where it does not know its own address."""
    name = node[0].decode() if isinstance(node[0], bytes) else node[0]
    return (asked[0] if name in (None, "", "?") else name, int(node[1]))
