"""From a command to the server: which one it is, and a client of it.

Client and settings are imported when a command runs: `sluice pool --help` needs neither.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from ..client import Client
    from ..settings import Settings

PoolOption = Annotated[
    str | None, Parameter(name=("--pool", "-p"), help="The work pool; SLUICE_POOL, else `default`, when not given.")
]
OnlyPool = Annotated[str | None, Parameter(name=("--pool", "-p"), help="Of this pool only; of all when not given.")]
NewPool = Annotated[
    str | None, Parameter(name=("--pool", "-p"), help="Move it to this pool; it stays where it is when not given.")
]
Traceparent = Annotated[
    str | None, Parameter(env_var="TRACEPARENT", help="The trace it belongs to, as W3C's trace context writes it.")
]


def server_url(settings: "Settings") -> str:
    """SLUICE_REDIS_URL or a profile's; else the server of a `sluice up` of this folder; else the default."""
    from ..embedded import running_url

    if "redis_url" in settings.model_fields_set:
        return settings.redis_url
    return running_url(settings.data_dir) or settings.redis_url


def service_settings() -> "Settings":
    """The settings of a service that is started by hand, with the server it is to use."""
    from ..settings import read_settings

    settings = read_settings()
    return settings.model_copy(update={"redis_url": server_url(settings)})


@asynccontextmanager
async def connected(pool: str | None = None) -> "AsyncGenerator[Client]":
    """A client of the server, for one command."""
    from ..client import Client
    from ..settings import read_settings

    settings = read_settings()
    client = Client(
        server_url(settings), pool=pool or settings.pool, payload_limit=settings.payload_limit,
        durability=settings.durability, durability_timeout=settings.durability_timeout,
    )  # fmt: skip
    async with client:
        yield client
