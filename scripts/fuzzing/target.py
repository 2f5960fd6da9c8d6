"""What is tried: a decoder with what it may raise, and valid documents to begin with."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from dispatcher.errors import InvalidInput


class Target(NamedTuple):
    """A decoder: `read` may raise `errors` and nothing else. `weight`: how often it is tried, beside the others."""

    name: str
    read: Callable[[bytes], object]
    seeds: Sequence[bytes]
    errors: tuple[type[Exception], ...] = (InvalidInput,)
    weight: int = 10
