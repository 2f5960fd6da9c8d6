"""What was executed where and when, as the code of the runs saw it; and what that may never show."""

from dataclasses import dataclass
from typing import Any

from workers.lease import Lease

from .processes import Process

PATIENCE = 0.5
"""Seconds; a run that does not want to end takes 0.3."""


@dataclass(eq=False)
class Execution:
    """One execution of a run under one claim; `end` is when its code was over, or its process."""

    run_id: str
    token: str
    process: Process
    lease: Lease
    start: float
    trusted_at_start: bool
    end: float | None = None
    trusted_until: float = 0.0

    def close(self, now: float) -> None:
        """Its code is over. It was trusted for as long as its worker's lease was."""
        if self.end is None:
            self.end = now
            self.trusted_until = min(now, now + self.lease.left) if self.trusted_at_start else self.start


class Ledger:
    """All executions. `withdrawn` are claims that the server took back as pushes which nobody confirmed, and when."""

    def __init__(self) -> None:
        self.executions: list[Execution] = []
        self.withdrawn: dict[tuple[str, str], float] = {}

    def died(self, process: Process, now: float) -> None:
        """All that ran in a process is over."""
        for execution in self.executions:
            if execution.process is process:
                execution.close(now)

    def overlaps(self) -> list[str]:
        """Two executions of one run at a time, both believed by their workers."""
        found = []
        by_run: dict[str, list[Execution]] = {}
        for execution in self.executions:
            by_run.setdefault(execution.run_id, []).append(execution)
        for run_id, executions in by_run.items():
            executions.sort(key=lambda execution: execution.start)
            for index, earlier in enumerate(executions):
                until = self._until(earlier)
                found += [
                    f"{run_id}: {earlier.process.name} until {until:.3f}, {later.process.name} from {later.start:.3f}"
                    for later in executions[index + 1 :]
                    if later.start < until and later.trusted_at_start
                ]
        return found

    def overtime(self) -> list[str]:
        """Executions that went on although their worker had long stopped to trust its lease, and was not stopped."""
        return [
            f"{each.run_id}: {each.process.name} until {each.end:.3f}, trusted until {each.trusted_until:.3f}"
            for each in self.executions
            if each.end is not None
            and each.end - each.trusted_until > PATIENCE + each.process.rested_in(each.trusted_until, each.end)
        ]

    def outlasting(self, ended: dict[str, float]) -> list[str]:
        """Executions that were believed while their run had ended already."""
        return [
            f"{each.run_id}: {each.process.name} until {self._until(each):.3f}, over at {ended[each.run_id]:.3f}"
            for each in self.executions
            if each.run_id in ended and each.trusted_at_start and self._until(each) > ended[each.run_id]
        ]

    def unexecuted(self, facts: dict[str, list[Any]]) -> list[str]:
        """Runs that are said to have completed or failed under a claim under which nothing was executed."""
        done = {(each.run_id, int(each.token)) for each in self.executions}
        return [
            f"{run_id} {row[0]} {row[1]} under {row[4]}"
            for run_id, row in facts.items()
            if row[0] in {"completed", "failed"} and row[4] and (run_id, row[4]) not in done
        ]

    def _until(self, execution: Execution) -> float:
        withdrawn = self.withdrawn.get((execution.run_id, execution.token), float("inf"))
        return min(execution.trusted_until, withdrawn)
