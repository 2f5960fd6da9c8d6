"""A history from its first call to its end: asked of, troubled, healed, drained; and what must hold then."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dispatcher import log
from scheduler.promotion import LONGEST_WAIT

from .faults import Faults
from .fleet import LEASE
from .story import Story
from .world import Broken, World

TROUBLED_SECONDS = 24.0
DRAIN_SECONDS = 60.0
PROMPT_SECONDS = 6.0
"""Until what is due is promoted; where the server's clock was set, a scheduler's timer has to run out first."""
RECLAIM_SECONDS = 2 * LEASE + 3.0
"""From healing on: a catalogue is read a second after a start, an unwatched lease counts anew from the first tick."""


@dataclass
class Told:
    """What became of a history."""

    history: str
    calls: int
    runs: int
    executions: int
    faults: dict[str, int]
    seconds: float


@contextmanager
def _logs_go_to(world: World) -> Iterator[None]:
    before = log._Configuration.level, log._Configuration.style, log._Configuration.stream
    log.configure_logging("error", "json", world)  # type: ignore[arg-type]
    try:
        yield
    finally:
        log._Configuration.level, log._Configuration.style, log._Configuration.stream = before
        log._apply()


def play(
    seed: int, show: Callable[[str], None] | None = None, *, faults: bool = True, only: Collection[str] = ()
) -> Told:
    """Play the history of a seed; raises AssertionError where something is wrong with it. `only` these faults."""
    world = World(seed, show)
    with _logs_go_to(world):
        try:
            return _play(world, Faults(world, only), faults=faults)
        finally:
            world.end()


def _play(world: World, trouble: Faults, *, faults: bool) -> Told:
    story = Story(world)
    story.begin()
    if faults:
        world.later(1.0, trouble.begin)
    world.go_on(TROUBLED_SECONDS)
    story.is_over = True
    trouble.heal()
    healed, model = world.loop.time(), world.server.model
    lively = {process.name.partition(".")[0] for process in world.processes.values()}
    for name in sorted(world.names() - lively):
        world.start(name)
    before = set(model.workers)
    world.until(lambda: not _dead(world, before), RECLAIM_SECONDS, "lost workers are known as lost")
    prompt = PROMPT_SECONDS + (LONGEST_WAIT if "jump" in trouble.seen else 0)
    world.until(lambda: not _overdue(world), prompt, "what is due is promoted")
    times = world.server.timetable
    world.until(lambda: not times.is_behind(world.server.now_ms()), prompt, "the schedule acts")
    times.is_open = False
    world.until(lambda: not (story.publishing() or world.network.on_their_way), 30, "all calls have come")
    world.until(lambda: not model.runs.open, DRAIN_SECONDS, "all runs are over")
    world.until(lambda: not story.unanswered(), 15, "who waits for a result has it")
    drained = world.loop.time() - healed
    _judge(world, story)
    _leave(world)
    return Told(world.history, world.calls, len(story.published), len(world.ledger.executions), trouble.seen, drained)


def _dead(world: World, before: set[str]) -> set[str]:
    """Workers of before whose process is gone, and that the server still knows."""
    alive = {worker.id for worker in world.fleet.workers.values()}
    return before & world.server.model.workers.keys() - alive


def _overdue(world: World) -> list[str]:
    """Runs whose time has come for more than two seconds."""
    runs = world.server.model.runs.open.values()
    return [run.id for run in runs if run.state == "scheduled" and run.due < world.server.now_ms() - 2000]


def _judge(world: World, story: Story) -> None:
    model = world.server.model
    missing = story.published - model.facts.keys()
    _must(not missing, f"published and not there: {missing}")
    unended = world.server.accepted - model.facts.keys()
    _must(not unended, f"accepted without an end: {unended}")
    wrong = {run_id: state for run_id, state in story.results.items() if model.facts[run_id][0] != state}
    _must(not wrong, f"clients were told another end: {wrong}")
    _must(not list(model.held()), f"slots are held by {list(model.held())}")
    _must(not model.due_members(), f"something is due: {model.due_members()}")
    lost = world.server.timetable.lost
    _must(not lost, f"instants of the schedule without a run, or with two: {lost}")
    late = world.ledger.overtime()
    _must(not late, f"executed without a lease: {late}")
    after = world.ledger.outlasting(world.ended)
    _must(not after, f"executed when the run was over: {after}")
    unexecuted = world.ledger.unexecuted(model.facts)
    _must(not unexecuted, f"over without being executed: {unexecuted}")
    overlaps = world.ledger.overlaps()
    _must(not overlaps, f"executed twice at a time: {overlaps}")


def _leave(world: World) -> None:
    """Workers that are stopped leave nothing of themselves."""
    for name in sorted(world.names()):
        if name.startswith("worker"):
            world.keep_out(name)
            if name in world.processes:
                world.fleet.workers[name].stop()
    world.until(lambda: not world.server.model.workers, RECLAIM_SECONDS, "no worker is left")
    inboxes = [key for key in world.server.mail.streams if ":inbox:" in key]
    _must(not inboxes, f"inboxes are left: {inboxes}")


def _must(truth: object, message: str) -> None:
    if not truth:
        raise Broken(message)
