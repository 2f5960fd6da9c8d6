"""The run: so many inputs, drawn from a seed, and what came of them."""

import random
import resource
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from fuzzing.mutating import mutated
from fuzzing.target import Target
from fuzzing.targets import TARGETS

SLOW_SECONDS = 2.0
"""Of the process's CPU, for one input."""
_SHOWN = 400


@dataclass
class Report:
    """What came of it. `faults` has a line for each input that did what none may."""

    inputs: int = 0
    seconds: float = 0.0
    accepted: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    slowest: tuple[float, str] = (0.0, "")
    grown_mb: float = 0.0
    reached: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Where it was guided: branches of a target that its seeds reach, and that were reached in the end."""
    faults: list[str] = field(default_factory=list)


def fuzz(inputs: int, seed: int, targets: Sequence[Target] = TARGETS) -> Report:
    """Try so many inputs on the targets, by their weights. The same seed tries the same inputs."""
    chance, report = random.Random(seed), Report(inputs)
    weights = [target.weight for target in targets]
    before, began = _memory_mb(), time.perf_counter()
    for _ in range(inputs):
        target = chance.choices(targets, weights)[0]
        _try(target, mutated(chance, target.seeds), report)
        if len(report.faults) >= 10:
            break
    report.seconds = time.perf_counter() - began
    report.grown_mb = _memory_mb() - before
    return report


def retry(target: Target, data: bytes) -> Report:
    """Try one input again: a finding."""
    report = Report(1)
    _try(target, data, report)
    return report


def _try(target: Target, data: bytes, report: Report) -> None:
    began = time.process_time()
    try:
        target.read(data)
        report.accepted[target.name] += 1
    except target.errors:
        report.refused[target.name] += 1
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        report.faults.append(f"{target.name}: {type(error).__name__} {error}"[:_SHOWN] + f" for {data[:_SHOWN]!r}")
    took = time.process_time() - began
    if took > report.slowest[0]:
        report.slowest = (took, target.name)
    if took > SLOW_SECONDS:
        report.faults.append(f"{target.name}: {took:.1f} s for {len(data):,} bytes, {data[:_SHOWN]!r}")


def _memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
