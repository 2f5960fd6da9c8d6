"""Services started by hand: signals, probes and logs around what serves."""

import signal
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from typing import Annotated, Any

import anyio
from cyclopts import Parameter

from ..clock import SystemClock
from ..collector import observed
from ..errors import InvalidInput, ServerError
from ..log import configure_logging
from ..metrics import CLOCK_SKEW, show_build
from ..probes import Autoscaling, Check, Probes
from ..settings import Settings
from ..store import Store
from .output import say
from .version import installed_version

Health = Annotated[str | None, Parameter(help="HOST:PORT for /livez, /readyz and /metrics; SLUICE_HEALTH, else none.")]
Service = Callable[..., Coroutine[Any, Any, None]]
_PULSE_SECONDS, _SILENCE_SECONDS = 2.0, 15.0


def run_service(settings: Settings, serve: Callable[[], Awaitable[None]]) -> None:
    """Configure logs and run it, on uvloop where that is installed."""
    configure_logging(settings.log_level, settings.log_format)
    anyio.run(serve, backend_options={"use_uvloop": find_spec("uvloop") is not None})


async def watch_signals(first: Callable[[], object], second: Callable[[], object]) -> None:
    """Call `first` at the first SIGINT or SIGTERM, `second` at each one after it; run until cancelled."""
    act = first
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            act()
            act = second


class Pulse:
    """Whether this process's loop turns, and whether the server answered it lately."""

    def __init__(self, url: str) -> None:
        self._url, self._clock = url, SystemClock()
        self._turned = self._answered = self._clock.monotonic()

    @property
    def is_live(self) -> bool:
        """The loop turned in the last seconds."""
        return self._clock.monotonic() - self._turned < _SILENCE_SECONDS

    @property
    def is_ready(self) -> bool:
        """The server answered in the last seconds, and took writes."""
        return self.is_live and self._clock.monotonic() - self._answered < _SILENCE_SECONDS

    async def beat(self) -> None:
        """Run until cancelled."""
        async with Store(self._url) as store, anyio.create_task_group() as group:
            group.start_soon(self._turn)
            while True:
                try:
                    await store.link.check()
                    await store.link.check_writes()
                    CLOCK_SKEW.set(await store.link.ahead_seconds(self._clock))
                    self._answered = self._clock.monotonic()
                except ServerError:
                    pass  # the service says so itself
                await self._clock.sleep(_PULSE_SECONDS)

    async def _turn(self) -> None:
        while True:
            self._turned = self._clock.monotonic()
            await self._clock.sleep(_PULSE_SECONDS / 2)


@contextmanager
def open_probes(
    address: str | None, *, live: Check, ready: Check, autoscale: Autoscaling | None = None
) -> Generator[None, None, None]:
    """Answer probes at an address, if one is given. Raises InvalidInput when it cannot be listened on."""
    if address is None:
        yield
        return
    try:
        probes = Probes(address, live=live, ready=ready, autoscale=autoscale)
    except OSError as error:
        raise InvalidInput(f"--health {address} cannot be listened on: {error.strerror}") from error
    with probes:
        say(f"probes on port {probes.port}")
        yield


@contextmanager
def _observing(settings: Settings, *, observe: bool) -> Generator[Autoscaling | None]:
    """What a dispatcher tells of the pools, and how it answers those that scale workers."""
    if not observe:
        yield None
        return
    with observed(settings.redis_url) as observer:
        yield lambda pool: asdict(observer.autoscale(pool))


async def serve_alone(
    name: str, serve: Service, settings: Settings, health: str | None, *, observe: bool = False
) -> None:
    """Run one service until a signal, with its probes. Raises ServerError when the server is unfit at the start.

    With `observe` it also exports what the server says of its pools.
    """
    address = health or settings.health
    pulse, is_started = Pulse(settings.redis_url), anyio.Event()
    show_build(name, installed_version())
    with (
        _observing(settings, observe=observe and address is not None) as autoscale,
        open_probes(
            address,
            live=lambda: pulse.is_live,
            ready=lambda: is_started.is_set() and pulse.is_ready,
            autoscale=autoscale,
        ),
    ):
        async with anyio.create_task_group() as group:
            group.start_soon(watch_signals, group.cancel_scope.cancel, group.cancel_scope.cancel)
            if address is not None:
                group.start_soon(pulse.beat)
            await group.start(serve, settings)
            is_started.set()
            say(f"{name} started; Ctrl-C or SIGTERM ends it")
