"""Publishers with a stream of their own: their source, their access, their end."""

from collections.abc import Iterator

import pytest
import redis

from dispatcher.errors import PoolHoldsRuns, PublisherHoldsEntries
from tests.support.publishing import ROOT, STREAM, Publisher
from tests.support.servers import EVERY_KIND
from tests.support.stack import Stack
from tests.support.waiting import wait_until

OWN = f"{STREAM}:web"
ID = "{:032x}".format


@pytest.fixture
def publisher(redis_url: str) -> Iterator[Publisher]:
    made = Publisher(redis_url)
    yield made
    made.close()


async def test_a_publisher_of_its_own_is_the_source_of_its_runs(stack: Stack, publisher: Publisher) -> None:
    await stack.dispatcher()
    publisher.add({"function": "f", "id": ID(1)}, to=OWN, reply="web-1")
    await stack.client.intake.publishers.add("web")
    await publisher.read(OWN)
    publisher.add({"function": "f", "id": ID(2)}, to=OWN)
    publisher.add(run="bad", to=OWN)
    publisher.add({"function": "f", "id": ID(3)})
    await publisher.read(OWN)
    await publisher.read()
    sources = [(await stack.client.get(ID(n))).spec.source for n in (1, 2, 3)]
    assert sources == ["web", "web", "intake"]
    assert [entry["stream"] for entry in publisher.rejected()] == ["publish:web"]
    assert [(line["source"], line["status"]) for line in publisher.replies("web-1")] == [("web", "accepted")]


@pytest.mark.fault(50)
@pytest.mark.parametrize("server", EVERY_KIND[:2], indirect=True)
async def test_an_account_limited_to_its_stream_can_publish_and_nothing_else(
    stack: Stack, publisher: Publisher
) -> None:
    """The rules that the protocol page gives."""
    admin = publisher.redis
    admin.execute_command(
        *(["ACL", "SETUSER", "web", "on", ">secret", "resetkeys", "resetchannels", "-@all"]), f"(~{OWN} +xadd)"
    )  # fmt: skip
    admin.execute_command("ACL", "SETUSER", "web", f"(~{ROOT}:reply:web-* +xread)")
    try:
        await stack.client.intake.publishers.add("web")
        await stack.dispatcher()
        with redis.Redis.from_url(stack.url, username="web", password="secret") as limited:
            limited.execute_command("XADD", OWN, "*", "run", '{"function": "f"}', "reply", "web-1")
            await publisher.read(OWN)
            await wait_until(lambda: len(publisher.backlog()) == 1, description="it is published")
            ((_, ((_, told),)),) = limited.execute_command("XREAD", "STREAMS", f"{ROOT}:reply:web-1", "0-0")
            assert b"accepted" in (told.values() if isinstance(told, dict) else told)
            for words in (
                ("XADD", STREAM, "*", "run", "{}"),
                ("XADD", f"{STREAM}:other", "*", "run", "{}"),
                ("XADD", f"{ROOT}:reply:web-1", "*", "run", "{}"),
                ("XREAD", "STREAMS", OWN, "0-0"),
                ("XREAD", "STREAMS", f"{ROOT}:reply:other", "0-0"),
                ("XRANGE", OWN, "-", "+"),
                ("DEL", OWN),
                ("GET", f"{ROOT}:r:x"),
                ("EVAL", "return 1", "0"),
                ("KEYS", "*"),
                ("CONFIG", "GET", "*"),
            ):
                with pytest.raises(redis.exceptions.NoPermissionError):
                    limited.execute_command(*words)
    finally:
        admin.execute_command("ACL", "DELUSER", "web")


async def test_a_publisher_with_unread_entries_stays(stack: Stack, publisher: Publisher) -> None:
    await stack.client.intake.publishers.add("web")
    publisher.add({"function": "f"}, to=OWN)
    with pytest.raises(PublisherHoldsEntries, match="1 unread entries: a dispatcher reads them"):
        await stack.client.intake.publishers.remove("web")
    await stack.dispatcher()
    await publisher.read(OWN)
    await stack.client.intake.publishers.remove("web")
    assert await stack.client.intake.publishers.list() == []
    assert publisher.redis.exists(OWN) == 0


@pytest.mark.parametrize("stream", [STREAM, OWN])
async def test_a_pool_with_unread_entries_is_not_deleted(stack: Stack, publisher: Publisher, stream: str) -> None:
    await stack.client.intake.publishers.add("web")
    publisher.add(run="bad", to=stream)
    with pytest.raises(PoolHoldsRuns, match="1 unread entries of intake"):
        await stack.client.pools.delete("default", cancel=True)
    scope = await stack.dispatcher()
    await publisher.read(stream)
    scope.cancel()
    await stack.client.pools.delete("default")
    left = {key.decode() for key in publisher.redis.scan_iter(f"{ROOT}*")}
    assert left <= {ROOT + part for part in (":watch",)}, "the dispatcher's last tick may come after"
