"""Scaling workers: how many a pool could use, and what tells Kubernetes so."""

import re
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from ..models import Autoscale
from .connecting import PoolOption, connected
from .output import TABLE, Column, Output, show_one

app = App(name="metrics", help="Metrics are at /metrics of every service; these commands print what uses them.")

Trigger = Literal["metrics-api", "prometheus"]
_COLUMNS: tuple[Column[Autoscale], ...] = (
    Column("DESIRED", lambda found: found.desired),
    Column("ONLINE", lambda found: found.online),
    Column("ADMISSIBLE", lambda found: found.admissible),
    Column("HELD", lambda found: found.held),
    Column("QUEUED", lambda found: found.queued),
    Column("SLOTS PER WORKER", lambda found: found.slots_per_worker),
)


async def autoscale(*, pool: PoolOption = None, output: Output = TABLE) -> None:
    """Show how many workers the pool could use now.

    Counted are the runs that are held and those that could be admitted at once, not a backlog that a limit holds back.
    """
    async with connected(pool) as client:
        name = client.pool
        show_one(await client.pools.autoscale(name), _COLUMNS, output, lambda found: str(found.desired))


@app.command
def keda(
    *,
    pool: PoolOption = None,
    trigger: Annotated[Trigger, Parameter(help="Ask a dispatcher itself, or Prometheus.")] = "metrics-api",
    address: Annotated[
        str | None, Parameter(help="Where that is, http://HOST:PORT; a service of the namespace when not given.")
    ] = None,
    namespace: Annotated[str | None, Parameter(help="Of the workers' deployment.")] = None,
    deployment: Annotated[str | None, Parameter(help="Name of the workers' deployment; sluice-worker-POOL.")] = None,
    least: Annotated[int, Parameter(name="--min", help="Fewest workers.")] = 0,
    most: Annotated[int, Parameter(name="--max", help="Most workers.")] = 20,
    cooldown: Annotated[int, Parameter(help="Seconds without work until the last worker goes.")] = 300,
) -> None:
    """Print a ScaledObject for KEDA: as many workers as the pool could use.

    Give the workers' pods a terminationGracePeriodSeconds above the workers' grace: they hand back what still runs.
    """
    import yaml

    from ..errors import InvalidInput
    from ..names import check_name
    from ..settings import read_settings

    name = check_name("pool", pool or read_settings().pool)
    if not 0 <= least <= most:
        raise InvalidInput(f"--min {least} and --max {most} are no range: 0 <= min <= max")
    target = deployment or f"sluice-worker-{_kubernetes(name)}"
    found = _triggers(trigger, name, address)
    document = _scaled_object(target, namespace, found, bounds=(least, most), cooldown=cooldown)
    print(yaml.safe_dump(document, sort_keys=False, width=1_000), end="")


def _kubernetes(name: str) -> str:
    """A pool's name as one of Kubernetes may be."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _triggers(trigger: Trigger, pool: str, address: str | None) -> list[dict[str, Any]]:
    """One worker for each that is desired. What cannot be asked changes nothing."""
    if trigger == "prometheus":
        metadata = {
            "serverAddress": address or "http://prometheus:9090",
            "query": f'max(sluice_pool_desired_workers{{pool="{pool}"}})',
            "threshold": "1",
            "activationThreshold": "0",
            "ignoreNullValues": "false",
        }
    else:
        metadata = {
            "url": f"{(address or 'http://sluice-dispatcher:4301').rstrip('/')}/autoscale/{pool}",
            "valueLocation": "desired",
            "targetValue": "1",
            "activationTargetValue": "0",
        }
    return [{"type": trigger, "metricType": "AverageValue", "metadata": metadata}]


def _scaled_object(
    deployment: str, namespace: str | None, triggers: list[dict[str, Any]], *, bounds: tuple[int, int], cooldown: int
) -> dict[str, Any]:
    """Up at once, down by what was wanted most in the cooldown: a worker that goes hands back what it runs."""
    behaviour = {
        "scaleUp": {"stabilizationWindowSeconds": 0},
        "scaleDown": {"stabilizationWindowSeconds": min(cooldown, 3600)},
    }
    metadata = {"name": deployment} | ({"namespace": namespace} if namespace else {})
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": metadata,
        "spec": {
            "scaleTargetRef": {"name": deployment},
            "pollingInterval": 5,
            "cooldownPeriod": cooldown,
            "minReplicaCount": bounds[0],
            "maxReplicaCount": bounds[1],
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": behaviour}},
            "triggers": triggers,
        },
    }
