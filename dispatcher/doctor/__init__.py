"""What is wrong with a server, its pools and this installation, and what to do about it. Nothing is changed."""

from .examination import examine
from .findings import Finding, Severity

__all__ = ["Finding", "Severity", "examine"]
