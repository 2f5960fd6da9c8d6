"""`sluice status`: the server and its pools, at a glance."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..models import WorkPool
from ..redaction import hide_passwords
from ..settings import read_settings
from .connecting import connected, server_url
from .output import TABLE, Output, say, show, show_one
from .pool import COLUMNS


@dataclass(frozen=True, slots=True)
class Status:
    """What `-o json` prints."""

    server: str
    warnings: Sequence[str]
    pools: Sequence[WorkPool]


async def status(*, output: Output = TABLE) -> None:
    """Show the server and its pools."""
    url = hide_passwords(server_url(read_settings()))
    async with connected() as client:
        warnings = await client.check()
        pools = await client.pools.list()
    for warning in warnings:
        say(f"warning: {warning}")
    if output.format in ("json", "jsonl"):
        show_one(Status(url, warnings, pools), (), output, str)
        return
    say(f"server {url}")
    if pools:
        show(pools, COLUMNS, output, lambda pool: pool.name)
    else:
        say("no pools yet: `sluice pool create NAME --type function`")
