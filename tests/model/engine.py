"""Calls the scripts with the time of a test, and reads what each call told the event stream."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis

from dispatcher.scripts import Argument, Script, load

from . import dump

START = 1_800_000_000_000

Told = list[tuple[str, str, str]]


def expand(lines: str) -> Told:
    """`kind head word word` a line, into one triple a word."""
    told: Told = []
    for line in lines.split("\n"):
        kind, head, *words = line.split(" ")
        told += [(kind, head, word) for word in words]
    return told


@dataclass
class Answer:
    reply: Any
    told: Told


class Engine:
    """One pool on a server. `scripts` composes a script by name: a mutant passes its own."""

    def __init__(
        self, client: "redis.Redis", pool: str, scripts: Callable[[str], Script] = load, now: int = START
    ) -> None:
        """`client` answers in bytes."""
        self.client = client
        self.root = f"sluice:{{{pool}}}"
        self.scripts = scripts
        self.now = now
        self.last_event = "0"
        self.forget()
        client.set(f"{self.root}:test-clock", 1)

    def call(self, name: str, *args: Argument) -> Answer:
        """Run a script; its first argument is the time wherever it takes one."""
        script = self.scripts(name)
        if script.arguments and script.arguments[0][0] == "now_ms":
            args = (self.now, *args)
        script.check(args)
        reply = _decode(script.run_blocking(self.client, self.root, *args))
        told: Told = []
        for entry, fields in self.client.xrange(f"{self.root}:events", min=f"({self.last_event}"):
            self.last_event = entry.decode()
            told += expand(fields[b"e"].decode())
        return Answer(reply, told)

    def sweeping(self) -> bool:
        return bool(self.client.exists(f"{self.root}:sweeps"))

    def dump(self, known: set[str] | None = None) -> dump.Dump:
        return dump.read(self.client, self.root, known or set())

    def forget(self) -> None:
        """Remove every key of the pool."""
        keys = self.client.keys(f"{self.root}*")
        for start in range(0, len(keys), 1000):
            self.client.unlink(*keys[start : start + 1000])


def _decode(reply: Any) -> Any:
    if isinstance(reply, bytes):
        return reply.decode()
    return [_decode(item) for item in reply] if isinstance(reply, list) else reply
