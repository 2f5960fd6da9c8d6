"""Manifests: pools, limits and deployments kept in files, planned and applied."""

from .document import Declared, LimitEntry, Manifest, PoolEntry, QueueEntry
from .places import Finding, ManifestFaults
from .reading import read_manifest

__all__ = [
    "Declared", "Finding", "LimitEntry", "Manifest", "ManifestFaults", "PoolEntry", "QueueEntry", "read_manifest",
]  # fmt: skip
