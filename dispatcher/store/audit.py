"""Calls of the audit: what was told, what there is, and whether things are as they must be."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from redis.exceptions import RedisError

from .link import Link, root_of

ANEW, CHECKPOINT = "anew", "checkpoint"


class State(NamedTuple):
    """What there is at one moment: runs that wait, ids (or how many) that hold a slot of the pool, suspended ones.

    `facing`: an idle worker, a bucket that it could be served from, and that one's first entry; '' when there is none.
    """

    waiting: int
    slots: list[str] | int
    suspended: list[str]
    facing: str


class Told(NamedTuple):
    """Events up to `position`, in order; `state` at that very moment, when it was asked for and there are no more."""

    position: str
    events: list[tuple[str, str]]
    more: bool
    state: State | None


class Kept(NamedTuple):
    """A checkpoint; both are empty when there is none."""

    position: str
    checkpoint: bytes


class Elsewhere(NamedTuple):
    """Another auditor has the turn for so long."""

    ms: int


class Gap(NamedTuple):
    """Events after the position were trimmed."""


class AuditStore:
    """Calls of one who audits. Methods raise ServerError; for a pool that is gone they answer None."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def step(
        self, pool: str, auditor: str, position: str, checkpoint: bytes = b"", *, most: int = 512,
        compare: bool = False, found: Sequence[tuple[str, str]] = (),
    ) -> Told | Kept | Elsewhere | Gap | None:  # fmt: skip
        """What was told since `position` (or CHECKPOINT, ANEW). `found` are violations to be recorded: what, word.

        An `auditor` of '' only looks. Repeatable: the same events are told until the position moves.
        """
        words = [word for pair in found for word in pair]
        reply: list[Any] = await self._link.call(
            "audit", pool, self._link.now_ms, auditor, position, checkpoint, most, int(compare), *words
        )
        match reply[0]:
            case b"ok":
                return _told(reply)
            case b"checkpoint":
                return Kept(reply[1].decode(), reply[2])
            case b"elsewhere":
                return Elsewhere(reply[1])
            case b"gap":
                return Gap()
            case _:
                return None

    async def verify(self, pool: str, names: Sequence[str], *, repair: bool) -> tuple[int, list[tuple[str, str]]]:
        """Look at these keys of the pool (64 at most, see `scan`): how many things were seen, what is wrong of which.

        With `repair` what was found is recorded, and put right where that is safe.
        """
        _, looked, found = await self._link.call("verify", pool, self._link.now_ms, int(repair), *names)
        texts = [word.decode(errors="backslashreplace") for word in found]
        return looked, list(zip(texts[::2], texts[1::2], strict=True))

    async def scan(self, pool: str, cursor: int, count: int) -> tuple[int, list[str]]:
        """The next keys of the pool, as `verify` takes them, and the cursor to go on with; 0 begins and ends.

        A key that is there from the beginning to the end is told at least once.
        """
        root = root_of(pool)
        try:
            following, found = await self._link.client.scan(cursor, match=f"{root}:*", count=count)
        except (RedisError, OSError) as error:
            raise self._link.error(error) from error
        return int(following), [name.decode(errors="surrogateescape")[len(root) + 1 :] for name in found]


def _told(reply: list[Any]) -> Told:
    _, position, told, more, state = reply
    texts = [word.decode(errors="backslashreplace") for word in told]
    events = list(zip(texts[::2], texts[1::2], strict=True))
    return Told(position.decode(), events, bool(more), _state(state) if state else None)


def _state(row: list[Any]) -> State:
    waiting, slots, suspended, facing = row
    held = slots if isinstance(slots, int) else [run_id.decode() for run_id in slots]
    return State(waiting, held, [run_id.decode() for run_id in suspended], facing.decode())
