"""What the daemon is asked for: a run and its configuration as the body of `POST /containers/create`. Pure."""

import json
from dataclasses import dataclass
from typing import Any

from dispatcher import tracing
from dispatcher.models import HandOff, RunSpec

from ..contract import CannotStart, Outcome
from ..outcomes import error_result
from .configuration import DockerConfiguration, size_of
from .labels import NAME, Manner, Place, run_labels

_MOST_PARAMETERS = 100_000
"""Bytes of JSON: Linux takes 128 KB a variable."""
_NANO = 1_000_000_000
_SCRIPT = ["sh", "-eu", "-c"]
RELAY = ["python", "-P", "-m", "workers.docker.inside"]
"""What an image with Sluice in it executes for an entrypoint: see inside.py."""
_LOGS = {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}
"""30 MB of a container's output stay on the host's disk at most; what a run says is in its log long before."""


@dataclass(frozen=True)
class Plan:
    """What a run says of itself, checked, and where it belongs."""

    run: HandOff
    spec: RunSpec
    retry: list[Any] | None
    configuration: DockerConfiguration
    place: Place
    deadline_ms: int | None

    @property
    def manner(self) -> Manner:
        """What its labels say."""
        wanted = self.configuration
        return Manner(wanted.stream_output, wanted.grace_seconds, wanted.auto_remove, self.deadline_ms)


def body_of(plan: Plan) -> dict[str, Any]:
    """The body. Raises CannotStart for parameters that fit into no environment."""
    wanted = plan.configuration
    body = {
        "Image": wanted.image,
        "Env": _environment(plan),
        "Labels": _labels(plan),
        "WorkingDir": wanted.working_dir or "",
        "User": wanted.user or "",
        "Hostname": wanted.hostname or "",
        "Tty": False,
        **_words(plan.spec),
        "HostConfig": _host(wanted),
    }
    if wanted.networks:
        body["NetworkingConfig"] = {"EndpointsConfig": {wanted.networks[0]: {}}}
    return body


def _words(spec: RunSpec) -> dict[str, Any]:
    """A list of words goes to the image's own entrypoint, as with `docker run`; a script and a relay replace it."""
    if spec.entrypoint is not None:
        return {"Entrypoint": RELAY, "Cmd": [], "OpenStdin": True, "StdinOnce": False, "AttachStdin": True}
    if isinstance(spec.command, str):
        return {"Entrypoint": _SCRIPT, "Cmd": [spec.command]}
    return {"Cmd": list(spec.command or ())}


def _labels(plan: Plan) -> dict[str, str]:
    named = {NAME: plan.configuration.name} if plan.configuration.name else {}
    return {**plan.configuration.labels, **named, **plan.manner.labels(), **run_labels(plan.place, plan.run)}


def _environment(plan: Plan) -> list[str]:
    """`NAME=value`, or `NAME` alone where the image's is taken away. Nothing of the worker's own is in it."""
    trace = tracing.trace_environment(plan.spec.traceparent)
    said: dict[str, str | None] = {**trace, **plan.configuration.env, **_said(plan)}
    return [name if value is None else f"{name}={value}" for name, value in said.items()]


def _said(plan: Plan) -> dict[str, str]:
    """The variables by which a run's code knows its run."""
    run, spec = plan.run, plan.spec
    said = {
        "SLUICE_RUN_ID": run.id, "SLUICE_POOL": plan.place.pool, "SLUICE_CLAIM_TOKEN": run.token,
        "SLUICE_ATTEMPT": str(run.attempt),
    }  # fmt: skip
    if plan.deadline_ms is not None:
        said["SLUICE_DEADLINE_MS"] = str(plan.deadline_ms)
    try:
        parameters = json.dumps(spec.parameters, ensure_ascii=True)
    except (TypeError, ValueError) as error:
        raise bad(f"parameters: {error}") from error
    if len(parameters) <= _MOST_PARAMETERS:
        said["SLUICE_PARAMETERS"] = parameters
    elif spec.command is not None:
        raise bad(f"parameters of a command travel in its environment: {len(parameters):,} bytes are too many")
    return said


def _host(wanted: DockerConfiguration) -> dict[str, Any]:
    """The host's part. AutoRemove stays off: the daemon would take the exit code along."""
    found: dict[str, Any] = {
        "AutoRemove": False,
        "RestartPolicy": {"Name": "no"},
        "LogConfig": _LOGS,
        "NetworkMode": wanted.networks[0] if wanted.networks else wanted.network_mode or "default",
        "Binds": wanted.volumes,
        "Tmpfs": wanted.tmpfs,
        "ExtraHosts": [f"{name}:{address}" for name, address in wanted.extra_hosts.items()],
        "Privileged": wanted.privileged,
        "CapAdd": wanted.cap_add,
        "CapDrop": wanted.cap_drop,
        "ReadonlyRootfs": wanted.read_only,
        "Init": wanted.init,
        "Ulimits": [
            {"Name": one.name, "Soft": one.soft, "Hard": one.soft if one.hard is None else one.hard}
            for one in wanted.ulimits
        ],
        "DeviceRequests": [
            {
                "Driver": one.driver, "Count": one.count, "DeviceIDs": one.device_ids,
                "Capabilities": one.capabilities, "Options": one.options,
            }
            for one in wanted.device_requests
        ],
    }  # fmt: skip
    sizes = {"Memory": wanted.mem_limit, "MemorySwap": wanted.memswap_limit, "ShmSize": wanted.shm_size}
    found |= {name: size_of(size) for name, size in sizes.items() if size is not None}
    if wanted.cpus is not None:
        found["NanoCpus"] = round(wanted.cpus * _NANO)
    return {name: value for name, value in found.items() if value not in ([], {}, "")}


def bad(text: str) -> CannotStart:
    """What a run says of itself cannot be done."""
    return CannotStart(Outcome("failed", "invalid_parameters", error_result(text)))
