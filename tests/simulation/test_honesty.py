"""The simulated server against the scripts on a real one: the same calls, the same answers, letters and facts.

Whom the real engine admits is told by its events; the simulated one follows them, where else chance would choose.
"""

import dataclasses
from random import Random
from typing import Any

import msgpack
import pytest
import redis

from tests.model.engine import START, Answer, Engine
from tests.model.history import CARE, EARLY, ORPHANS, SMALL, WAITING, History, Shape
from tests.model.pair import Pair
from tests.model.settling import Line
from tests.support.servers import Server as RealServer

from .server import Server
from .specified import Choices, Specified

STEPS = 120
MORE = {"publish": 2, "turn": 2, "tick": 1, "promote": 4, "cancel": 0, "leave": 2, "pool": 1, "queue": 1, "limit": 1}
"""Where a reply says that a bound was reached; the simulated server has none."""


def without(shape: Shape, *names: str) -> Shape:
    return dataclasses.replace(shape, weights=tuple(pair for pair in shape.weights if pair[0] not in names))


SHAPES = {
    "small": without(SMALL, "delete_queue"),
    "care": without(CARE, "delete_queue"),
    "orphans": without(ORPHANS, "delete_queue"),
    "waiting": WAITING,
    "early": without(EARLY, "delete_queue"),
}


class Following(Choices):
    """What was really told, as choices of the simulated server."""

    def __init__(self, model: Specified, told: list[Line]) -> None:
        super().__init__(model)
        self._told, self._taken = told, 0

    def __iter__(self) -> Any:
        return iter(self._told)

    def __bool__(self) -> bool:
        index = len(self._model.told) + self._taken
        line = self._told[index] if index < len(self._told) else ("", "", "")
        self._next = line if line[0] == "admitted" or line[:2] == ("finished", "expired") else None
        return self._next is not None

    def pop(self, index: Any = 0) -> Line:
        line = super().pop(index)
        self._taken += line[0] == "admitted"
        return line


class Twin(Engine):
    """A real engine; each of its calls is made to a simulated server too, and must be answered alike."""

    def __init__(self, client: "redis.Redis") -> None:
        self.simulated = Server(Random(0), lambda: 0.0)
        super().__init__(client, "p")
        self.calls = 0

    def call(self, name: str, *args: Any) -> Answer:
        real = super().call(name, *args)
        simulated, model = self.simulated, self.simulated.model
        simulated.jump_ms = self.now - START
        model.sweeping = True  # what is open there is not known here: I2 and I5 are judged by the pair
        model.choices = lambda now: self._follow(now, real.told)  # type: ignore[method-assign]
        has_time = self.scripts(name).arguments[:1] == (("now_ms", "int"),)
        reply = decoded(simulated.call(name, (self.now, *args) if has_time else args))
        assert masked(name, reply) == masked(name, real.reply), f"{name}{args}"
        happened = [line for line in real.told if line[0] != "admitted"]
        assert model.told == happened or args[0] == "create", f"{name}{args}"
        self.calls += 1
        return real

    def _follow(self, now: int, told: list[Line]) -> Following:
        self.simulated.model.now = now
        self.simulated.model.told = []
        return Following(self.simulated.model, told)

    def letters(self) -> dict[str, list[dict[bytes, bytes]]]:
        keys = [key.decode() for key in self.client.keys(f"{self.root}:inbox:*")]
        return {key: [fields for _, fields in self.client.xrange(key)] for key in keys}

    def facts(self, ids: list[str]) -> list[Any]:
        raw = [self.scripts("wait").run_blocking(self.client, self.root, "c", run_id)[0] for run_id in ids]
        return [read(answer) for answer in raw]


def decoded(reply: Any) -> Any:
    if isinstance(reply, bytes):
        return reply.decode()
    return [decoded(item) for item in reply] if isinstance(reply, list) else reply


def masked(name: str, reply: Any) -> Any:
    """Without `more`; orders of a worker in any order."""
    if not isinstance(reply, list):
        return reply
    reply = [orders(part) if isinstance(part, list) and index in {2, 5} else part for index, part in enumerate(reply)]
    place = MORE.get(name)
    if place is not None and len(reply) > place:
        reply[place] = 0
    return reply


def orders(words: list[Any]) -> Any:
    return [words[:1], sorted(zip(words[1::2], words[2::2], strict=False))]


def read(answer: Any) -> Any:
    return [answer[0], msgpack.unpackb(answer[1], raw=True)] if isinstance(answer, list) else answer


@pytest.fixture
def client(server: RealServer):
    connection = redis.Redis(unix_socket_path=str(server.socket))
    yield connection
    connection.close()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", SHAPES)
def test_the_simulated_server_answers_as_the_scripts_do(name: str, seed: int, client: "redis.Redis"):
    twin = Twin(client)
    pair = Pair(twin)
    twin.simulated.model.entries = pair.model.entries
    history = History(pair, seed, SHAPES[name])
    history.run(STEPS)
    assert twin.calls > STEPS / 2
    for key, real in twin.letters().items():
        simulated = [fields for _, fields in twin.simulated.mail.streams.get(key, [])]
        assert simulated[-len(real) :] == real[-len(simulated) :], key
    ids = sorted(pair.model.runs)
    mine = [read(twin.simulated.call("wait", ("c", run_id))[0]) for run_id in ids]
    assert mine == twin.facts(ids)
