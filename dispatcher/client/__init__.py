"""Publish and follow runs from any service."""

from .blocking import BlockingClient
from .client import DEFAULT_URL, Client, Published
from .drafting import Publish, RunOptions

__all__ = ["DEFAULT_URL", "BlockingClient", "Client", "Publish", "Published", "RunOptions"]
