"""Typed workers execute runs: `functions = Functions()`, `@functions.register`, `sluice worker start --app m:f`.

The names of `__all__` are imported when they are first asked for: the child process of a run needs no Redis client.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .contract import Configuration, Outcome, WorkerType
    from .function import FunctionWorker
    from .functions import Functions
    from .process import ProcessConfiguration, ProcessWorker
    from .worker import Worker, WorkerOptions

__all__ = [
    "Configuration", "FunctionWorker", "Functions", "Outcome", "ProcessConfiguration", "ProcessWorker", "Worker",
    "WorkerOptions", "WorkerType",
]  # fmt: skip

_HOMES = {
    "Configuration": "contract", "FunctionWorker": "function", "Functions": "functions", "Outcome": "contract",
    "ProcessConfiguration": "process", "ProcessWorker": "process", "Worker": "worker", "WorkerOptions": "worker",
    "WorkerType": "contract",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    return found
