"""Looking after intake by client: rejected entries and publishers."""

from collections.abc import Iterator

import pytest

from dispatcher import BlockingClient, InvalidInput, PoolNotFound
from dispatcher.errors import PublisherNotFound, TooManyPublishers
from tests.support.publishing import ROOT, STREAM, Publisher
from tests.support.stack import Stack


@pytest.fixture
def publisher(redis_url: str) -> Iterator[Publisher]:
    made = Publisher(redis_url)
    yield made
    made.close()


async def test_a_rejected_entry_says_what_it_was(stack: Stack, publisher: Publisher) -> None:
    await stack.dispatcher()
    entry = publisher.add(run="x" * 5000, reply="me")
    publisher.add(job="y")
    await publisher.read()
    first, second = await stack.client.intake.rejected.list()
    assert (first.stream, first.entry, first.size, first.format, first.reply) == ("publish", entry, 5000, "run", "me")
    assert (first.head, first.reason[:13]) == (b"x" * 4096, "it is no JSON")
    assert (second.format, second.head, second.reply) == ("", b"job y", "")
    assert first.at.timestamp() * 1000 == int(first.id.split("-")[0])


async def test_a_list_is_as_long_as_asked(stack: Stack, publisher: Publisher) -> None:
    await stack.dispatcher()
    publisher.add_many([{}] * 600)
    await publisher.read()
    rejected = stack.client.intake.rejected
    everything = await rejected.list(1000)
    assert len({entry.id for entry in everything}) == 600
    assert [len(await rejected.list(most)) for most in (1, 256, 257, 600, 601)] == [1, 256, 257, 600, 600]
    assert await rejected.list(3) == everything[:3]


async def test_retried_entries_go_back_to_their_streams(stack: Stack, publisher: Publisher) -> None:
    """As after a repair: here the queue that was being deleted is not any more."""
    publisher.redis.hset(f"{ROOT}:queue:old", mapping={"priority": 1, "deleting": 1})
    publisher.redis.zadd(f"{ROOT}:queues", {"old": 1})
    await stack.client.intake.publishers.add("web")
    await stack.dispatcher()
    for stream in (STREAM, f"{STREAM}:web"):
        publisher.add({"function": "f", "queue": "old"}, to=stream, reply="me")
        publisher.add_msgpack({"function": "f", "queue": "old"}, to=stream)
        await publisher.read(stream)
    ids = [entry.id for entry in await stack.client.intake.rejected.list()]
    assert len(ids) == 4
    publisher.redis.hdel(f"{ROOT}:queue:old", "deleting")
    assert await stack.client.intake.rejected.retry(*ids) == ["retried"] * 4
    for stream in (STREAM, f"{STREAM}:web"):
        await publisher.read(stream)
    assert publisher.rejected() == []
    assert len(publisher.backlog("old|")) == 4
    runs = [await stack.client.get(run) for run in publisher.backlog("old|")]
    assert sorted(run.spec.source or "" for run in runs) == ["intake", "intake", "web", "web"]
    assert [line["status"] for line in publisher.replies("me")] == ["rejected"] * 2 + ["accepted"] * 2
    assert await stack.client.intake.rejected.retry(*ids) == ["missing"] * 4, "once"


async def test_what_is_not_whole_or_no_run_is_not_retried(stack: Stack, publisher: Publisher) -> None:
    scope = await stack.dispatcher()
    await stack.client.intake.publishers.add("web")
    publisher.add(run="x" * 4097)
    publisher.add(run="x" * 4096)
    publisher.add(job="x")
    publisher.add(run="x", to=f"{STREAM}:web")
    for stream in (STREAM, f"{STREAM}:web"):
        await publisher.read(stream)
    await stack.client.intake.publishers.remove("web")
    scope.cancel()
    ids = {(entry.size, entry.format): entry.id for entry in await stack.client.intake.rejected.list()}
    asked = [ids[4097, "run"], ids[4096, "run"], ids[4, ""], ids[1, "run"], "5-5"]
    statuses = await stack.client.intake.rejected.retry(*asked)
    assert statuses == ["cut", "retried", "odd", "no_publisher", "missing"]
    assert len(publisher.rejected()) == 3
    assert publisher.unread() == 1


@pytest.mark.parametrize("entry", ["", "5", "5-", "-5", "x-1", "5-1 ", "+", "(5-1", "٣-1", "9" * 40 + "-1"])
async def test_what_is_no_id_of_an_entry_is_refused(stack: Stack, entry: str) -> None:
    with pytest.raises(InvalidInput, match="is no id of an entry"):
        await stack.client.intake.rejected.retry(entry)


async def test_publishers_are_added_once_and_listed_by_name(stack: Stack) -> None:
    publishers = stack.client.intake.publishers
    for name in ("web", "api", "web"):
        await publishers.add(name)
    assert await publishers.list() == ["api", "web"]
    await publishers.remove("api")
    assert await publishers.list() == ["web"]
    with pytest.raises(PublisherNotFound, match="sluice intake publishers ls"):
        await publishers.remove("api")


async def test_a_publisher_has_a_name_and_there_are_not_too_many(stack: Stack, publisher: Publisher) -> None:
    for name in ("", "a b", "a:b", "a}", "p" * 64):
        with pytest.raises(InvalidInput, match="is no publisher name"):
            await stack.client.intake.publishers.add(name)
    with pytest.raises(InvalidInput, match="choose another name"):
        await stack.client.intake.publishers.add("intake")
    publisher.redis.sadd(f"{ROOT}:publishers", *(f"p{n}" for n in range(255)))
    await stack.client.intake.publishers.add("last")
    await stack.client.intake.publishers.add("last")
    with pytest.raises(TooManyPublishers, match="has 256 publishers already"):
        await stack.client.intake.publishers.add("one-more")


async def test_a_pool_that_is_not_there_is_said(stack: Stack) -> None:
    intake = stack.client.intake
    for call in (
        lambda: intake.rejected.list(pool="nowhere"),
        lambda: intake.publishers.list(pool="nowhere"),
        lambda: intake.publishers.add("web", pool="nowhere"),
    ):
        with pytest.raises(PoolNotFound):
            await call()


def test_the_blocking_client_does_the_same(redis_url: str) -> None:
    with BlockingClient(redis_url) as client:
        client.pools.create("default")
        client.intake.publishers.add("web")
        assert client.intake.publishers.list() == ["web"]
        assert client.intake.rejected.list() == []
        assert client.intake.rejected.retry("5-5") == ["missing"]
