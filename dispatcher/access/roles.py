"""Roles: what each user of the server may do. `sluice acl` and compose's users are made of this table.

What scripts call is held against the rules of whoever calls them, and a refusal in the middle of a script leaves half
of its effect. So a role that may call scripts may call all that they call, on all keys of its pools: docs/security.md
says what cannot be kept apart. Nobody may EVAL; those that load scripts could as well, so they are few.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ..errors import InvalidInput
from ..names import check_name

# `client|tracking` is of no category that is dangerous, yet tells the names of all keys that change.
_WORDS = "+@connection +@hash +@sortedset +@set +@stream +@string -@dangerous -client|tracking"
_CLUSTER = "+cluster|slots"
_CALLS = f"{_WORDS} +del +unlink +exists +pexpire +ttl +time +evalsha +evalsha_ro +info {_CLUSTER}"
# SCAN and its like are not bound to keys: they tell names of all of them.
_READS = f"+@connection +@read -@dangerous -client|tracking -scan -randomkey -dbsize +time +evalsha_ro +info {_CLUSTER}"
_LOADS = "+script|load +script|exists"
_CATALOGUE = ("~sluice:pools", "~sluice:deployments")
_READ_CATALOGUE = ("%R~sluice:pools", "%R~sluice:deployments")
_ALL_POOLS = "~sluice:{*}*"


class Role(NamedTuple):
    """A user: `name` is its login, `rules` come after its password, which `has_password` says whether it needs."""

    name: str
    purpose: str
    rules: str
    has_password: bool = True


def _role(name: str, purpose: str, keys: Sequence[str], commands: str) -> Role:
    return Role(name, purpose, f"resetchannels {' '.join(keys)} -@all {commands}")


def _of_pools(pools: Sequence[str], mode: str = "") -> list[str]:
    """Patterns for the keys of these pools, of all when there are none."""
    if not pools:
        return [mode + _ALL_POOLS]
    return [f"{mode}~sluice:{{{pool}}}{rest}" for pool in map(_checked, pools) for rest in ("", ":*")]


def _checked(pool: str) -> str:
    return check_name("pool", pool)


def service_roles(pools: Sequence[str] = ()) -> list[Role]:
    """The roles that call Sluice; worker, client and reader keep to these pools, the others see to all there are."""
    whole = [_ALL_POOLS, *_CATALOGUE]
    return [
        _role(
            "operator", "administers, from the command line; loads scripts, for it comes first", ["~sluice:*"],
            f"{_CALLS} {_LOADS} +scan +memory|usage +config|get +acl|log +acl|dryrun",
        ),
        _role("dispatcher", "looks after all pools, loads scripts for everybody", whole, f"{_CALLS} {_LOADS} +scan"),
        _role("scheduler", "publishes what is due, in all pools", whole, _CALLS),
        _role("worker", "executes runs", [*_of_pools(pools), "~sluice:pools", "%R~sluice:deployments"], _CALLS),
        _role("client", "a trusted publisher", [*_of_pools(pools), *_READ_CATALOGUE], _CALLS),
        _role("reader", "looks, and changes nothing", [*_of_pools(pools, "%R"), *_READ_CATALOGUE], _READS),
    ]  # fmt: skip


SERVER_ROLES = (
    Role("default", "nobody, but allowed everything", "allkeys allchannels +@all", has_password=False),
    Role("health", "asks whether the server answers", "resetkeys resetchannels -@all +ping", has_password=False),
    Role("replica", "a replica's user", "resetkeys resetchannels -@all +psync +replconf +ping"),
    Role(
        "sentinel", "a sentinel's user",
        "resetkeys allchannels -@all +multi +slaveof +ping +exec +subscribe +config|rewrite +role +publish +info "
        "+client|setname +client|kill +script|kill",
    ),
    Role("server", "a server's own watch over its replica-priority", "resetkeys resetchannels -@all +info +config|set"),
)  # fmt: skip
ROLES = tuple(role.name for role in service_roles())


def publisher_role(name: str, pools: Sequence[str]) -> Role:
    """A publisher that only adds to its own stream of each pool, and reads the answers named after it."""
    check_name("publisher", name)
    selectors = [
        f"(~sluice:{{{pool}}}:publish:{name} +xadd) (~sluice:{{{pool}}}:reply:{name}-* +xread)"
        for pool in map(_checked, pools)
    ]
    return Role(name, "publishes by XADD", f"resetkeys resetchannels -@all {' '.join(selectors)}")


def check_publishers(names: Sequence[str]) -> None:
    """Raise InvalidInput where one is a role, or could read what another is answered."""
    for name in names:
        if name in {*ROLES, *(role.name for role in SERVER_ROLES)}:
            raise InvalidInput(f"publisher {name!r} is the name of a role: choose another")
        if over := [other for other in names if other.startswith(f"{name}-")]:
            raise InvalidInput(
                f"publisher {name!r} could read the answers to {over[0]!r}, for replies are named PUBLISHER-ANYTHING: "
                "choose names of which none begins with another and a hyphen"
            )


def _login(role: Role, secret: str) -> str:
    if role.name == "default":
        return "off resetpass"
    return f"on {secret}" if role.has_password else "on nopass"


def file_line(role: Role, secret: str = "") -> str:
    """The user's line of an ACL file; `secret` is `#` and the password's hash."""
    return f"user {role.name} {_login(role, secret)} {role.rules}"


def setuser_words(role: Role, secrets: Sequence[str] = ()) -> list[str]:
    """The words of ACL SETUSER that make the user so, whatever it was before."""
    return ["ACL", "SETUSER", role.name, "reset", *_login(role, " ".join(secrets)).split(), *role.rules.split()]
