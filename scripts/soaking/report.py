"""What came of a soak, as lines of a table."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from .judge import states
from .load import POOL, POOL_LIMIT, PROCESS_LIMIT, PROCESSES
from .soak import Options, Outcome, shorten
from .timetable import GROUPS, NOT_OF


@dataclass(frozen=True)
class Line:
    """One promise: what was seen, what is allowed, whether it holds. A measurement promises nothing and holds."""

    what: str
    seen: str
    promised: str = ""
    holds: bool = True


def lines(outcome: Outcome, options: Options) -> list[Line]:
    """Everything that was done, then what was measured, then what was promised."""
    return [
        Line("seed, seconds, server", f"{options.seed}, {options.duration:g}, {_server(outcome, options)}"),
        *_faults(outcome, options),
        *_runs(outcome),
        *_recovery(outcome, options),
        *_promises(outcome),
    ]


def _server(outcome: Outcome, options: Options) -> str:
    return outcome.server.program.kind + " by sentinels" * (options.topology == "sentinel") + ", TLS" * options.tls


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{what} {count}" for what, count in sorted(counts.items())) or "none"


def _faults(outcome: Outcome, options: Options) -> Iterator[Line]:
    groups = {name: kinds.keys() - NOT_OF[options.topology] for name, kinds in GROUPS.items()}
    for group, kinds in groups.items():
        if not kinds:
            continue
        counts = Counter({kind: outcome.faults.done[kind] for kind in kinds if outcome.faults.done[kind]})
        yield Line(f"faults: {group}", _counted(counts))
    if outcome.faults.missed:
        yield Line("faults that met no server", _counted(outcome.faults.missed))
    deaths = Counter(member.role for member in outcome.crew.members.values() for _ in member.deaths)
    yield Line("processes that ended", _counted(deaths))
    away = [until - begin for begin, until in outcome.server.outages]
    yield Line("server away", f"{len(away)} times, {sum(away):.1f} s, longest {max(away, default=0):.1f} s")


def _runs(outcome: Outcome) -> Iterator[Line]:
    journals, told = outcome.journals, sum((observer.counts for observer in outcome.observers), Counter[str]())
    yield Line("runs asked for, acknowledged", f"{len(journals.asked)}, {len(journals.acknowledged)}")
    yield Line("refused to publishers", _counted(journals.refused))
    yield Line("runs by state", _counted(states(outcome.observers)))
    requeued = Counter({what: count for what, count in told.items() if what.startswith("requeued")})
    yield Line("taken back", _counted(requeued))
    yield Line(
        "admitted, started, started again", f"{told['admitted']}, {outcome.verdict.starts}, {outcome.verdict.again}"
    )
    yield Line("parents that were told, suspensions", f"{outcome.verdict.parents}, {told['suspended']}")
    stale = outcome.verdict.overlaps
    yield Line("ran on beside the next claim", f"{stale}, without a freeze {outcome.verdict.unexplained}")


def _recovery(outcome: Outcome, options: Options) -> Iterator[Line]:
    recovery = outcome.recovery
    if outcome.server.failovers:
        yield Line("claims that died with their master", str(outcome.verdict.died))
    yield Line("runs of workers that died", f"{recovery.runs}, longest until taken back {recovery.taken_back:.2f} s")
    allowed = options.lease + 1.0
    seen = f"{recovery.quiet_taken_back:.2f} s, elsewhere {recovery.quiet_elsewhere:.2f} s"
    yield Line("of those, nothing else was hurt", seen, f"<= {allowed:g} s", recovery.quiet_taken_back <= allowed + 1.5)
    drained = outcome.drained_in
    yield Line("drained after", f"{drained:.1f} s" if drained >= 0 else "never", "all of it", drained >= 0)


def _promises(outcome: Outcome) -> Iterator[Line]:
    verdict = outcome.verdict
    for pool, limit in ((POOL, POOL_LIMIT), (PROCESSES, PROCESS_LIMIT)):
        most = verdict.highest.get(f"{pool} pool", 0)
        yield Line(f"most at once, {pool}", str(most), f"<= {limit}", most <= limit)
    for what, found in (("lost", verdict.lost), ("doubled", verdict.doubled), ("over a limit", verdict.over)):
        yield Line(what, str(len(found)), "0", not found)
    violations = [*outcome.audit.faults, *(said for observer in outcome.observers for said in observer.violated)]
    looks = f"{len(violations)} in {outcome.audit.looks} looks and all events"
    yield Line("violations found by the audit", looks, "0", not violations)
    others = shorten(verdict.others, 1) if verdict.others else "nothing"
    yield Line("anything else", others[:60], "nothing", not verdict.others)


def table(found: list[Line]) -> str:
    """The lines as text."""
    widths = [max(len(getattr(line, name)) for line in found) for name in ("what", "seen", "promised")]
    rows = [
        f"  {line.what:<{widths[0]}}  {line.seen:<{widths[1]}}  {line.promised:<{widths[2]}}  "
        + ("BROKEN" if not line.holds else "holds" if line.promised else "")
        for line in found
    ]
    return "\n".join(row.rstrip() for row in rows)
