"""What the demonstration publishes: 400 runs in three queues, and the limits they meet."""

import random
import time
from dataclasses import dataclass

from dispatcher import Client, Publish, RunOptions

POOL, POOL_LIMIT = "demo", 12
QUEUES = {"critical": (1, None), "normal": (2, None), "bulk": (3, 9)}
KEY, KEY_LIMIT = "ledger:books", 3
WORKER_LIMIT = 8
PAUSE = 0.2
_TEXTS = ("lock.txt", "mill.txt", "harbour.txt")


@dataclass(frozen=True)
class Planned:
    """A run as the demonstration knows it: `ready_ns` is when it may start, on this machine's monotonic clock."""

    number: int
    queue: str
    has_key: bool
    ready_ns: int = 0
    run_id: str = ""


def _plan(number: int, rng: random.Random) -> tuple[Planned, Publish, float]:
    """One run of ten is critical and comes later, three are normal, six are bulk; a quarter of those share a key."""
    queue = "critical" if number % 10 == 0 else "normal" if number % 10 < 4 else "bulk"
    has_key = queue == "bulk" and number % 4 == 0
    options = RunOptions(queue=queue, keys=(KEY,) if has_key else ())
    delay = 0.5 + rng.random() * 6 if queue == "critical" else 0.0
    if delay:
        options["delay"] = delay
    parameters = {"file": rng.choice(_TEXTS), "number": number, "pause": PAUSE * (0.6 + 0.8 * rng.random())}
    function = rng.choice(("count_words", "checksum"))
    if has_key:
        function, parameters = "add_up", {**parameters, "file": "ledger.csv", "column": "amount_cents"}
    return Planned(number, queue, has_key), Publish(function, parameters, options), delay


async def prepare(client: Client) -> None:
    """Make the pool, its queues and the limit of the key."""
    await client.pools.create(POOL, limit=POOL_LIMIT)
    for name, (priority, limit) in QUEUES.items():
        await client.queues.create(name, priority=priority, limit=limit)
    await client.limits.set(KEY, KEY_LIMIT)


async def publish(client: Client, count: int) -> list[Planned]:
    """Publish all at once; critical runs are due one by one over the next seconds."""
    rng = random.Random(20)
    plans = [_plan(number, rng) for number in range(count)]
    published = await client.publish_many([publish for _, publish, _ in plans])
    now = time.monotonic_ns()
    return [
        Planned(planned.number, planned.queue, planned.has_key, now + round(delay * 1e9), run.id)
        for (planned, _, delay), run in zip(plans, published, strict=True)
    ]
