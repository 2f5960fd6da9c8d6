"""Checks of the server itself."""

from collections.abc import Sequence

from ..store.inspection import ServerLook
from .findings import Finding, error, fine, some, warning

_CLOCK_MS = 1_000
_FULL = 0.9
# Why these: dispatcher/README.md, departures from the design.
_ENCODINGS = {"stream-node-max-bytes": 512, "zset-max-listpack-entries": 16}


def check_version(look: ServerLook) -> Finding:
    """Redis from 7.0, Valkey from 7.2."""
    valkey = look.info.get("valkey_version")
    name = f"Valkey {valkey}" if valkey else f"Redis {look.info.get('redis_version', 'of an unknown version')}"
    if look.unfit:
        return error("version", look.unfit, "update the server")
    return fine("version", name)


def check_role(look: ServerLook) -> Finding:
    """A replica takes no writes."""
    if look.info.get("role") in ("slave", "replica"):
        of = f"{look.info.get('master_host')}:{look.info.get('master_port')}"
        return error("role", f"the server is a replica of {of} and takes no writes", f"use {of} as SLUICE_REDIS_URL")
    return fine("role", f"primary, {look.info.get('connected_slaves', 0)} replicas")


def check_persistence(look: ServerLook) -> Finding:
    """An append-only file that is written to disk at least each second."""
    if not look.info.get("aof_enabled"):
        remedy = "set `appendonly yes` in its configuration, or now: CONFIG SET appendonly yes"
        return warning("persistence", "no append-only file: a restart of the server loses runs", remedy)
    if look.info.get("aof_last_write_status", "ok") != "ok":
        return error("persistence", "the append-only file could not be written", "look at the server's disk and log")
    sync = look.config.get("appendfsync", "")
    if sync == "no":
        text = "appendfsync is no: when the machine fails, what came in the last half minute or so is lost"
        return warning("persistence", text, "CONFIG SET appendfsync everysec")
    return fine("persistence", f"append-only file, appendfsync {sync or 'could not be looked at'}")


def check_eviction(look: ServerLook) -> Finding:
    """No key may go when memory is short."""
    policy = look.info.get("maxmemory_policy", "noeviction")
    if policy == "noeviction":
        return fine("eviction", "maxmemory-policy noeviction")
    remedy = "CONFIG SET maxmemory-policy noeviction, or use a server of its own"
    return error("eviction", f"maxmemory-policy is {policy}: the server would lose runs when memory is short", remedy)


def check_memory(look: ServerLook) -> Finding:
    """A limit of memory, and room under it."""
    most, used = int(look.info.get("maxmemory", 0)), int(look.info.get("used_memory", 0))
    if not most:
        remedy = "CONFIG SET maxmemory to what the machine can spare: then publishing is refused, and nothing is lost"
        return warning("memory", "maxmemory is not set: the system may kill the server when its memory is out", remedy)
    text = f"{used / 2**20:,.0f} of {most / 2**20:,.0f} MB are used"
    if used > most * _FULL:
        return warning("memory", text, "raise maxmemory, shorten the retention of pools, or add workers")
    return fine("memory", text)


def check_encodings(look: ServerLook) -> Finding:
    """Two settings that make queues smaller and quicker."""
    wrong = {name: best for name, best in _ENCODINGS.items() if int(look.config.get(name, best)) > best}
    if wrong:
        found = ", ".join(f"{name} is {look.config[name]}" for name in wrong)
        remedy = "; ".join(f"CONFIG SET {name} {best}" for name, best in wrong.items())
        return warning("encodings", f"{found}: queued runs take more memory and time than they must", remedy)
    return fine("encodings", "could not be looked at" if look.no_config else "as recommended")


def check_config(look: ServerLook) -> Finding:
    """Whether settings could be looked at."""
    if look.no_config:
        text = f"CONFIG could not be looked at ({look.no_config}): appendfsync and encodings are not known"
        return warning("config", text, "allow `+config|get` for this user, or look at these settings yourself")
    return fine("config", "the server's settings can be looked at")


def check_clock(look: ServerLook) -> Finding:
    """This machine's clock beside the server's, which decides."""
    if abs(look.ahead_ms) <= _CLOCK_MS + look.slack_ms:
        return fine("clock", f"within {_CLOCK_MS / 1000:g} s of the server's")
    which = "behind" if look.ahead_ms > 0 else "ahead of"
    text = f"this machine is {abs(look.ahead_ms) / 1000:,.1f} s {which} the server: delays given from here are off"
    return warning("clock", text, "let both machines follow an NTP server")


def check_permissions(refused: Sequence[str] | None) -> Finding:
    """Whether this user may call what scripts call; None: it may not load a script that could tell."""
    if refused is None:
        text = "this user may not load scripts, as most need not: what it may call could not be looked at"
        return warning("permissions", text, "look as a user who may: `sluice acl` writes one, operator")
    if not refused:
        return fine("permissions", "scripts load and run, and may call what they need")
    text = f"the server's ACL forbids this user {some(list(refused), 12)} on keys of Sluice"
    rules = " ".join(f"+{name.lower()}" for name in refused)
    return error("permissions", text, f"ACL SETUSER <user> ~sluice:* {rules}")


def check_default_user(look: ServerLook) -> Finding:
    """What scripts wrote passes the rules of the user `default` when the append-only file is read again.

    Servers do that before redis#14545 and valkey#3984 were fixed; what they forbid is dropped, and nobody is told.
    """
    if not (look.default_may_not and look.info.get("aof_enabled")):
        return fine("default-user", "a restart loses nothing to its rules")
    text = f"the server's user `default` may not {some(look.default_may_not)} keys of Sluice: a restart may drop runs"
    remedy = "ACL SETUSER default off allkeys allchannels allcommands: nobody can log in, and nothing is dropped"
    return warning("default-user", text, remedy)


SERVER_CHECKS = (
    check_version,
    check_role,
    check_persistence,
    check_eviction,
    check_memory,
    check_default_user,
    check_config,
    check_encodings,
    check_clock,
)
