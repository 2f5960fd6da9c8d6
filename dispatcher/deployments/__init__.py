"""Deployments: what teams keep in files, and how a run is made from one."""

from .document import Cache, Concurrency, Deployment, Retry, name_of, read_deployment, slug_of
from .stored import ScheduleState, Stored

__all__ = [
    "Cache",
    "Concurrency",
    "Deployment",
    "Retry",
    "ScheduleState",
    "Stored",
    "name_of",
    "read_deployment",
    "slug_of",
]
