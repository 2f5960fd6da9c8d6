"""Probes and metrics of `sluice up`: one endpoint for all that runs in it, without being told where."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict

from ..collector import observed
from ..errors import InvalidInput
from ..metrics import show_build
from ..probes import Probes
from ..settings import Settings
from .output import say
from .serving import Pulse
from .version import installed_version

DEFAULT_ADDRESS = "127.0.0.1:4301"
"""As compose and the units have it for a service of its own."""


class Endpoint:
    """What is answered: the loop turns, the server answers, and all services have started. `place` says where."""

    def __init__(self, settings: Settings) -> None:
        self.pulse = Pulse(settings.redis_url)
        self.is_started = False
        self.place = ""

    @property
    def is_live(self) -> bool:
        """Whether the process does anything."""
        return self.pulse.is_live

    @property
    def is_ready(self) -> bool:
        """Whether runs are taken and executed."""
        return self.is_started and self.pulse.is_ready


@contextmanager
def open_endpoint(settings: Settings, address: str | None) -> Generator[Endpoint]:
    """Serve it at an address, else where the settings say, else at the usual port of this machine.

    Where nobody asked for that very address and it is taken, there is none, and people are told. Raises InvalidInput.
    """
    endpoint, wanted = Endpoint(settings), address or settings.health or DEFAULT_ADDRESS
    show_build("up", installed_version())
    with observed(settings.redis_url) as observer:
        try:
            probes = Probes(
                wanted, live=lambda: endpoint.is_live, ready=lambda: endpoint.is_ready,
                autoscale=lambda pool: asdict(observer.autoscale(pool)),
            )  # fmt: skip
        except OSError as error:
            if address is not None:
                raise InvalidInput(f"--health {address} cannot be listened on: {error.strerror}") from error
            say(f"warning: no metrics, {wanted} cannot be listened on ({error.strerror}): --health names another place")
            yield endpoint
            return
        with probes:
            endpoint.place = f"http://{wanted.rpartition(':')[0] or '127.0.0.1'}:{probes.port}/metrics"
            yield endpoint
