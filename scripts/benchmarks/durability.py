"""What the levels of durability cost a publish: each on a server of its own, set as the level wants it."""

import os
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

from benchmarks.harness import Context, Result, measurement
from benchmarks.machine import Server

LEVELS = ("fast", "fsync", "replicated")
_RUNS = {"one": 1_000, "at-once": 5_000, "bulk": 20_000}
_UNCOUNTED = 200
_FSYNCS, _WRITTEN = 100, b"x" * 300  # about what a run adds to the file


def durability(context: Context) -> Result:
    """Publish at each level of durability, as in `publish`: publishes a second, and how many times slower than fast."""
    result: Result = {"disk_fsync_us": _fsync_us()}
    for level in LEVELS:
        with _server_for(context, level) as fresh:
            fresh.start(f"publish-{level}", mode="one", runs=_UNCOUNTED).result()  # the services begin meanwhile
            for mode in context.contender.modes:
                runs = context.scale(_RUNS[mode])
                per_s = fresh.start(f"publish-{level}", mode=mode, runs=runs).result()["per_s"]
                result[f"{level}_{mode}_per_s"] = per_s
                if level != "fast":
                    result[f"{level}_{mode}_times"] = result[f"fast_{mode}_per_s"] / per_s
    return result


@contextmanager
def _server_for(context: Context, level: str) -> Generator[Context, None, None]:
    """All write an append-only file, each second but for `fsync`; `replicated` has one replica, which does so too."""
    with measurement(context.contender, replace(context.setting, aof=True)) as fresh:
        if level == "fsync":
            fresh.server.set("appendfsync", "always")
        if level == "replicated":
            fresh.stack.enter_context(Server(aof=True)).follow(fresh.server)
        yield fresh


def _fsync_us() -> float:
    """Microseconds that a small write and its fsync take where the servers keep their files."""
    took = []
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        file = os.open(Path(folder) / "file", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        for _ in range(_FSYNCS):
            began = time.monotonic()
            os.write(file, _WRITTEN)
            os.fdatasync(file)
            took.append(time.monotonic() - began)
        os.close(file)
    return median(took) * 1e6
