"""Deployments: what teams keep in files, and how a run is made from one."""

from .document import Cache, Concurrency, Deployment

__all__ = ["Cache", "Concurrency", "Deployment"]
