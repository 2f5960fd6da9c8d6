"""The audit: what a pool told in its events is held against what there is, and what there is against itself.

ledger      folds events: which runs wait, which are in hand
auditor     one pool's audit, a step at a time; keeps its checkpoint in Redis, so that another goes on with it
walk        everything a pool has, looked at once
report      what was found, in words
"""

from .auditor import Auditor
from .ledger import Ledger
from .report import KINDS, Report, Violation
from .walk import audit_pool

__all__ = ["KINDS", "Auditor", "Ledger", "Report", "Violation", "audit_pool"]
