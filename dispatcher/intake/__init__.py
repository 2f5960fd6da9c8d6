"""Intake: runs that any Redis client publishes with one plain XADD are read, checked and published, or rejected."""

from .document import Document, json_schema
from .service import Intake

__all__ = ["Document", "Intake", "json_schema"]
