"""From a command to the server: which one it is, and a client of it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated

from cyclopts import Parameter

from ..client import Client
from ..embedded import running_url
from ..settings import Settings, read_settings

PoolOption = Annotated[
    str | None, Parameter(name=("--pool", "-p"), help="The work pool; SLUICE_POOL, else `default`, when not given.")
]
Names = Annotated[str, Parameter(allow_leading_hyphen=False)]


def server_url(settings: Settings) -> str:
    """SLUICE_REDIS_URL; else the server of a `sluice up` of this folder; else the default."""
    if "redis_url" in settings.model_fields_set:
        return settings.redis_url
    return running_url(settings.data_dir) or settings.redis_url


def service_settings() -> Settings:
    """The settings of a service that is started by hand, with the server it is to use."""
    settings = read_settings()
    return settings.model_copy(update={"redis_url": server_url(settings)})


@asynccontextmanager
async def connected(pool: str | None = None) -> AsyncGenerator[Client]:
    """A client of the server, for one command."""
    settings = read_settings()
    async with Client(server_url(settings), pool=pool or settings.pool, payload_limit=settings.payload_limit) as client:
        yield client
