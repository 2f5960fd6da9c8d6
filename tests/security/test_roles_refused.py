"""What each role may not do: no role looks after the server, none leaves its keys, few may load scripts."""

import pytest
import redis
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError
from redis.retry import Retry

from tests.support.access import Access

SERVICES = ["operator", "dispatcher", "scheduler", "worker", "client", "reader"]
OF_NOBODY = [
    "FLUSHALL", "FLUSHDB", "KEYS *", "CONFIG SET maxmemory 1", "CONFIG REWRITE", "CONFIG RESETSTAT", "SHUTDOWN NOSAVE",
    "ACL SETUSER x on", "ACL DELUSER worker", "ACL LIST", "ACL GETUSER worker", "ACL SAVE", "ACL LOAD", "DEBUG SLEEP 0",
    "REPLICAOF NO ONE", "FAILOVER", "SAVE", "BGSAVE", "BGREWRITEAOF", "LASTSAVE", "SWAPDB 0 1", "MIGRATE h 1 k 0 1",
    "CLIENT KILL TYPE normal", "CLIENT PAUSE 1", "CLIENT LIST", "CLIENT NO-EVICT on", "CLIENT TRACKING on BCAST",
    "EVAL return 0", "EVAL_RO return 0", "SCRIPT FLUSH", "SCRIPT KILL", "FUNCTION FLUSH", "FUNCTION LIST",
    "FCALL f 0", "MODULE LIST", "MONITOR", "SLOWLOG GET", "LATENCY RESET", "MULTI", "WATCH sluice:pools", "PUBLISH a b",
    "SUBSCRIBE a", "PSUBSCRIBE *", "SYNC", "PSYNC ? -1", "REPLCONF ack 1", "RENAME sluice:pools sluice:{default}:x",
    "RESTORE sluice:{default}:x 0 x", "SORT sluice:pools", "RANDOMKEY", "DBSIZE", "CLUSTER RESET",
    "SET other 1", "GET other", "DEL other", "HSET other a b", "XADD other * a b", "SADD other a", "ZADD other 1 a",
    "OBJECT FREQ other",
]  # fmt: skip
NOT_ONES_OWN = {
    "dispatcher": ["CONFIG GET requirepass", "ACL LOG", "SET sluice:mine 1"],
    "scheduler": ["CONFIG GET requirepass", "SCAN 0", "ACL LOG", "SCRIPT LOAD return", "SET sluice:mine 1"],
    "worker": [
        "CONFIG GET requirepass", "SCAN 0", "ACL LOG", "SCRIPT LOAD return", "SCRIPT EXISTS a",
        "GET sluice:{etl}:r:1", "XADD sluice:{etl}:publish * run {}", "XREAD STREAMS sluice:{etl}:events 0",
        "HSET sluice:{defaults} limit 1", "HSET sluice:{etl} limit 1", "HSET sluice:deployments a b",
        "HGETALL sluice:{default}x", "EVALSHA 0000000000000000000000000000000000000000 1 sluice:{etl}",
        "EVALSHA 0000000000000000000000000000000000000000 1 other",
    ],
    "client": [
        "CONFIG GET requirepass", "SCAN 0", "ACL LOG", "SCRIPT LOAD return", "SCRIPT EXISTS a",
        "GET sluice:{etl}:r:1", "XADD sluice:{etl}:publish * run {}", "XREAD STREAMS sluice:{etl}:events 0",
        "SADD sluice:pools x", "SREM sluice:pools default", "DEL sluice:pools", "HSET sluice:deployments a b",
        "EVALSHA 0000000000000000000000000000000000000000 1 sluice:{etl}", "UNLINK sluice:{etl}:events",
    ],
    "reader": [
        "CONFIG GET requirepass", "SCAN 0", "ACL LOG", "SCRIPT LOAD return", "SCRIPT EXISTS a",
        "SET sluice:{default}:x 1", "DEL sluice:{default}", "UNLINK sluice:{default}:events",
        "HSET sluice:{default} limit 1", "HDEL sluice:{default} limit", "XADD sluice:{default}:publish * run {}",
        "XTRIM sluice:{default}:events MAXLEN 0", "XDEL sluice:{default}:events 1-1", "ZADD sluice:{default}:due 1 a",
        "ZREM sluice:{default}:slots a", "SADD sluice:pools a", "PEXPIRE sluice:{default} 1",
        "INCR sluice:{default}:rank",
        "EVALSHA 0000000000000000000000000000000000000000 1 sluice:{default}", "GET sluice:{etl}:r:1",
        "EVALSHA_RO 0000000000000000000000000000000000000000 1 sluice:{etl}", "HGETALL sluice:{etl}",
        "XREADGROUP GROUP a b STREAMS sluice:{default}:events >", "COPY sluice:pools sluice:{default}:x",
        "GETDEL sluice:{default}:r:1", "GETEX sluice:{default}:r:1 PERSIST", "SPOP sluice:pools",
    ],
}  # fmt: skip
OWN = "sluice:{default}:publish:web"
NOT_OF_A_PUBLISHER = [
    "XADD sluice:{default}:publish * run {}", "XADD sluice:{default}:publish:other * run {}",
    "XADD sluice:{default}:publish:webs * run {}", "XADD sluice:{etl}:publish:web * run {}",
    "XADD sluice:{default}:events * e x", "XADD sluice:{default}:reply:web-1 * a b",
    f"XRANGE {OWN} - +", f"XREVRANGE {OWN} + -", f"XLEN {OWN}", f"XTRIM {OWN} MAXLEN 0", f"XDEL {OWN} 1-1",
    f"XREAD STREAMS {OWN} 0", f"DEL {OWN}", f"XINFO STREAM {OWN}", f"XSETID {OWN} 1-1", f"XGROUP CREATE {OWN} g 0",
    f"PEXPIRE {OWN} 1", f"EXISTS {OWN}", f"TYPE {OWN}", f"DUMP {OWN}", f"COPY {OWN} {OWN}2", f"SET {OWN} x",
    "XREAD STREAMS sluice:{default}:reply:other-1 0", "XREAD STREAMS sluice:{default}:reply:web 0",
    "XREAD STREAMS sluice:{etl}:reply:web-1 0", "XREAD STREAMS sluice:{default}:log:1 0", "GET sluice:{default}:r:1",
    "XRANGE sluice:{default}:reply:web-1 - +", "DEL sluice:{default}:reply:web-1",
    "HGETALL sluice:{default}", "SMEMBERS sluice:pools", "SCAN 0", "INFO", "PING", "TIME", "CLIENT ID",
    "SCRIPT LOAD return",
    "EVALSHA 0000000000000000000000000000000000000000 1 sluice:{default}:publish:web",
    "EVALSHA_RO 0000000000000000000000000000000000000000 1 sluice:{default}:publish:web",
    "EVALSHA 0000000000000000000000000000000000000000 0", "CONFIG GET *", "ACL LOG", "SELECT 1",
]  # fmt: skip


def unrefused(access: Access, user: str, commands: list[str]) -> list[str]:
    """Those that were not refused; a command that this server does not have is refused, too."""
    found = []
    with access.client(user) as client:
        for command in commands:
            try:
                answer = client.execute_command(*command.split())
            except NoPermissionError:
                continue
            except redis.RedisError as error:  # what got past the rules, and failed otherwise
                answer = error
            found.append(f"{user}: {command}: {answer!r}")
    return found


@pytest.mark.parametrize("user", SERVICES)
def test_no_service_looks_after_the_server_or_leaves_its_keys(access: Access, user: str):
    assert unrefused(access, user, OF_NOBODY) == []
    assert access.admin.dbsize() == 0


@pytest.mark.fault(50)
@pytest.mark.parametrize("user", NOT_ONES_OWN)
def test_a_role_may_not_do_what_is_anothers(access: Access, user: str):
    assert unrefused(access, user, NOT_ONES_OWN[user]) == []


@pytest.mark.fault(50)
def test_a_publisher_may_only_add_to_its_own_stream_and_read_its_answers(access: Access):
    assert unrefused(access, "web", [*OF_NOBODY, *NOT_OF_A_PUBLISHER]) == []
    with access.client("web") as publisher:
        assert publisher.xadd(OWN, {"run": "{}"})
        assert not publisher.xread({"sluice:{default}:reply:web-1": "0"})


def test_a_script_is_held_to_the_keys_of_whoever_calls_it(access: Access):
    sha = access.admin.script_load("return redis.call('SET', KEYS[1] .. ARGV[1], '1')")
    for user in ("worker", "client"):
        with access.client(user) as client:
            for key, rest in (("sluice:{etl}", ":x"), ("other", ""), ("sluice:{default}", "}x"), ("sluice:{de", "x}")):
                with pytest.raises((NoPermissionError, Exception), match=r"(?i)permission|can't access|NOPERM"):
                    client.evalsha(sha, 1, key, rest)
    with access.client("reader") as reader, pytest.raises(redis.ResponseError, match="(?i)permission|can't run"):
        reader.evalsha_ro(sha, 1, "sluice:{default}", ":x")
    assert access.admin.dbsize() == 0


def test_nobody_gets_in_without_a_password(access: Access):
    for login in ({}, {"password": "x"}, {"username": "default", "password": ""}, {"username": "worker"}):
        with (
            redis.Redis(port=access.server.port, retry=Retry(NoBackoff(), 0), **login) as client,
            pytest.raises(redis.AuthenticationError),
        ):
            client.get("sluice:pools")
    with redis.Redis(port=access.server.port, username="health", password="any") as health:
        assert health.ping()
