"""Letting the schedules of one pool act: each instant's run is published in the call that takes the schedule on.

A scheduler reads where the schedules are, computes what they do, and says both to the `fire` script: it acts only when
the schedule still is where it was read. Whoever comes second, or with a plan of an old document, changes nothing.
"""

from collections.abc import Iterable

from dispatcher import tracing
from dispatcher.client.deploying import draft_occurrence, finish_move
from dispatcher.clock import Clock
from dispatcher.deployments import Stored, name_of
from dispatcher.errors import InvalidInput, NotFound, SluiceError
from dispatcher.log import get_logger
from dispatcher.metrics import SCHEDULE_DELAY, SCHEDULES_FIRED, SCHEDULES_MISSED
from dispatcher.schedules import Schedule, plan
from dispatcher.spans import Span, begin_publish, published
from dispatcher.store import Agenda, Due, Fire, Store, WireRun
from dispatcher.store.deployments import AT_ONCE

RUNS_AT_ONCE = 200
AGAIN_SECONDS = 1.0
"""Until what was changed between two readings is looked at again."""
_log = get_logger("scheduler")


class Firing:
    """What the schedules of all pools do. Deployments are read once an edition."""

    def __init__(self, store: Store, clock: Clock, payload_limit: int) -> None:
        self._store, self._clock, self._limit = store, clock, payload_limit
        self._known: dict[tuple[str, str], Stored] = {}
        self._spans: dict[str, Span] = {}  # by run, until it is known whether they were published here
        self._odd: set[tuple[str, str, str]] = set()  # pool, schedule and edition of what cannot be read here

    async def fire_due(self, pool: str) -> float | None:
        """Let act what is due in a pool; seconds until the next is, None when none will be. Raises ServerError."""
        while True:
            agenda = await self._store.deployments.agenda(pool, AT_ONCE + len(self._odd))
            for slug, target in agenda.moving:
                await self._finish_move(pool, name_of(slug), target)
            until = agenda.now_ms + agenda.ahead_ms
            known = [each for each in agenda.schedules if (pool, each.member, each.edition) not in self._odd]
            due = [each for each in known if each.next_ms <= until]
            if not due:
                return (known[0].next_ms - until) / 1000 if known else None
            if not await self._fire(pool, due, agenda):
                return AGAIN_SECONDS

    async def _fire(self, pool: str, due: list[Due], agenda: Agenda) -> bool:
        """Whether to look again at once; not when all of them were elsewhere by the time they were read."""
        fires: list[Fire] = []
        odd = len(self._odd)
        for each in due:
            try:
                fire = await self._fire_of(pool, each, agenda)
            except (InvalidInput, ValueError, LookupError) as error:  # a newer release wrote it, or a zone is not here
                self._odd.add((pool, each.member, each.edition))
                _log.error("schedule.unreadable", pool=pool, schedule=each.member, error=str(error))
                continue
            if fire:
                fires.append(fire)
            if sum(len(fire.runs) for fire in fires) >= RUNS_AT_ONCE:
                break
        if not fires:
            return len(self._odd) > odd
        try:
            statuses = await self._store.deployments.fire(pool, fires)
        except BaseException:
            for fire in fires:
                self._end_spans(fire, "unknown")
            raise
        for fire, status in zip(fires, statuses, strict=True):
            self._tell(pool, fire, status, agenda.now_ms)
        return True

    async def _fire_of(self, pool: str, due: Due, agenda: Agenda) -> Fire | None:
        stored = await self._deployment(pool, due)
        schedule = stored and next((each for each in stored.document.schedules if each.id == due.id), None)
        if not stored or not schedule:
            return None
        prompt = schedule.model_copy(update={"jitter": 0.0})  # runs are published at once and are due by their jitter
        firing = plan(prompt, stored.name, due.next_ms, agenda.now_ms, agenda.ahead_ms)
        runs, failed = self._runs(stored, schedule, firing.instants)
        return Fire(due, firing.next_ms, firing.missed + failed, runs)

    def _runs(self, stored: Stored, schedule: Schedule, instants: Iterable[int]) -> tuple[list[WireRun], int]:
        """The runs of these instants; one that cannot be made is told and counted as missed."""
        runs: list[WireRun] = []
        failed = 0
        for instant in instants:
            try:
                runs.append(self._run(stored, schedule, instant))
            except InvalidInput as error:
                failed += 1
                _log.error("schedule.failed", deployment=stored.name, schedule=schedule.id, error=str(error))
        return runs, failed

    def _run(self, stored: Stored, schedule: Schedule, instant: int) -> WireRun:
        """The run of an instant, the first of a trace of its own."""
        if not tracing.is_on():
            return draft_occurrence(stored, schedule, instant, self._clock, self._limit)
        span = begin_publish(stored.pool, [{"queue": stored.document.queue}], is_root=True)
        run = draft_occurrence(stored, schedule, instant, self._clock, self._limit, traceparent=span.traceparent)
        span.say({**published(run.id), "sluice.deployment": stored.name, "sluice.schedule": schedule.id})
        self._spans[run.id] = span
        return run

    def _end_spans(self, fire: Fire, status: str) -> None:
        """End those of runs that were published; another scheduler published the others, and has theirs."""
        for run in fire.runs if self._spans else ():
            if (span := self._spans.pop(run.id, None)) and status == "fired":
                span.end()

    async def _deployment(self, pool: str, due: Due) -> Stored | None:
        stored = self._known.get((pool, due.slug))
        if stored is None or stored.edition != due.edition:
            stored = await self._store.deployments.get(pool, name_of(due.slug))
            if stored is None or stored.edition != due.edition:
                return None
            self._known[pool, due.slug] = stored
        return stored

    async def _finish_move(self, pool: str, name: str, target: str) -> None:
        try:
            await finish_move(self._store, pool, name)
        except NotFound as error:
            _log.warning("deployment.stuck_moving", deployment=name, pool=pool, target=target, error=str(error))
        except SluiceError as error:
            _log.warning("deployment.moving", deployment=name, pool=pool, target=target, error=str(error))
        else:
            _log.info("deployment.moved", deployment=name, pool=pool, target=target)

    def _tell(self, pool: str, fire: Fire, status: str, now_ms: int) -> None:
        self._end_spans(fire, status)
        if status == "stale":
            self._known.pop((pool, fire.due.slug), None)
        if status not in {"fired", "deleting"}:
            return
        if fire.runs and status == "fired":
            SCHEDULES_FIRED.labels(pool=pool).inc(len(fire.runs))
            SCHEDULE_DELAY.labels(pool=pool).observe(max(0, now_ms - fire.due.next_ms) / 1000)
        missed = fire.missed + (len(fire.runs) if status == "deleting" else 0)
        if missed:
            SCHEDULES_MISSED.labels(pool=pool).inc(missed)
            _log.warning("schedule.missed", pool=pool, schedule=fire.due.member, instants=missed)
