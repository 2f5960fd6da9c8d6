"""A deployment as it is kept: its document, its number, and where its schedules are."""

from dataclasses import dataclass
from datetime import datetime

from .document import Deployment


@dataclass(frozen=True, slots=True)
class ScheduleState:
    """Where a schedule is: its next and last instant, how many runs it published, how many instants it missed."""

    id: str
    next_at: datetime | None = None
    last_at: datetime | None = None
    fired: int = 0
    missed: int = 0


@dataclass(frozen=True, slots=True)
class Stored:
    """A deployment that is there. `version` counts its changes; `moving_to` names the pool it is on its way to.

    `edition` is this writing of it: one that is deleted and made anew begins at version 1 again.
    """

    document: Deployment
    version: int
    created_at: datetime | None = None
    updated_at: datetime | None = None
    schedules: tuple[ScheduleState, ...] = ()
    moving_to: str = ""
    edition: str = ""

    @property
    def name(self) -> str:
        """Its name."""
        return self.document.name

    @property
    def pool(self) -> str:
        """Its work pool."""
        return self.document.pool

    def schedule_state(self, schedule_id: str) -> ScheduleState:
        """Where one of its schedules is."""
        return next((state for state in self.schedules if state.id == schedule_id), ScheduleState(schedule_id))
