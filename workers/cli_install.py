"""`sluice worker install`: print what a supervisor of services is told of a worker."""

import math
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from dispatcher.cli.main import build_app
from dispatcher.cli.output import say
from dispatcher.cli.values import duration
from dispatcher.errors import InvalidInput
from dispatcher.names import lane_name
from dispatcher.settings import Settings, read_settings

from .units import PLATFORMS, Unit
from .worker import HAND_BACK_SECONDS, WorkerOptions

Platform = Literal["systemd", "supervisord", "compose", "kubernetes"]
Words = Annotated[str, Parameter(allow_leading_hyphen=True, help="Everything that `sluice worker start` takes.")]
_MARGIN_SECONDS = 5
_HEALTH = {"compose": "127.0.0.1:4301", "kubernetes": "0.0.0.0:4301"}
_LOOPBACK = ("127.", "localhost:", "[::1]:")
_IN_IMAGES = ("compose", "kubernetes")
_ONLY_FOR = {
    "image": _IN_IMAGES, "replicas": ("kubernetes",), "secret": ("kubernetes",), "env_file": ("systemd",),
}  # fmt: skip


def install(
    platform: Platform,
    /,
    *start: Words,
    unit: Annotated[str | None, Parameter(help="What the unit is called; sluice-POOL when not given.")] = None,
    user: Annotated[str | None, Parameter(help="The user that the worker runs as.")] = None,
    folder: Annotated[str | None, Parameter(help="Where it is started, for --app.")] = None,
    executable: Annotated[str | None, Parameter(help="The command `sluice`, where it is run.")] = None,
    env_file: Annotated[str | None, Parameter(help="systemd: where SLUICE_REDIS_URL is.")] = None,
    image: Annotated[str | None, Parameter(help="compose, kubernetes: an image with Sluice.")] = None,
    replicas: Annotated[int | None, Parameter(help="kubernetes: how many workers.")] = None,
    secret: Annotated[str | None, Parameter(help="kubernetes: the secret whose `url` is the address.")] = None,
) -> None:
    """Print a unit of systemd, supervisord, compose or kubernetes for `sluice worker start` with these options.

    sluice worker install systemd --pool etl --limit 20 > /etc/systemd/system/sluice-etl.service
    """
    given = {"image": image, "replicas": replicas, "secret": secret, "env_file": env_file}
    _check_fits(platform, given)
    options, words, health = _read(platform, start, read_settings())
    made = Unit(
        name=unit or f"sluice-{options.pool}"[:63],
        pool=options.pool,
        executable=executable or _executable(platform),
        words=("worker", "start", *words),
        stop_seconds=math.ceil(options.grace + options.cancel_grace + HAND_BACK_SECONDS + _MARGIN_SECONDS),
        health_port=None if health is None else _port(health),
        user=user,
        folder=folder,
        address=secret or "sluice-redis" if platform == "kubernetes" else env_file or "/etc/sluice/worker.env",
        image=image or "",
        replicas=1 if replicas is None else replicas,
    )
    print(PLATFORMS[platform](made), end="")
    say(*_next(platform, made))


def _check_fits(platform: str, given: dict[str, Any]) -> None:
    """Nothing that is given is left out in silence."""
    for name, platforms in _ONLY_FOR.items():
        if given[name] is not None and platform not in platforms:
            raise InvalidInput(f"--{name.replace('_', '-')} is for {' and '.join(platforms)}: leave it out")
    if platform in _IN_IMAGES and not given["image"]:
        raise InvalidInput(f"{platform} wants --image: one that has Sluice and what the runs need")


def _read(platform: str, start: tuple[str, ...], settings: Settings) -> tuple[WorkerOptions, list[str], str | None]:
    """The options as `worker start` reads them, the words for it, where its health is asked. Raises InvalidInput.

    What would come from this machine's settings is written down: where the unit runs, they may differ.
    """
    _, bound, _ = build_app().parse_args(["worker", "start", *start], exit_on_error=False, print_error=False)
    found = bound.arguments
    if found.get("run_once"):
        raise InvalidInput("a unit is for a worker that stays: leave --run-once out")
    grace, pool, health = found.get("grace"), found.get("pool"), found.get("health")
    lane_name(found.get("queue", ()), found.get("match", ()), found.get("label", ()))
    options = WorkerOptions(
        pool=pool or settings.pool,
        limit=found.get("limit", 100),
        name=found.get("name") or "worker",
        lease=duration(found.get("lease") or "15s"),
        grace=settings.grace_seconds if grace is None else duration(grace),
        cancel_grace=duration(found.get("cancel_grace", "10s")),
    )
    words = [*start]
    if pool is None:
        words += ["--pool", options.pool]
    if grace is None:
        words += ["--grace", f"{options.grace:g}s"]
    if health is None and platform in _HEALTH:
        health = _HEALTH[platform]
        words += ["--health", health]
    if platform == "kubernetes" and health and health.startswith(_LOOPBACK):
        raise InvalidInput(f"--health {health}: Kubernetes asks from outside the container, give 0.0.0.0:PORT")
    return options, words, health


def _port(health: str) -> int:
    port = health.rpartition(":")[2]
    if not port.isdecimal() or not 0 < int(port) < 65_536:
        raise InvalidInput(f"--health {health!r} has no port that a unit could ask: HOST:PORT, 1 to 65,535")
    return int(port)


def _executable(platform: str) -> str:
    """In an image, whatever is on its PATH; here, the one beside this interpreter."""
    return "sluice" if platform in _IN_IMAGES else str(Path(sys.executable).with_name("sluice"))


def _next(platform: str, unit: Unit) -> list[str]:
    """What remains to be done by hand."""
    return {
        "systemd": [f"put SLUICE_REDIS_URL=... into {unit.address}, readable by root only"],
        "supervisord": ["start supervisord with SLUICE_REDIS_URL in its environment"],
        "compose": ["put SLUICE_REDIS_URL=... into the environment of compose or its file .env"],
        "kubernetes": [f"create the secret: kubectl create secret generic {unit.address} --from-literal=url=..."],
    }[platform]
