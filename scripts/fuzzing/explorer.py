"""Decoders under atheris, one after the other: `python -m fuzzing.explorer '{"targets": [[NAME, FOLDER, RUNS], ...]}'`.

Each is tried in a fork of this process: atheris ends the process itself, whatever came of it, and counting branches
takes seconds of imports. What a fork did stands in its folder: `trial`, `log`, and `exit`, which we write. Inputs are
made by libFuzzer and by our own mutations, and are kept where they reach code that none before them reached.
"""

import json
import os
import random
import sys
import time
import zlib
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import atheris

from fuzzing.mutating import mutated
from fuzzing.trial import LONGEST, Trial

OWN = 0.1
"""The share of our own mutations. libFuzzer does several steps in a row, and most of ours break what was reached."""
GUIDED_BY = ("dispatcher", "workers", "yaml")
"""Packages whose branches are counted. msgpack and json are C and cannot be."""


class Fault(Exception):
    """An input did what none may."""


class Explorer:
    """Tries what atheris hands it."""

    def __init__(self, target: Any, trial: Trial, slow_seconds: float) -> None:
        self._target, self._trial, self._slow = target, trial, slow_seconds

    def attempt(self, data: bytes) -> None:
        """Read it once. Raises Fault, which ends the process."""
        self._trial.begin(data)
        began, is_read = time.process_time(), False
        try:
            self._target.read(data)
            is_read = True
        except self._target.errors:
            pass
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            self._fail(f"{type(error).__name__} {error}", error)
        took = time.process_time() - began
        if took > self._slow:
            self._fail(f"{took:.1f} s for {len(data):,} bytes", None)
        self._trial.end(took, is_read=is_read)

    def mutate(self, data: bytes, longest: int, seed: int) -> bytes:
        """The next input, made of one that was kept."""
        chance = random.Random(seed)
        if chance.random() < OWN:
            return mutated(chance, [data])[:longest]
        made: bytes = atheris.Mutate(data, longest)
        return made

    def _fail(self, words: str, cause: BaseException | None) -> None:
        self._trial.fail(words)
        raise Fault(words) from cause


def main(given: dict[str, Any]) -> None:
    """Try so many inputs on each target."""
    with atheris.instrument_imports(include=[*GUIDED_BY, given["source"]]):
        targets = {target.name: target for target in import_module(given["source"]).TARGETS}
    for name, folder, runs in given["targets"]:
        pid = os.fork()
        if not pid:
            _explore(targets[name], Path(folder), runs, given)
        _, status = os.waitpid(pid, 0)
        (Path(folder) / "exit").write_text(str(os.waitstatus_to_exitcode(status)))


def _explore(target: Any, folder: Path, runs: int, given: dict[str, Any]) -> NoReturn:
    os.chdir(folder)
    log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    explorer = Explorer(target, Trial(Path("trial")), given["slow_seconds"])
    seed = 1 + zlib.crc32(f"{given['seed']}/{target.name}".encode()) % 2_000_000_000  # 0 would be another each time
    words = [
        f"-runs={runs}", f"-seed={seed}", f"-timeout={given['hang_seconds']}", f"-max_total_time={given['seconds']}",
        f"-max_len={LONGEST}", "-len_control=0", "-rss_limit_mb=1024", "-artifact_prefix=libfuzzer-", "-reload=0",
        "corpus",
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], *words], explorer.attempt, custom_mutator=explorer.mutate)
    atheris.Fuzz()
    os._exit(3)  # it does not come here


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
