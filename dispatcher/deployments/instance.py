"""A run of a deployment: what it is published with. It holds all it needs, so later changes do not reach it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ..ids import derived_run_id
from ..models import RetryPolicy
from ..names import check_key
from ..schedules import Schedule
from .document import Deployment, slug_of
from .parameters import check_parameters
from .stored import Stored
from .texts import fill_text


class Instance(NamedTuple):
    """Function, parameters and options of a publish; facts of the spec beside them; scopes and cache."""

    function: str | None
    parameters: dict[str, Any]
    options: dict[str, Any]
    facts: dict[str, Any]
    scopes: tuple[str, ...]
    cache: tuple[str, int] | None


def instance_of(
    stored: Stored,
    parameters: Mapping[str, Any] | None = None,
    job_variables: Mapping[str, Any] | None = None,
    schedule: Schedule | None = None,
) -> Instance:
    """What a run of it is published with. Raises InvalidInput when the parameters do not fit."""
    deployment = stored.document
    given = {**deployment.parameters, **(schedule.parameters if schedule else {}), **(parameters or {})}
    check_parameters(deployment.name, deployment.parameter_schema, given)
    own = {**(schedule.job_variables if schedule else {}), **(job_variables or {})}
    return Instance(
        deployment.function,
        given,
        {**_options(deployment), "job_variables": own or None},
        {
            "deployment": deployment.name,
            "deployment_version": str(stored.version),
            "schedule": schedule.id if schedule else None,
            "deployment_variables": deployment.job_variables or None,
            "pull": deployment.pull,
        },
        _scopes(deployment, schedule),
        _cache(deployment, given),
    )


def _options(deployment: Deployment) -> dict[str, Any]:
    command = deployment.command
    retry = deployment.retry
    return {
        "queue": deployment.queue,
        "labels": deployment.labels,
        "tags": deployment.tags,
        "command": list(command) if isinstance(command, tuple) else command,
        "shell": deployment.shell,
        "entrypoint": deployment.entrypoint,
        "retry": RetryPolicy(**retry.model_dump()) if retry else None,
        "timeout": deployment.timeout,
    }


def keys_of(deployment: Deployment, parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """Its concurrency keys for these parameters."""
    return tuple(check_key(fill_text("the key", key, parameters)) for key in deployment.keys)


def _scopes(deployment: Deployment, schedule: Schedule | None) -> tuple[str, ...]:
    """The keys that it brings itself: its schedule's, for overlap, and its own, for its limit."""
    slug = slug_of(deployment.name)
    own = (f"deployment:{slug}",) if deployment.concurrency else ()
    return (*((f"schedule:{slug}/{schedule.id}",) if schedule and schedule.when_full else ()), *own)


def _cache(deployment: Deployment, parameters: Mapping[str, Any]) -> tuple[str, int] | None:
    if deployment.cache is None or not deployment.cache.ttl:
        return None
    return fill_text("the cache key", deployment.cache.key, parameters), round(1000 * deployment.cache.ttl)


def occurrence_id(deployment: str, schedule: str, instant_ms: int) -> str:
    """The id of a schedule's run at an instant: always the same one."""
    return derived_run_id(f"schedule {deployment}/{schedule}", str(instant_ms))


def deadline_of(deployment: Deployment, due: datetime) -> datetime | None:
    """When a run that is due then is not to be started any more."""
    return None if deployment.expires is None else due + timedelta(seconds=deployment.expires)
