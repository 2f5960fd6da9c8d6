"""Guided fuzzing: one child a decoder, which atheris leads to code that was not reached; and what came of each."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fuzzing.running import SLOW_SECONDS, Report
from fuzzing.target import Target
from fuzzing.targets import TARGETS
from fuzzing.trial import Trial

HANG_SECONDS = 60
"""On the wall, for one input: what never ends uses no more CPU than what waits."""
_COVERED = re.compile(r"^#\d+\s+(\w+)\s+cov: (\d+)", re.MULTILINE)


class Unguided(Exception):
    """There is no atheris here; the message says where there is."""


@dataclass(frozen=True)
class Campaign:
    """So many inputs on the targets of a module, by their weights; `seconds` bound each target, 0 does not."""

    folder: Path
    inputs: int
    seed: int
    seconds: int = 0
    targets: Sequence[Target] = TARGETS
    source: str = "fuzzing.targets"
    hang_seconds: int = HANG_SECONDS

    def run(self) -> Report:
        """Try them all; a target that fails does not keep the others from being tried. Raises Unguided."""
        if importlib.util.find_spec("atheris") is None:
            raise Unguided(
                "atheris is not installed: there are builds of it for CPython 3.11 to 3.13 on Linux x86-64. "
                "Without --guided the same decoders are tried."
            )
        report, began = Report(), time.perf_counter()
        for target in self.targets:
            self._prepare(target)
        self._explore()
        for target in self.targets:
            self._read(target, report)
        report.seconds = time.perf_counter() - began
        return report

    def _folder(self, target: Target) -> Path:
        return self.folder / re.sub(r"\W+", "-", target.name)

    def _prepare(self, target: Target) -> None:
        folder = self._folder(target)
        corpus = folder / "corpus"
        corpus.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(target.seeds):
            (corpus / f"seed-{number}").write_bytes(seed)
        for left in ("trial", "log", "exit", "finding"):
            (folder / left).unlink(missing_ok=True)

    def _read(self, target: Target, report: Report) -> None:
        folder = self._folder(target)
        log, code = _text(folder / "log") or _text(self.folder / "explorer.log"), _text(folder / "exit") or "none"
        with Trial(folder / "trial") as trial:
            report.inputs += trial.tried
            report.accepted[target.name] += trial.read
            report.refused[target.name] += trial.refused
            report.slowest = max(report.slowest, (trial.slowest_us / 1_000_000, target.name))
            if fault := _fault(trial, code, log):
                report.faults.append(f"{target.name}: {fault}{_kept(target, trial, folder)}")
        covered = {word: int(edges) for word, edges in _COVERED.findall(log)}
        report.reached[target.name] = (covered.get("INITED", 0), max(covered.values(), default=0))

    def _explore(self) -> None:
        """Let a child try them all; how it ends says nothing."""
        weights = sum(target.weight for target in self.targets)
        shares = [-(-self.inputs * target.weight // weights) for target in self.targets]
        folders = [str(self._folder(target)) for target in self.targets]
        given = {
            "source": self.source, "seed": self.seed, "seconds": self.seconds, "hang_seconds": self.hang_seconds,
            "slow_seconds": SLOW_SECONDS,
            "targets": list(zip([target.name for target in self.targets], folders, shares, strict=True)),
        }  # fmt: skip
        command = [sys.executable, "-m", "fuzzing.explorer", json.dumps(given)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        with (self.folder / "explorer.log").open("wb") as log:
            subprocess.run(
                command, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False
            )


def _kept(target: Target, trial: Trial, folder: Path) -> str:
    """Keep the input that did it, if one did; how it is tried again."""
    if not (trial.words or trial.is_busy):
        return ""
    (folder / "finding").write_bytes(trial.data)
    return f"; again by scripts/fuzz --only '{target.name}' --input {folder / 'finding'}"


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def _fault(trial: Trial, code: str, log: str) -> str:
    """'' only where libFuzzer says that it came to its end, and no input was open then."""
    if trial.words:
        return trial.words
    if trial.is_busy:
        return f"its process ended with code {code} while it read"
    if code != "0" or not re.search(r"^Done \d+ runs in \d+ second", log, re.MULTILINE):
        return f"its process ended with code {code} after {trial.tried:,} inputs:\n{log[-2000:]}"
    return ""
