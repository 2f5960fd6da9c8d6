"""The audit of one pool, a step at a time, by whichever dispatcher has the turn.

Who decides: the turn and the checkpoint are in Redis, one script a step. An auditor that dies leaves its turn to run
out, and its checkpoint to whoever comes next; one that was frozen meanwhile hears that the turn is elsewhere, and
forgets what it folded. Nothing else depends on it, so two at once would only do the work twice.
"""

from collections.abc import Sequence

from ..clock import Clock
from ..log import get_logger
from ..store import AuditStore
from ..store.audit import ANEW, CHECKPOINT, Elsewhere, Gap, Kept, State, Told
from .ledger import LARGEST, Ledger
from .report import Violation
from .walk import Walk

STEP_SECONDS = 1.0
COMPARE_SECONDS = 5.0
KEEP_SECONDS = 10.0
"""How often the checkpoint is written: so many seconds of events are folded again by whoever comes next."""
TURN_SECONDS = 60.0
"""After that the turn is left to other dispatchers, so that those of many pools spread."""
REST_SECONDS = 6.0
"""A turn has run out by then, see TURN_MS of audit.lua."""
KEYS_AT_ONCE = 200
"""Keys of the server that a step looks at: a million take an hour and a half; 20 minutes where few are this pool's."""
_log = get_logger("audit")


class Auditor:
    """Audits a pool. `step` is called again after the seconds it returns; what it found is in `violations` then.

    `rebuilt`: events were trimmed before they were folded, so it began anew with what there is.
    """

    def __init__(self, store: AuditStore, pool: str, name: str, clock: Clock) -> None:
        """`name`: of this auditor, no other's."""
        self._store, self._pool, self._name, self._clock = store, pool, name, clock
        self._ledger: Ledger | None = None
        self._unrecorded: list[Violation] = []
        self._faced = ""
        self._walk = self._new_walk()
        self._since = self._kept = self._compared = clock.monotonic()
        self.violations: list[Violation] = []
        self.rebuilt = False

    async def step(self) -> float:
        """Fold what was told, compare, look at some keys. Seconds until there is more to do. Raises ServerError."""
        self.violations, self.rebuilt = [], False
        if self._ledger is None:
            return await self._begin()
        now = self._clock.monotonic()
        if now - self._since > TURN_SECONDS:
            return await self._rest()
        keep = now - self._kept > KEEP_SECONDS
        told = await self._ask(self._ledger, keep=keep, compare=now - self._compared > COMPARE_SECONDS)
        if not isinstance(told, Told):
            return await self._begin_again(told)
        if keep:
            self._kept = now
        self._found(self._ledger.fold(told.events))
        if told.more:
            return 0.0
        is_balanced = self._compare(self._ledger, told.state, now) if told.state else True
        if await self._look() and is_balanced:
            return STEP_SECONDS
        return await self._begin_anew(had_one=True)  # neither the fold nor its checkpoint lead to what there is now

    async def _ask(self, ledger: Ledger, *, keep: bool, compare: bool) -> Told | Kept | Elsewhere | Gap | None:
        checkpoint = ledger.packed() if keep else b""
        found = [(violation.what, violation.word) for violation in self._unrecorded]
        told = await self._store.step(
            self._pool, self._name, ledger.position, checkpoint if len(checkpoint) <= LARGEST else b"",
            compare=compare, found=found,
        )  # fmt: skip
        if isinstance(told, Told):
            self._unrecorded = []
        return told

    async def _begin(self) -> float:
        """With the checkpoint of whoever audited before, else with what there is."""
        kept = await self._store.step(self._pool, self._name, CHECKPOINT)
        if not isinstance(kept, Kept):
            return _seconds(kept)
        self._since = self._clock.monotonic()
        self._ledger = Ledger.unpacked(kept.position, kept.checkpoint) if kept.position else None
        if self._ledger:
            self._kept = self._since
            return 0.0
        return await self._begin_anew(had_one=bool(kept.position))

    async def _begin_anew(self, *, had_one: bool) -> float:
        self._ledger = None
        told = await self._store.step(self._pool, self._name, ANEW)
        if not isinstance(told, Told) or told.state is None:
            return _seconds(told)
        if isinstance(told.state.slots, int):  # too many to be told at once: until there are fewer, keys alone
            await self._look()
            return STEP_SECONDS
        if had_one:
            self.rebuilt = True
            _log.warning("audit.rebuilt", pool=self._pool, next="events before this moment are not audited")
        self._ledger = Ledger(told.position, told.state.waiting, told.state.slots, told.state.suspended)
        self._kept = 0.0
        return 0.0

    async def _begin_again(self, told: Kept | Elsewhere | Gap | None) -> float:
        if isinstance(told, Gap):
            return await self._begin_anew(had_one=True)
        self._ledger = None
        return _seconds(told)

    async def _rest(self) -> float:
        """Keep what was folded, and leave the turn to others: it runs out before this one asks again."""
        if self._ledger:
            await self._ask(self._ledger, keep=True, compare=False)
        self._ledger = None
        return REST_SECONDS

    def _compare(self, ledger: Ledger, state: State, now: float) -> bool:
        """Whether the fold leads to what there is."""
        self._compared = now
        found = ledger.compare(state.waiting, state.slots)
        self._found(found)
        if state.facing and state.facing == self._faced:
            self._found([Violation("stalled", state.facing.split(" ")[1])])
        self._faced = state.facing
        return not found

    async def _look(self) -> bool:
        """At some keys; False when something was put right, which is not told as what runs do."""
        if self._walk.is_over:
            self._walk = self._new_walk()
        _, found = await self._walk.step()
        self.violations += found
        return not any(one.is_mended for one in found)

    def _new_walk(self) -> Walk:
        return Walk(self._store, self._pool, KEYS_AT_ONCE, repair=True)

    def _found(self, violations: Sequence[Violation]) -> None:
        """These are not recorded yet: the next step does."""
        self.violations += violations
        self._unrecorded += violations


def _seconds(reply: object) -> float:
    return reply.ms / 1000 if isinstance(reply, Elsewhere) else STEP_SECONDS
