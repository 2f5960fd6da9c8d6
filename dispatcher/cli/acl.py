"""`sluice acl`: users of the server, one for each role."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from cyclopts import Parameter

from ..access import (
    SERVER_ROLES,
    Role,
    check_publishers,
    file_line,
    make_password,
    password_hash,
    publisher_role,
    read_password,
    service_roles,
    setuser_words,
)
from ..settings import read_settings
from ..store import Store
from ..store.access import AccessStore
from .connecting import server_url
from .output import say

RoleName = Literal["operator", "dispatcher", "scheduler", "worker", "client", "reader"]
_SERVERS_OWN = ("default", "health")


class _User(NamedTuple):
    """A user to be, and its password as rules name it."""

    role: Role
    secrets: list[str]


async def acl(
    *,
    role: Annotated[tuple[RoleName, ...], Parameter(help="Only these roles; all when not given.")] = (),
    publisher: Annotated[
        tuple[str, ...], Parameter(help="A publisher with a stream of its own: it may XADD there, and nothing else.")
    ] = (),
    pool: Annotated[
        tuple[str, ...],
        Parameter(
            name=("--pool", "-p"),
            help="Worker, client, reader keep to these pools; to all when not given. Of publishers: SLUICE_POOL.",
        ),
    ] = (),
    passwords: Annotated[
        Path | None,
        Parameter(help="Folder with a file `redis_USER` for each; made where it is missing. Else made and shown once."),
    ] = None,
    output: Annotated[
        Literal["file", "commands"], Parameter(name=("--output", "-o"), help="Lines of an ACL file, or ACL SETUSER.")
    ] = "file",
    apply: Annotated[
        bool, Parameter(help="Send them to the server; users that are there keep their passwords.")
    ] = False,
) -> None:
    """Write users of the Redis server, one for each role, with what each may do; hashes of passwords only."""
    settings = read_settings()
    check_publishers(publisher)
    roles = [found for found in service_roles(pool) if not role or found.name in role]
    roles += [publisher_role(name, pool or (settings.pool,)) for name in publisher]
    if apply:
        async with Store(server_url(settings)) as store:
            await _apply(AccessStore(store.link), roles, passwords)
        return
    users = [_User(found, _secrets(found.name, passwords)) for found in roles]
    if output == "commands":
        print("".join(f"{' '.join(setuser_words(*user))}\n" for user in users), end="")
        return
    own = [found for found in SERVER_ROLES if found.name in _SERVERS_OWN and not role]
    print("".join(f"{file_line(found)}\n" for found in own), end="")
    print("".join(f"{file_line(user.role, *user.secrets)}\n" for user in users), end="")


def _secrets(user: str, folder: Path | None) -> list[str]:
    """The hash of a user's password; one that was made is told, once, where no file keeps it."""
    if folder is not None:
        found = read_password(folder, user)
        if found.is_new:
            say(f"made {folder / f'redis_{user}'}")
        return [password_hash(found.text)]
    made = make_password()
    say(f"password of {user}: {made}")
    return [password_hash(made)]


async def _apply(access: AccessStore, roles: Sequence[Role], passwords: Path | None) -> None:
    """Make the users so. All that can be refused is looked at before the first is changed."""
    there = {role.name: await access.password_hashes(role.name) for role in roles}
    users = [
        _User(role, there[role.name] if there[role.name] and passwords is None else _secrets(role.name, passwords))
        for role in roles
    ]
    for user in users:
        await access.set_user(setuser_words(*user))
        say(f"user {user.role.name}: {user.role.purpose}")
    if not await access.save():
        say("the server has no ACL file: these users are gone when it restarts; put the lines of `sluice acl` into one")
    if await access.lets_anybody_in():
        say("`default` still logs in without a password: ACL SETUSER default off (docs/security.md says why no more)")
