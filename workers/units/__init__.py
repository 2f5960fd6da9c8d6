"""Units: what a supervisor of services is told, so that it starts, watches, stops and restarts a worker.

None of them holds the address of the server, which may have a password: they say where it is found.
"""

from collections.abc import Callable, Mapping

from .compose import compose
from .kubernetes import kubernetes
from .supervisord import supervisord
from .systemd import systemd
from .unit import Unit

PLATFORMS: Mapping[str, Callable[[Unit], str]] = {
    "systemd": systemd,
    "supervisord": supervisord,
    "compose": compose,
    "kubernetes": kubernetes,
}

__all__ = ["PLATFORMS", "Unit"]
