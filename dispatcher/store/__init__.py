"""Redis, seen from above: one method a transition, each backed by one script."""

from types import TracebackType
from typing import Self

from .audit import AuditStore
from .care import CareStore, Promotion, Tick
from .dead import DeadStore
from .deployments import Agenda, DeploymentStore, Due, Fire, ScheduleRow
from .durable import FAST, Durability
from .found import Found
from .intake import IntakeStore
from .link import Link
from .listing import RunLister
from .logs import LogChunk, LogReader, LogStore
from .pools import LimitStore, PoolStore, QueueStore
from .runs import End, RunStore, WireRun, end_result
from .snapshots import MOST_POOLS, ServerSnapshot, ServerSnapshots, SnapshotStore
from .workers import Beat, Claim, Heartbeats, Joining, Letters, Turn, WorkerStore

__all__ = [
    "FAST", "MOST_POOLS", "Agenda", "AuditStore", "Beat", "CareStore", "Claim", "DeadStore", "DeploymentStore", "Due",
    "Durability", "End", "Fire", "Found", "Heartbeats", "IntakeStore", "Joining", "Letters", "LimitStore", "Link",
    "LogChunk", "LogReader", "LogStore", "PoolStore", "Promotion", "QueueStore", "RunLister", "RunStore", "ScheduleRow",
    "ServerSnapshot", "ServerSnapshots", "SnapshotStore", "Store", "Tick", "Turn", "WireRun", "WorkerStore",
    "end_result",
]  # fmt: skip


class Store:
    """All stores over one link. Async context manager; leaving it closes the connections."""

    def __init__(self, way: str | Link, durability: Durability = FAST) -> None:
        """`way` to the server: its URL, or a link of another kind; `durability` of publishes which ask for none."""
        self.link = Link(way) if isinstance(way, str) else way
        self.runs = RunStore(self.link, durability)
        self.snapshots = SnapshotStore(self.link)
        self.lister = RunLister(self.link, self.runs)
        self.pools = PoolStore(self.link)
        self.queues = QueueStore(self.link)
        self.limits = LimitStore(self.link)
        self.workers = WorkerStore(self.link)
        self.care = CareStore(self.link)
        self.audit = AuditStore(self.link)
        self.dead = DeadStore(self.link)
        self.deployments = DeploymentStore(self.link)
        self.intake = IntakeStore(self.link)
        self.logs = LogStore(self.link)

    def another(self) -> "Store":
        """One of the same server, with connections of its own."""
        return Store(self.link.url)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.link.close()
