"""Manifests: pools, limits and deployments kept in files, planned and applied."""

from .applying import apply, check_plan
from .differences import Difference
from .document import Declared, LimitEntry, Manifest, PoolEntry, QueueEntry
from .exporting import export
from .places import Finding, ManifestFaults
from .planning import Change, Plan, plan
from .reading import read_manifest
from .state import State, read_state

__all__ = [
    "Change", "Declared", "Difference", "Finding", "LimitEntry", "Manifest", "ManifestFaults", "Plan", "PoolEntry",
    "QueueEntry", "State", "apply", "check_plan", "export", "plan", "read_manifest", "read_state",
]  # fmt: skip
