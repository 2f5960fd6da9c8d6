"""Checks of what nothing refers to any more, and of the catalogue."""

from collections.abc import Sequence

from ..store.inspection import PoolLook
from ..store.leftovers import KEYS_AT_MOST, Leftovers
from .findings import Finding, error, fine, some, warning


def check_slots(found: Leftovers) -> Finding:
    """Slots whose run is over or unknown: they are room that nobody can use."""
    if not found.slots:
        return fine("slots", "each slot is held by a run that is not over")
    held = [f"{run} ({fault}) in {key}" for key, run, fault in found.slots]
    text = f"{len(held)} slots are held by runs that are over or unknown: {some(held)}"
    return error("slots", text, "; ".join(f"ZREM {key} {run}" for key, run, _ in found.slots[:5]))


def check_facts(found: Leftovers) -> Finding:
    """Facts of runs that have no record."""
    if not found.facts:
        return fine("facts", "all facts belong to a run")
    text = f"{len(found.facts)} hashes of facts have no run: {some(found.facts)}"
    return warning("facts", text, f"UNLINK {' '.join(found.facts[:5])}")


def check_orphans(found: Leftovers) -> Finding:
    """Inboxes and heartbeats of workers that are gone, which do not expire."""
    if not found.orphans:
        return fine("orphans", "all inboxes and heartbeats belong to a worker, or expire")
    text = f"{len(found.orphans)} keys belong to workers that are gone: {some(found.orphans)}"
    return warning("orphans", text, f"UNLINK {' '.join(found.orphans[:5])}")


def check_catalogue(found: Leftovers, looks: Sequence[PoolLook]) -> Finding:
    """Pools that services do not know of, and names without a pool."""
    if unknown := sorted(found.pools - {look.name for look in looks}):
        text = f"pools that are not in the catalogue, so nobody looks after them: {some(unknown)}"
        return error("catalogue", text, f"SADD sluice:pools {' '.join(unknown[:5])}")
    if gone := [look.name for look in looks if not look.exists]:
        return warning("catalogue", f"it names pools that are gone: {some(gone)}", f"SREM sluice:pools {gone[0]}")
    return fine("catalogue", f"{len(looks)} pools")


def check_scan(found: Leftovers) -> Finding:
    """Whether all keys were looked at."""
    if found.is_whole:
        return fine("scan", "all keys were looked at")
    text = f"only some {KEYS_AT_MOST:,} keys of the server were looked at for leftovers"
    return warning("scan", text, "nothing need be done; what was not looked at may hold more")


LEFTOVER_CHECKS = (check_slots, check_facts, check_orphans, check_scan)
