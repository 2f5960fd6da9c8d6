"""Sluice: publish runs, hold them back by pools, queues, limits and priorities, execute them on typed workers."""

from .client import BlockingClient, Client, Publish, Published, RunOptions
from .errors import (
    Conflict,
    InvalidInput,
    NotFound,
    PayloadTooLarge,
    PoolNotFound,
    QueueNotFound,
    ResultTimeout,
    RunFailed,
    RunNotFound,
    ServerError,
    SluiceError,
)
from .models import RetryPolicy, Run, RunState, WorkPool, WorkQueue

__all__ = [
    "BlockingClient",
    "Client",
    "Conflict",
    "InvalidInput",
    "NotFound",
    "PayloadTooLarge",
    "PoolNotFound",
    "Publish",
    "Published",
    "QueueNotFound",
    "ResultTimeout",
    "RetryPolicy",
    "Run",
    "RunFailed",
    "RunNotFound",
    "RunOptions",
    "RunState",
    "ServerError",
    "SluiceError",
    "WorkPool",
    "WorkQueue",
]
