"""Publish and follow runs from any service."""

from ..models import Published
from .blocking import BlockingClient
from .client import DEFAULT_URL, Client
from .drafting import Publish, RunOptions

__all__ = ["DEFAULT_URL", "BlockingClient", "Client", "Publish", "Published", "RunOptions"]
