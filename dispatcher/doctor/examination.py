"""All checks, in order: this installation, the server, its pools, what was left over."""

from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version

from ..auditing import audit_pool
from ..clock import Clock
from ..errors import CredentialsRefused, ServerError
from ..settings import shown
from ..store import Store
from ..store.inspection import Inspection, PoolLook, ServerLook
from ..store.leftovers import LeftoverSearch
from . import pools
from .audit import check_audit
from .findings import Finding, error, fine
from .leftovers import LEFTOVER_CHECKS, check_catalogue
from .packages import OURS, check_packages
from .server import SERVER_CHECKS, check_permissions

_PERMISSION = "ACL SETUSER <user> ~sluice:* +@all, or what the message names"


async def examine(store: Store, clock: Clock, tick_ms: int, *, audit: bool = False) -> list[Finding]:
    """Look at everything once. What cannot be looked at is a finding too; nothing is raised for a bad server.

    `audit`: at every run, slot and bucket too, which takes some 20 s a million runs.
    """
    found = check_packages()
    inspection = Inspection(store.link)
    try:
        servers = await inspection.servers(clock)
    except ServerError as fault:
        return [*found, _away(fault)]
    found.append(fine("server", f"{shown(store.link.url)} answers"))
    found += [_placed(check(look), look, servers) for look in servers for check in SERVER_CHECKS]
    try:
        found.append(check_permissions(await inspection.refused_commands("doctor")))
        names = await store.pools.names()
        looks = [await inspection.pool(name) for name in names]
        for one in looks:
            found += await _check_pool(store, one, tick_ms)
            if audit and one.exists:
                found += check_audit(await audit_pool(store.audit, one.name))
        leftovers = await LeftoverSearch(store.link).search()
    except ServerError as fault:
        return [*found, _refused(fault)]
    return [*found, check_catalogue(leftovers, looks), *(check(leftovers) for check in LEFTOVER_CHECKS)]


async def _check_pool(store: Store, look: PoolLook, tick_ms: int) -> list[Finding]:
    if not look.exists:
        return []  # the catalogue's own check says so
    workers = await store.workers.list(look.name)
    place = [fine("place", f"on {look.place}", look.name)] if look.place else []
    return [
        *place,
        pools.check_workers(look, workers, _our_version()),
        pools.check_served(look, workers),
        pools.check_dispatcher(look, tick_ms),
        pools.check_scheduler(look),
        pools.check_lost(look),
        pools.check_adoption(look),
        pools.check_test_clock(look),
    ]


def _placed(finding: Finding, look: ServerLook, servers: list[ServerLook]) -> Finding:
    """Which of several servers it is about."""
    return finding if len(servers) == 1 else replace(finding, finding=f"{look.place}: {finding.finding}")


def _away(fault: ServerError) -> Finding:
    if isinstance(fault, CredentialsRefused):
        return error("server", str(fault), "give user and password in the address; the user needs INFO and TIME")
    return error("server", str(fault), "start it, or correct SLUICE_REDIS_URL or the profile's redis_url")


def _refused(fault: ServerError) -> Finding:
    """What is left was not looked at."""
    return error("permissions", f"{fault}; what comes after was not looked at", _PERMISSION)


def _our_version() -> str:
    try:
        return version(OURS)
    except PackageNotFoundError:
        return "unknown"
