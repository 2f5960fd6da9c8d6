"""`replicated`: a publish is answered when a replica has it, too, and says so when none does."""

import asyncio
import contextlib

import pytest
import redis

from dispatcher import Client, NotDurable, Publish
from dispatcher.errors import CredentialsRefused, ServerUnfit
from dispatcher.store import Store
from tests.support.servers import Server
from tests.support.waiting import wait_until

from .conftest import TIMEOUT, Pair

pytestmark = pytest.mark.redis
GIVEN = "0190a0b0c0d07000800000000000000a"


async def queued(client: Client) -> list[str]:
    return [run.id for run in await client.list(limit=1000)]


async def test_what_was_answered_is_in_the_replica(pair: Pair, client: Client) -> None:
    published = await client.publish("f", durability="replicated")
    async with Client(pair.replica.url) as other:
        run = await other.get(published)
    assert run.spec.durability == "replicated"


@pytest.mark.fault(17)
async def test_without_a_replica_nothing_is_published(server: Server) -> None:
    async with Client(server.url) as client:
        await client.pools.create("default")
        with pytest.raises(ServerUnfit, match="nothing was published: .* has no replica"):
            await client.publish("f", durability="replicated")
        assert await queued(client) == []


@pytest.mark.fault(17)
async def test_a_frozen_replica_is_told_within_the_timeout_and_the_same_publish_again_doubles_nothing(
    pair: Pair, client: Client, hasty: Client
) -> None:
    await client.publish("warm", durability="replicated")
    pair.replica.freeze()
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(NotDurable, match="no replica had it within 500 ms") as caught:
        await hasty.publish("f", durability="replicated")
    assert TIMEOUT * 0.9 <= loop.time() - began < TIMEOUT + 5
    (run_id,) = caught.value.run_ids
    assert run_id in str(caught.value)
    assert run_id in await queued(client), "it is published, and may be executed"
    pair.replica.thaw()
    again = await client.publish("f", durability="replicated", run_id=run_id)
    assert again == (run_id, "default", False)
    assert (await queued(client)).count(run_id) == 1
    async with Client(pair.replica.url) as other:
        assert (await other.get(run_id)).id == run_id


@pytest.mark.parametrize("pair", ["redis", "valkey"], indirect=True)
async def test_the_same_publish_again_is_not_believed_while_the_replica_is_still_frozen(
    pair: Pair, client: Client
) -> None:
    """It writes no run, and comes over a new connection, for which Valkey's WAIT would have nothing to wait for."""
    await client.publish("warm", durability="replicated")
    pair.replica.freeze()
    for _ in range(2):
        async with Client(pair.master.url, durability_timeout=TIMEOUT) as stranger:
            with pytest.raises(NotDurable):
                await stranger.publish("f", durability="replicated", run_id=GIVEN)
    pair.replica.thaw()
    assert not (await client.publish("f", durability="replicated", run_id=GIVEN)).is_new


async def test_each_of_those_that_travelled_together_is_told_of_its_own_run(
    pair: Pair, client: Client, hasty: Client
) -> None:
    await client.publish("warm", durability="replicated")
    pair.replica.freeze()
    ids = [f"run-{number:028d}" for number in range(20)]
    asked = (hasty.publish("f", durability="replicated", run_id=run_id) for run_id in ids)
    told = await asyncio.gather(*asked, return_exceptions=True)
    assert [error.run_ids for error in told if isinstance(error, NotDurable)] == [(run_id,) for run_id in ids]


async def test_fast_publishes_do_not_wait_behind_one_that_waits_for_its_replica(pair: Pair, client: Client) -> None:
    await client.publish("warm", durability="replicated")
    pair.replica.freeze()
    slow = asyncio.ensure_future(client.publish("slow", durability="replicated", run_id=GIVEN))

    async def is_written() -> bool:
        return GIVEN in await queued(client)

    await wait_until(is_written, description="the durable publish is out")
    for _ in range(10):
        assert (await client.publish("quick")).is_new
    assert not slow.done()
    pair.replica.thaw()
    assert (await slow).is_new


async def test_many_runs_of_several_levels_keep_their_order(pair: Pair, client: Client) -> None:
    levels = ["fast", "replicated", "replicated", None, "fast", "replicated"]
    runs = await client.publish_many(
        [Publish("f", {"number": number}, {"durability": level}) for number, level in enumerate(levels)]
    )
    assert [run.is_new for run in runs] == [True] * len(levels)
    found = sorted(await client.list(limit=10), key=lambda run: run.spec.parameters["number"])
    assert [run.spec.durability for run in found] == levels
    with redis.Redis.from_url(pair.master.url) as connection:
        entries = connection.xrange("sluice:{default}:backlog:default|")
    assert [fields[b"i"].decode() for _, fields in entries] == [run.id for run in runs]


async def test_a_client_may_want_it_of_all_it_publishes(pair: Pair) -> None:
    async with Client(pair.master.url, durability="replicated") as client:
        await client.pools.create("default")
        published = await client.publish("f")
        assert (await client.get(published)).spec.durability == "replicated"
    pair.replica.freeze()
    async with Client(pair.master.url, durability="replicated", durability_timeout=TIMEOUT) as hasty:
        assert (await hasty.publish("f", durability="fast")).is_new
        with pytest.raises(NotDurable):
            await hasty.publish_many(["f", "f"])


async def test_scripts_that_the_server_forgot_are_told_again(pair: Pair, client: Client) -> None:
    for _ in range(2):
        pair.master.call("SCRIPT", "FLUSH")
        assert (await client.publish("f", durability="replicated")).is_new
    twice = await client.publish("f", durability="replicated", run_id=GIVEN)
    pair.master.call("SCRIPT", "FLUSH")
    again = await client.publish("f", durability="replicated", run_id=GIVEN)
    assert (twice.is_new, again.is_new) == (True, False)


async def test_new_runs_are_new_also_where_the_scripts_had_to_be_told_first(pair: Pair) -> None:
    async with Store(pair.master.url) as store:
        await store.pools.create("default", "function")
        pair.master.call("SCRIPT", "FLUSH")
        row = (GIVEN, "default|", b"", b"\x91\xa1f")
        statuses = [await store.runs._durable.publish("default", "replicated", [GIVEN], row) for _ in range(2)]
    assert [reply[3:] for reply in statuses] == [[], [0, b"exists"]]


async def test_a_user_who_may_not_wait_is_refused_before_anything_is_published(pair: Pair, client: Client) -> None:
    words = ("on", ">secret", "~*", "+@all", "-wait")
    assert pair.master.call("ACL", "SETUSER", "limited", *words) == "+OK\r\n"
    async with Client(pair.master.url.replace("redis://", "redis://limited:secret@")) as limited:
        with pytest.raises(CredentialsRefused, match=r"nothing was published: .* needs WAIT: .*\+wait"):
            await limited.publish("f", durability="replicated")
    assert await queued(client) == []


async def test_what_was_answered_survives_the_masters_death(pair: Pair) -> None:
    """Killed in the middle of it; what was answered before is in the replica, which is made the master."""
    answered: list[str] = []
    async with Client(pair.master.url) as client:
        await client.pools.create("default")

        async def go_on() -> None:
            while True:
                answered.append((await client.publish("f", durability="replicated")).id)

        publishing = asyncio.gather(*(go_on() for _ in range(8)), return_exceptions=True)
        await wait_until(lambda: len(answered) >= 300, description="300 publishes are answered", timeout=60)
        pair.master.kill()
        publishing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await publishing
    pair.promote()
    async with Store(pair.replica.url) as store:
        found = await store.runs.get_many("default", answered)
    assert len(found) == len(answered)
