"""Schedules: when runs of a deployment are due. Pure: nothing here asks what time it is or talks to Redis."""

from .document import Schedule
from .instants import check, describe, upcoming
from .jitter import due, offset
from .plan import Firing, first, plan

__all__ = ["Firing", "Schedule", "check", "describe", "due", "first", "offset", "plan", "upcoming"]
