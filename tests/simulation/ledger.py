"""What was executed where and when, as the code of the runs saw it; and what that may never show."""

from dataclasses import dataclass

from workers.lease import Lease

from .processes import Process


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

    def _until(self, execution: Execution) -> float:
        withdrawn = self.withdrawn.get((execution.run_id, execution.token), float("inf"))
        return min(execution.trusted_until, withdrawn)
