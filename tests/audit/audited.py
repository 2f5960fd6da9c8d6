"""A pair of model and engine that is audited after each call: what the audit says is held against the model's word."""

from typing import Any

import redis

from dispatcher.auditing import Ledger, Violation
from dispatcher.scripts import Argument, load
from tests.model.engine import Engine
from tests.model.pair import Pair


class Look:
    """The audit of one pool, with the scripts as they are, whatever the engine's own are."""

    def __init__(self, client: "redis.Redis", root: str, now: int) -> None:
        self._client, self._root = client, root
        self.now = now
        told = self.call("audit", "", "anew", "", 512, 1)
        state = told[4]
        self.ledger = Ledger(told[1], state[0], state[1], state[2])
        self.faced = ""

    def call(self, name: str, *args: Argument) -> Any:
        """Run a script of the audit."""
        return _decode(load(name).run_blocking(self._client, self._root, self.now, *args))

    def names(self) -> list[str]:
        """Every key of the pool, as verify takes them."""
        found = self._client.scan_iter(f"{self._root}:*", count=1000)
        return [name.decode()[len(self._root) + 1 :] for name in found]

    def verify(self, *, repair: bool = False) -> list[Violation]:
        """What is wrong now with what there is."""
        found = self.call("verify", int(repair), *self.names())[2]
        return [Violation(what, word) for what, word in zip(found[::2], found[1::2], strict=True)]

    def fold(self) -> list[Violation]:
        """What the events told since the last time, and what there is beside that."""
        _, _, told, more, state = self.call("audit", "", self.ledger.position, "", 1000, 1)
        assert not more
        self.faced = state[3]
        found = self.ledger.fold(list(zip(told[::2], told[1::2], strict=True)))
        return found + self.ledger.compare(state[0], state[1])


class AuditedPair(Pair):
    """Raises Found as soon as the audit finds anything."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, full=False)
        self.look = Look(engine.client, engine.root, engine.now)

    def _after(self) -> None:
        super()._after()
        self.look.now = self.now
        found = self.look.fold() + self.look.verify()
        if self.look.faced and self.model.leftover == 0 and not self.model.sweeping:
            found.append(Violation("stalled", self.look.faced))
        if found:
            raise Found(found)


class Found(AssertionError):
    """What an audit found."""

    def __init__(self, violations: list[Violation]) -> None:
        super().__init__("; ".join(map(str, violations)))
        self.violations = violations


def _decode(reply: Any) -> Any:
    if isinstance(reply, bytes):
        return reply.decode()
    return [_decode(item) for item in reply] if isinstance(reply, list) else reply
