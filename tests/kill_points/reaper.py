"""A proxy that counts what a process says to Redis, and kills it at one of these calls: before or after it is done."""

import hashlib
import os
import signal
import threading
from collections.abc import Callable
from typing import NamedTuple

from dispatcher import scripts
from tests.support.proxy import Fault, FaultProxy

_GREETINGS = {"HELLO", "CLIENT", "SELECT", "AUTH", "PING"}
_SCRIPTS = {scripts.load(name).sha: name for name in scripts.names()}


class Point(NamedTuple):
    """The nth call of a script, or of a command, by name; `after`: the server has executed it, and nobody knows."""

    name: str
    nth: int
    after: bool

    def __str__(self) -> str:
        return f"{self.name} {self.nth} {'after' if self.after else 'before'}"


def name_of(command: bytes) -> str | None:
    """What a command calls: a script by its name, else itself in capitals; None for what a connection begins with."""
    words = command.split(b"\r\n", 6)
    name = words[2].decode().upper()
    name = name.removesuffix("_RO")
    if name == "EVALSHA":
        return _SCRIPTS.get(words[4].decode(), "?")
    if name == "EVAL":
        size = int(words[3][1:])
        text = command[command.index(words[3]) + len(words[3]) + 2 :][:size]
        return _SCRIPTS.get(hashlib.sha1(text, usedforsecurity=False).hexdigest(), "?")
    return None if name in _GREETINGS else name


class _Deadly(threading.Event):
    """What is set in the moment in which a fault strikes."""

    def __init__(self, die: Callable[[], None]) -> None:
        super().__init__()
        self._die = die

    def set(self) -> None:
        self._die()
        super().set()


class Reaper(FaultProxy):
    """Between one process, whose `pid` it is given, and a server. Without a point it only counts."""

    def __init__(self, upstream: str, point: Point | None) -> None:
        super().__init__(upstream)
        self.pid = 0
        self.calls: list[str] = []
        self.has_killed = False
        self._point = point

    def _strike(self, command: bytes) -> Fault | None:
        if self.has_killed:  # it was on its way already
            return Fault("command", b"")
        name = name_of(command)
        if name is None:
            return None
        self.calls.append(name)
        point = self._point
        if point is None or (name, self.calls.count(name)) != (point.name, point.nth):
            return None
        return Fault("reply" if point.after else "command", b"", happened=_Deadly(self._kill))

    def _kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self.has_killed = True
        self.refuse()
