"""The spans of runs, where OpenTelemetry is at work: from the hand-off to the end of a claim.

What a run was handed waits in its publisher's trace, `admit`; that it runs is a trace of its own that links there, or
goes on in it. No run fails for want of its span.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from dispatcher import codec, tracing
from dispatcher.errors import InvalidInput
from dispatcher.ids import published_at_ms
from dispatcher.log import get_logger
from dispatcher.models import HandOff, RunSpec
from dispatcher.spans import begin, published

from .assistance import Place
from .contract import Outcome
from .holding import Held

_RELEASED = Outcome("released")
"""No end of a run: its task is over, another worker adopts it."""
_FAILURES = frozenset({"failed", "crashed", "lost", "retry"})
_log = get_logger("worker")


class RunSpans:
    """Begins and ends the span of each claim of one session. Its queue is known to a worker that takes but one."""

    def __init__(self, place: Place, queues: Sequence[str], *, is_child: bool) -> None:
        self._is_child = is_child
        pool, worker = place
        self._facts = {"sluice.pool": pool, "sluice.worker": worker, "messaging.client.id": worker}
        self._facts["messaging.destination.name"] = pool
        if len(queues) == 1:
            self._facts |= {"messaging.destination.name": f"{pool}/{queues[0]}", "sluice.queue": queues[0]}

    def begin(self, held: Held, run: HandOff) -> None:
        """Begin it, and make it the current one of this task. Nothing when OpenTelemetry is not at work."""
        if not tracing.is_on():
            return
        try:
            self._begin(held, run)
        except Exception as error:  # noqa: BLE001 - see the head of this file
            _log.warning("trace.failed", run_id=run.id, error=str(error))

    def _begin(self, held: Held, run: HandOff) -> None:
        spec = _spec(run)
        facts = {**self._facts, **published(run.id), "sluice.attempt": run.attempt, **_said(spec)}
        self._admitted(run, spec)
        held.span = begin(
            f"run {_name(spec)}", "CONSUMER",
            {**facts, "messaging.operation.name": "run", "messaging.operation.type": "process"},
            parent=spec.traceparent if self._is_child else None, is_root=True,
            link=None if self._is_child else spec.traceparent,
        )  # fmt: skip
        held.span.enter()
        if task := asyncio.current_task():
            task.add_done_callback(lambda _: self.end(held, _RELEASED))

    def _admitted(self, run: HandOff, spec: RunSpec) -> None:
        """How long it waited, by its id and its claim. Of later claims than the first nobody knows since when."""
        since = max(_published_ms(run.id), spec.at or 0)
        until = int(run.token or 0)
        if not spec.traceparent or run.attempt > 1 or run.crashes or run.infrastructure or not 0 < since <= until:
            return
        facts = {**self._facts, **published(run.id), "messaging.operation.name": "admit"}
        begin("admit", "INTERNAL", facts, parent=spec.traceparent, at_ms=since).end(until)

    def end(self, held: Held, outcome: Outcome) -> None:
        """It is over, and how; nothing the second time."""
        span, held.span = held.span, None
        if span is None:
            return
        try:
            span.say({"sluice.outcome": outcome.outcome})
            if outcome.outcome in _FAILURES and span.is_recording:
                span.fail(*_failure(outcome))
            span.end()
        except Exception as error:  # noqa: BLE001 - see the head of this file
            _log.warning("trace.failed", run_id=held.run.id, error=str(error))


def _spec(run: HandOff) -> RunSpec:
    """What it says; a spec that cannot be read has a span all the same, its type will tell."""
    try:
        return codec.decode_spec(run.spec)
    except (InvalidInput, TypeError, ValueError):
        return RunSpec()


def _name(spec: RunSpec) -> str:
    """Of few different ones: names of spans are grouped by."""
    if isinstance(spec.command, str):
        return spec.deployment or "script"
    program = spec.command[0].rpartition("/")[2] if spec.command else ""
    return spec.deployment or spec.function or spec.entrypoint or program or "unknown"


def _said(spec: RunSpec) -> dict[str, Any]:
    said = {
        "sluice.deployment": spec.deployment, "sluice.schedule": spec.schedule, "sluice.parent": spec.parent,
        "sluice.name": spec.name,
    }  # fmt: skip
    return {name: value for name, value in said.items() if value}


def _published_ms(run_id: str) -> int:
    try:
        return published_at_ms(run_id)
    except ValueError:
        return 0


def _failure(outcome: Outcome) -> tuple[str, str, str]:
    """Type, text and traceback of how it failed."""
    reason = outcome.outcome if outcome.outcome == "retry" else outcome.argument or outcome.outcome
    try:
        said = codec.unpack(outcome.result)
    except InvalidInput:
        said = None
    if not isinstance(said, dict):
        return reason, "", ""
    return str(said.get("type") or reason), str(said.get("error") or ""), str(said.get("traceback") or "")
