"""What came of it, as lines of a table."""

from dataclasses import dataclass

from scenario import POOL_LIMIT, SLOTS, TENANT_LIMIT, Seen

WELL = ("completed", "")
JOBS = ("dispatcher", "scheduler", "worker")


@dataclass(frozen=True)
class Line:
    """One promise: what was seen, what is allowed, whether it holds. A measurement promises nothing and holds."""

    what: str
    seen: str
    promised: str = ""
    holds: bool = True


def lines(seen: Seen, runs: int) -> list[Line]:
    """Everything that was promised, then what was measured."""
    scraped = ", ".join(f"{seen.scraped.get(job, 0)} {job}" for job in JOBS)
    return [
        *_runs(seen, runs),
        *_limits(seen),
        *(Line(f"waiting before: {what}", str(runs), "> 0", runs > 0) for what, runs in seen.waiting.items()),
        Line("refused to a user of the server", seen.refused or "nothing", "nothing", not seen.refused),
        Line("a run as a container of its own", seen.container or "not tried", "completed", seen.container in WELL),
        Line("scraped by Prometheus", scraped, "one of each", all(seen.scraped.get(job, 0) for job in JOBS)),
        Line("from the kill to its runs' start elsewhere", f"{seen.recovery_seconds:.1f} s"),
        Line("image", f"{seen.image_bytes / 1e6:.0f} MB, built in {seen.image_seconds:.1f} s"),
        Line("from up to the end of the first run", f"{seen.first_seconds:.1f} s"),
    ]


def _runs(seen: Seen, runs: int) -> list[Line]:
    ended = seen.notes.ended
    lost = seen.published - len(ended)
    twice = sum(times > 1 for times in ended.values())
    again = seen.notes.started_again()
    return [
        Line("runs published", str(seen.published), str(runs), seen.published == runs),
        Line("runs that ended", str(len(ended)), str(runs), len(ended) == runs),
        Line("lost", str(max(lost, 0)), "0", lost <= 0),
        Line("that nobody published", str(max(-lost, 0)), "0", lost >= 0),
        Line("ended twice", str(twice), "0", twice == 0),
        Line("in the killed worker's hands", str(len(seen.held)), "> 0", bool(seen.held)),
        Line("of them started elsewhere", str(len(seen.held & again)), str(len(seen.held)), seen.held <= again),
        Line("others started twice", str(len(again - seen.held)), "0", not again - seen.held),
        Line("containers that executed runs", str(len(seen.notes.hosts())), ">= 3", len(seen.notes.hosts()) >= 3),
    ]


def _limits(seen: Seen) -> list[Line]:
    def line(what: str, most: int, limit: int) -> Line:
        return Line(f"most at once, {what}", str(most), f"<= {limit}", 0 < most <= limit)

    notes = seen.notes
    tenants = sorted({note.tenant for note in notes.all})
    busiest = max((notes.most_at_once(lambda note, t=tenant: note.tenant == t) for tenant in tenants), default=0)
    killed_ns = {seen.killed: seen.killed_ns}
    fullest = max((notes.most_in(host, killed_ns.get(host, 0)) for host in notes.hosts()), default=0)
    return [
        line("pool", notes.most_at_once(), POOL_LIMIT),
        line("one tenant", busiest, TENANT_LIMIT),
        line("one worker", fullest, SLOTS),
    ]


def table(found: list[Line]) -> str:
    """The lines as text."""
    widths = [max(len(getattr(line, name)) for line in found) for name in ("what", "seen", "promised")]
    rows = [
        f"  {line.what:<{widths[0]}}  {line.seen:<{widths[1]}}  {line.promised:<{widths[2]}}  "
        + ("BROKEN" if not line.holds else "holds" if line.promised else "")
        for line in found
    ]
    return "\n".join(row.rstrip() for row in rows)
