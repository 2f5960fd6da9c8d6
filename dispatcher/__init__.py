"""Sluice: publish runs, hold them back by pools, queues, limits and priorities, execute them on typed workers.

The names of `__all__` are imported when they are first asked for: a command must not wait for a Redis client.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client import BlockingClient, Client, Publish, RunOptions
    from .deployments import Deployment
    from .errors import (
        ClaimLost,
        Conflict,
        DecodeError,
        DeploymentExists,
        DeploymentNotFound,
        InvalidInput,
        NoRun,
        NotDurable,
        NotFound,
        PartlyUnreadable,
        PayloadTooLarge,
        PoolNotFound,
        QueueDeleting,
        QueueNotFound,
        ResultTimeout,
        RunFailed,
        RunNotFound,
        RunNotOver,
        ServerError,
        SluiceError,
        WorkerStuck,
    )
    from .models import Autoscale, LogLine, Published, RetryPolicy, Run, RunState, WorkPool, WorkQueue
    from .running import Context, context

__all__ = [
    "Autoscale", "BlockingClient", "ClaimLost", "Client", "Conflict", "Context", "DecodeError", "Deployment",
    "DeploymentExists", "DeploymentNotFound", "InvalidInput", "LogLine", "NoRun", "NotDurable", "NotFound",
    "PartlyUnreadable", "PayloadTooLarge", "PoolNotFound", "Publish", "Published", "QueueDeleting", "QueueNotFound",
    "ResultTimeout", "RetryPolicy", "Run", "RunFailed", "RunNotFound", "RunNotOver", "RunOptions", "RunState",
    "ServerError", "SluiceError", "WorkPool", "WorkQueue", "WorkerStuck", "context",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    for module in ("errors", "models", "running", "deployments", "client"):
        found = getattr(import_module(f".{module}", __name__), name, None)
        if found is not None:
            globals()[name] = found
            return found
    raise AssertionError(name)
