"""Schedules: when runs of a deployment are due. Pure: nothing here asks what time it is or talks to Redis."""

from .document import Schedule

__all__ = ["Schedule"]
