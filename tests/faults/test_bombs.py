"""Payload bombs at the publisher: refused by size before anything is read, then by depth and by length."""

import resource
import time
from typing import Any

import pytest

from dispatcher import codec
from dispatcher.errors import InvalidInput, PayloadTooLarge
from tests.support.figures import Figures
from tests.support.stack import Stack


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


BOMBS = {
    "a megabyte of text": {"x": "x" * 2_000_000},
    "a list of a million": {"x": [0] * 1_000_000},
    "a hundred thousand keys": {str(n): 0 for n in range(100_000)},
    "ten thousand deep": {"x": nested(10_000)},
    "an odd type": {"x": object()},
    "a number too large": {"x": 2**80},
}


@pytest.mark.fault(36)
@pytest.mark.parametrize("name", BOMBS)
async def test_a_bomb_is_refused_before_anything_is_sent(stack: Stack, figures: Figures, name: str) -> None:
    began = time.monotonic()
    with pytest.raises(InvalidInput):
        await stack.client.publish("f", BOMBS[name])
    figures.note(f"refusing {name}", 1000 * (time.monotonic() - began), "ms")
    assert (await stack.client.pools.get("default")).queued == 0
    assert (await stack.client.publish("f")).is_new, "the client goes on"


@pytest.mark.fault(36)
def test_what_expands_when_it_is_read_is_not_read() -> None:
    """A megabyte of empty maps is seventy in memory; its size is looked at first."""
    bomb = b"\xdd" + (1_000_000).to_bytes(4, "big") + b"\x80" * 1_000_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(100):
        with pytest.raises(PayloadTooLarge):
            codec.unpack(bomb, 512 * 1024)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024
