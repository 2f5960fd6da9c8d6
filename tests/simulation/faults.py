"""What goes wrong in a simulation, from a seed: with processes, with the network, with the server."""

from collections.abc import Collection
from random import Random

from .fleet import LEASE
from .network import Weather
from .world import World

SHORT = (0.05, 0.3, 0.8, 0.4 * LEASE)
LONG = (1.2 * LEASE, 2.5 * LEASE)
HOUR = 3_600_000
NOTICED = 1.5
"""Seconds; an absence that a tick cannot overlook."""


class Faults:
    """Begins a fault now and then, some at once, until it is over."""

    def __init__(self, world: World, only: Collection[str] = ()) -> None:
        """`only`: names of the faults, all when there are none."""
        self._world = world
        self._random = Random(f"{world.seed} faults")
        self._furthest = 0
        self._is_over = False
        self.seen: dict[str, int] = {}
        self._kinds = [self._kill, self._kill, self._freeze, self._busy, self._partition, self._away]
        self._kinds += [self._forget_scripts, self._jump, self._weather, self._weather]
        self._kinds = [kind for kind in self._kinds if not only or kind.__name__.strip("_") in only]

    def begin(self) -> None:
        """Let things go wrong from now on."""
        self._next()

    def heal(self) -> None:
        """Nothing is wrong any more: what was stopped goes on, what was killed is started again.

        The clock stays where it was at its furthest, so that what was for later is due.
        """
        world = self._world
        self._is_over = True
        world.network.heal()
        for process in world.processes.values():
            world.thaw(process)
        self._set_clock(max(self._furthest, world.server.jump_ms))

    def _set_clock(self, jump_ms: int) -> None:
        """A tick overlooks less than a quarter of a lease."""
        server = self._world.server
        if abs(server.jump_ms - jump_ms) > 10_000:
            self._world.disturbed = self._world.loop.time()
        server.jump_ms = jump_ms

    def _next(self) -> None:
        if not self._is_over:
            self._world.later(self._random.expovariate(0.6), self._strike)

    def _strike(self) -> None:
        if self._is_over:
            return
        kind = self._random.choice(self._kinds)
        name = kind.__name__.strip("_")
        self.seen[name] = self.seen.get(name, 0) + 1
        self._world.note("fault", name, "")
        kind()
        self._next()

    def _seconds(self) -> float:
        return self._random.choice(SHORT if self._random.random() < 0.7 else LONG)

    def _somebody(self) -> str:
        names = sorted(self._world.processes)
        return self._random.choice(names + [name for name in names if name.startswith("worker")])

    # With processes --------------------------------------------------------------------------------------------------

    def _kill(self) -> None:
        name = self._somebody()
        self._world.remove(name)
        self._world.later(self._random.choice([0.1, 0.5, 1.0, 1.5 * LEASE]), self._world.start, name)

    def _freeze(self) -> None:
        self._world.freeze(self._somebody(), self._seconds(), loop_only=False)

    def _busy(self) -> None:
        self._world.freeze(self._somebody(), self._seconds(), loop_only=True)

    # With the network ------------------------------------------------------------------------------------------------

    def _partition(self) -> None:
        self._world.network.partition(self._world.processes[self._somebody()], self._seconds())

    def _weather(self) -> None:
        random = self._random
        share = random.choice([0.02, 0.1, 0.4])
        weather = Weather(slow=random.choice([0.05, 0.5]))
        for name in random.sample(["lost", "unanswered", "cut", "late"], random.choice([1, 2])):
            setattr(weather, name, share)
        self._world.network.weather = weather
        self._world.later(self._seconds(), self._clear_up, weather)

    def _clear_up(self, weather: Weather) -> None:
        if self._world.network.weather is weather:
            self._world.network.weather = Weather()

    # With the server -------------------------------------------------------------------------------------------------

    def _away(self) -> None:
        network = self._world.network
        if network.is_away or network.is_silent:
            return
        network.away(silent=self._random.random() < 0.5)
        self._world.later(self._seconds(), self._back, self._world.loop.time())

    def _back(self, since: float) -> None:
        world = self._world
        if world.network.is_away or world.network.is_silent:
            world.network.back()
            if world.loop.time() - since > NOTICED:
                world.disturbed = world.loop.time()

    def _forget_scripts(self) -> None:
        self._world.server.loaded.clear()

    def _jump(self) -> None:
        server = self._world.server
        self._set_clock(self._random.choice([-HOUR, HOUR, 0, -700, 700]))
        self._furthest = max(self._furthest, server.jump_ms)
