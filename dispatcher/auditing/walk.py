"""The whole audit of a pool: every key of it looked at, and what happened meanwhile folded."""

from ..store import AuditStore
from ..store.audit import ANEW, Told
from .ledger import Ledger
from .report import Report, Violation

_AT_ONCE = 32
_SCANNED = 1_000
_PAGES = 5
"""Of the server's keys in a step, while they are all other pools': passing over 200 costs it some 0.05 ms."""
_QUEUE = "queue:"


async def audit_pool(store: AuditStore, pool: str, *, repair: bool = False) -> Report:
    """Look at everything once, while the pool goes on; nothing is changed without `repair`. Raises ServerError.

    A run that comes while it goes on may be passed over; one that is there throughout is looked at.
    """
    report = Report(pool)
    ledger = await _begin(store, pool)
    report.is_whole = ledger is not None
    walk = Walk(store, pool, _SCANNED, repair=repair)
    while not walk.is_over:
        looked, found = await walk.step()
        report.looked += looked
        report.violations += found
        if found and repair:
            ledger = await _begin(store, pool)  # what is put right is not told as what runs do
        ledger = await _follow(store, report, ledger)
    return report


class Walk:
    """Steps over all keys of a pool. Queues come last: their runs can only be counted where all can be reached."""

    def __init__(self, store: AuditStore, pool: str, at_once: int, *, repair: bool) -> None:
        self._store, self._pool, self._at_once, self._repair = store, pool, at_once, repair
        self._cursor = 0
        self._queues: list[str] | None = []
        self.is_over = False

    async def step(self) -> tuple[int, list[Violation]]:
        """Look at the next keys, about `at_once` of the server's: how many things were seen, and what is wrong."""
        if self._queues is None:
            raise RuntimeError("this walk is over")
        names = await self._next()
        self._queues += (name for name in names if name.startswith(_QUEUE))
        names = [name for name in names if not name.startswith(_QUEUE)]
        if not self._cursor:
            names, self._queues = names + self._queues, None
            self.is_over = True
        looked, violations = 0, list[Violation]()
        for start in range(0, len(names), _AT_ONCE):
            seen, found = await self._store.verify(self._pool, names[start : start + _AT_ONCE], repair=self._repair)
            looked += seen
            violations += (Violation(what, word) for what, word in found)
        return looked, violations

    async def _next(self) -> list[str]:
        """A page with keys of this pool. Others' are passed over, else one that is small beside them takes hours."""
        names: list[str] = []
        for _ in range(_PAGES):
            self._cursor, names = await self._store.scan(self._pool, self._cursor, self._at_once)
            if names or not self._cursor:
                break
        return names


async def _begin(store: AuditStore, pool: str) -> Ledger | None:
    told = await store.step(pool, "", ANEW)
    if not isinstance(told, Told) or told.state is None or isinstance(told.state.slots, int):
        return None
    return Ledger(told.position, told.state.waiting, told.state.slots, told.state.suspended)


async def _follow(store: AuditStore, report: Report, ledger: Ledger | None) -> Ledger | None:
    """Fold up to now and compare; a ledger that was left behind by the trimming begins anew."""
    while ledger:
        told = await store.step(report.pool, "", ledger.position, compare=True)
        if not isinstance(told, Told):
            return await _begin(store, report.pool)
        report.events += len(told.events)
        report.violations += ledger.fold(told.events)
        if told.state:
            report.violations += ledger.compare(told.state.waiting, told.state.slots)
            return ledger if not report.violations else await _begin(store, report.pool)
    return None
