"""A server with the users that `sluice acl` writes, and one that may do everything."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from dispatcher.access import SERVER_ROLES, file_line, password_hash, publisher_role, service_roles
from tests.support.servers import Kind, Server

ADMIN = "user admin on nopass allkeys allchannels +@all"


class Access:
    """Every role is a user; its password is its name. `pools` are those that worker, client and reader keep to."""

    def __init__(
        self,
        new_server: Callable[..., Server],
        kind: Kind,
        folder: Path,
        *,
        pools: Sequence[str] = (),
        publishers: Sequence[str] = ("web",),
        aof: bool = False,
    ) -> None:
        roles = [*service_roles(pools), *(publisher_role(name, ["default"]) for name in publishers)]
        lines = [file_line(role) for role in SERVER_ROLES if not role.has_password]
        lines += [file_line(role, password_hash(role.name)) for role in roles]
        file = folder / "users.acl"
        file.write_text("\n".join([*lines, ADMIN]) + "\n")
        self.server = new_server(kind, aof=aof, settings={"aclfile": str(file)})
        self.admin = self.client("admin")

    def url(self, user: str) -> str:
        """The server's address for that user."""
        return f"redis://{user}:{user}@127.0.0.1:{self.server.port}/0"

    def client(self, user: str) -> "redis.Redis[Any]":
        """A connection that tries once."""
        return redis.Redis.from_url(self.url(user), retry=Retry(NoBackoff(), 0))

    def refusals(self) -> set[tuple[str, str]]:
        """User and command, or key, of all that was refused; but how redis-py presents itself."""
        entries = [(entry["username"], entry["object"]) for entry in self.admin.acl_log(count=128)]
        return {(user, what) for user, what in entries if not what.startswith("client|")}

    def forget_refusals(self) -> None:
        """Begin a new list."""
        self.admin.acl_log_reset()

    def close(self) -> None:
        """Close our connection."""
        self.admin.close()
