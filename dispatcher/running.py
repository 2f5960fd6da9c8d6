"""What the code of a run may know, say and ask: `from dispatcher import context`.

The same object for every kind of worker. It finds the run that is being executed here, and talks to its worker through
a Backend: in the worker's own process directly, in a child process over an inherited socket. Code that runs outside a
worker gets NoRun.

`await context.publish(...)` is for async code; `context.blocking.publish(...)` is the same for plain code.
"""

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol, TypeAlias, TypeVar

from . import tracing
from .clock import SystemClock
from .errors import NoRun, RunFailed
from .models import Published, RunState
from .spans import begin_publish

AT_ONCE = 500
T = TypeVar("T")
Child: TypeAlias = tuple[str | None, Mapping[str, Any] | None, Mapping[str, Any]]


class Backend(Protocol):
    """The way from a run's code to its worker. Thread-safe."""

    def tell(self, verb: str, *words: Any) -> None:
        """Say something that needs no answer: `log` (level, text) or `progress` (share or None, text)."""
        ...

    def ask(self, verb: str, *words: Any) -> "Future[Any]":
        """Ask for something; the future raises what the call raised.

        `publish` (pool or None, [[function, parameters, options], ...]) gives [[id, is new], ...];
        `wait` ([[pool, id], ...], timeout or None, keep slots) gives [[state, reason, result or error], ...].
        """
        ...


@dataclass(frozen=True)
class RunView:
    """A claim as its code sees it. `deadline_ms` is the epoch time at which it is timed out, None for never."""

    run_id: str
    pool: str
    claim_token: int
    attempt: int
    parameters: Mapping[str, Any]
    deadline_ms: int | None
    backend: Backend
    traceparent: str | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)


_current: ContextVar[RunView | Callable[[], RunView]] = ContextVar("sluice_run")
_of_process: list[RunView] = []


def enter(view: RunView | Callable[[], RunView]) -> None:
    """Make it the run of the current task or thread, and of what these start; a callable makes it when it is wanted."""
    _current.set(view)


def enter_process(view: RunView) -> None:
    """Make it the run of this whole process, also of threads that the user's code starts."""
    _of_process[:] = [view]


def current() -> RunView:
    """The run that is executed here. Raises NoRun."""
    found = _current.get(None) or (_of_process[0] if _of_process else None)
    if found is None:
        raise NoRun
    return found if isinstance(found, RunView) else found()


class RunLogger:
    """Lines of the run's own log: time, level, text. What a line says beside its text are fields, `name=value`."""

    def debug(self, text: str, **fields: object) -> None:
        """Say what only a developer wants to know."""
        _log("debug", text, fields)

    def info(self, text: str, **fields: object) -> None:
        """Say what happened."""
        _log("info", text, fields)

    def warning(self, text: str, **fields: object) -> None:
        """Say what somebody should look at."""
        _log("warning", text, fields)

    def error(self, text: str, **fields: object) -> None:
        """Say what failed."""
        _log("error", text, fields)


def _log(level: str, text: str, fields: Mapping[str, object]) -> None:
    words = [str(text), *(f"{name}={value}" for name, value in fields.items())]
    current().backend.tell("log", level, " ".join(words))


class Context:
    """The run that is being executed here. Every property raises NoRun outside a run."""

    def __init__(self) -> None:
        self.logger = RunLogger()
        self.blocking = BlockingContext()

    @property
    def run_id(self) -> str:
        """Its id, the same for all attempts."""
        return current().run_id

    @property
    def claim_token(self) -> int:
        """The number of this claim: it only grows, so a store can refuse writes of an older one."""
        return current().claim_token

    @property
    def attempt(self) -> int:
        """1 for the first."""
        return current().attempt

    @property
    def parameters(self) -> Mapping[str, Any]:
        """As published."""
        return current().parameters

    @property
    def traceparent(self) -> str | None:
        """The W3C trace context to hand on: that of the current span with OpenTelemetry, else what it was given."""
        return tracing.here(current().traceparent)

    @property
    def deadline(self) -> datetime | None:
        """When it will be timed out; None when it has no timeout."""
        at = current().deadline_ms
        return None if at is None else datetime.fromtimestamp(at / 1000, UTC)

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody asked it to end. Async code is cancelled besides; plain code should ask now and then."""
        return current().cancelled.is_set()

    def progress(self, share: float | None = None, text: str = "") -> None:
        """Tell how far it is, 0 to 1, and in a few words what it does; what is said too often is thinned out."""
        current().backend.tell("progress", share, text)

    async def publish(
        self, function: str | None = None, parameters: Mapping[str, Any] | None = None, /, *, pool: str | None = None,
        **options: Any,
    ) -> Published:  # fmt: skip
        """Publish a child: options as Client.publish. Raises ClaimLost when this claim is over or asked to end."""
        return (await asyncio.wrap_future(_publish(pool, [(function, parameters, options)])))[0]

    async def result(
        self, run: Published | str, timeout: float | None = None, *, pool: str | None = None, keep_slots: bool = False
    ) -> Any:
        """The result of a run, a child or any other. While it waits, this run gives its slots back unless told to keep.

        It goes on when it has them again, before any run that is queued. Raises RunFailed, ResultTimeout, RunNotFound.
        """
        return (await asyncio.wrap_future(_results([_known(run, pool)], timeout, keep_slots=keep_slots)))[0]

    async def map(
        self, function: str, items: Iterable[Mapping[str, Any]], /, *, timeout: float | None = None, **options: Any
    ) -> list[Any]:
        """The results of a function for each of these parameters, in order; AT_ONCE children are published at a time.

        Raises RunFailed for the first that failed, once those beside it are over; ResultTimeout `timeout` seconds after
        the call: children that run then go on.
        """
        found: list[Any] = []
        left = _time_left(timeout)
        for part in _parts(function, items, options):
            runs = await asyncio.wrap_future(_publish(None, part))
            ends = await asyncio.wrap_future(_results(runs, left(), keep_slots=False))
            found += ends
        return found


class BlockingContext:
    """The calls of Context for code without an event loop."""

    def publish(
        self, function: str | None = None, parameters: Mapping[str, Any] | None = None, /, *, pool: str | None = None,
        **options: Any,
    ) -> Published:  # fmt: skip
        """As Context.publish."""
        return _publish(pool, [(function, parameters, options)]).result()[0]

    def result(
        self, run: Published | str, timeout: float | None = None, *, pool: str | None = None, keep_slots: bool = False
    ) -> Any:
        """As Context.result."""
        return _results([_known(run, pool)], timeout, keep_slots=keep_slots).result()[0]

    def map(
        self, function: str, items: Iterable[Mapping[str, Any]], /, *, timeout: float | None = None, **options: Any
    ) -> list[Any]:
        """As Context.map."""
        found: list[Any] = []
        left = _time_left(timeout)
        for part in _parts(function, items, options):
            runs = _publish(None, part).result()
            found += _results(runs, left(), keep_slots=False).result()
        return found


context = Context()


def _publish(pool: str | None, children: Sequence[Child]) -> "Future[list[Published]]":
    run = current()
    span = begin_publish(pool or run.pool, [options for *_, options in children]) if tracing.is_on() else None
    trace = (span and span.traceparent) or run.traceparent
    rows = [[function, dict(parameters or {}), _traced(options, trace)] for function, parameters, options in children]

    def published(answer: list[list[Any]]) -> list[Published]:
        return [Published(run_id, pool or run.pool, is_new=is_new) for run_id, is_new in answer]

    asked = run.backend.ask("publish", pool, rows)
    if span:
        asked.add_done_callback(span.end_of)
    return _then(asked, published)


def _traced(options: Mapping[str, Any], trace: str | None) -> dict[str, Any]:
    return {**options, "traceparent": options.get("traceparent") or trace} if trace else dict(options)


def _results(runs: Sequence[Published], timeout: float | None, *, keep_slots: bool) -> "Future[list[Any]]":
    def results(ends: list[list[Any]]) -> list[Any]:
        return [_result(run.id, *end) for run, end in zip(runs, ends, strict=True)]

    return _then(current().backend.ask("wait", [[run.pool, run.id] for run in runs], timeout, keep_slots), results)


def _result(run_id: str, state: str, reason: str, result: Any) -> Any:
    if state != RunState.COMPLETED:
        raise RunFailed(run_id, state, reason, str(result or ""))
    return result


def _known(run: Published | str, pool: str | None) -> Published:
    return run if isinstance(run, Published) else Published(run, pool or current().pool, is_new=False)


def _parts(function: str, items: Iterable[Mapping[str, Any]], options: dict[str, Any]) -> Iterator[list[Child]]:
    rest = iter(items)
    while part := list(itertools.islice(rest, AT_ONCE)):
        yield [(function, parameters, options) for parameters in part]


def _time_left(timeout: float | None) -> Callable[[], float | None]:
    clock = SystemClock()
    end = clock.monotonic() + (timeout or 0)
    return lambda: None if timeout is None else max(0.0, end - clock.monotonic())


def _then(future: "Future[Any]", change: Callable[[Any], T]) -> "Future[T]":
    """A future of what `change` makes of the answer."""
    changed: Future[T] = Future()

    def done(answered: "Future[Any]") -> None:
        if not changed.set_running_or_notify_cancel():
            return
        try:
            changed.set_result(change(answered.result()))
        except BaseException as error:  # noqa: BLE001 - it is the waiting code's
            changed.set_exception(error)

    future.add_done_callback(done)
    changed.add_done_callback(lambda given_up: given_up.cancelled() and future.cancel())
    return changed
