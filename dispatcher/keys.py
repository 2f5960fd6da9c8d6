"""Every Redis key that Python reads, one function each. A pool's carry its hash tag; scripts compute them alike."""


def root(pool: str) -> str:
    """The pool's settings, and the one key that scripts declare."""
    return f"sluice:{{{pool}}}"  # HASH


CATALOGUE = "sluice:pools"  # SET of pool names, a hint that can be rebuilt
DEPLOYMENTS = "sluice:deployments"  # HASH deployment -> its pool, a hint that can be rebuilt


def record(root: str, run_id: str) -> str:
    return f"{root}:r:{run_id}"  # STRING: header, then the spec


def facts(root: str, run_id: str) -> str:
    return f"{root}:run:{run_id}"  # HASH, from leaving the backlog to the end


def queues(root: str) -> str:
    return f"{root}:queues"  # ZSET queue -> priority


def queue(root: str, name: str) -> str:
    return f"{root}:queue:{name}"  # HASH


def depth(root: str) -> str:
    return f"{root}:depth"  # HASH queue -> queued runs


def later(root: str) -> str:
    return f"{root}:later"  # HASH queue -> scheduled runs


def counts(root: str, queue: str) -> str:
    return f"{root}:counts:{queue}"  # HASH word -> how often


def limits(root: str) -> str:
    return f"{root}:limits"  # HASH key or kind:* -> limit


def backlog(root: str, bucket: str) -> str:
    return f"{root}:backlog:{bucket}"  # STREAM, field i: run id


def front(root: str, bucket: str) -> str:
    return f"{root}:front:{bucket}"  # ZSET run id -> original entry


def awake(root: str, work_class: str) -> str:
    return f"{root}:awake:{work_class}"  # ZSET bucket -> turn in the round


def classes(root: str, queue: str) -> str:
    return f"{root}:classes:{queue}"  # ZSET of the queue's classes with awake buckets


def parked(root: str) -> str:
    return f"{root}:parked"  # ZSET of parked buckets, by name


def slots(root: str) -> str:
    return f"{root}:slots"  # ZSET run id -> admitted at, ms


def queue_slots(root: str, queue: str) -> str:
    return f"{root}:slots:queue:{queue}"  # ZSET run id -> admitted at, ms


def key_slots(root: str, key: str) -> str:
    return f"{root}:slots:key:{key}"  # ZSET run id -> admitted at, ms


def worker_slots(root: str, worker: str) -> str:
    return f"{root}:slots:worker:{worker}"  # ZSET run id -> hand-off number


def suspended(root: str, queue: str) -> str:
    return f"{root}:suspended:queue:{queue}"  # ZSET run id -> since, ms


def children(root: str, run_id: str) -> str:
    return f"{root}:children:{run_id}"  # ZSET run id, or run@pool, -> rank of its birth


def prepared(root: str, member: str) -> str:
    return f"{root}:prepared:{member}"  # ZSET run -> ms at which it is due


def abroad(root: str) -> str:
    return f"{root}:abroad"  # SET run@pool that is to be cancelled there


def workers(root: str) -> str:
    return f"{root}:workers"  # ZSET worker -> lease ends at, ms


def worker(root: str, name: str) -> str:
    return f"{root}:worker:{name}"  # HASH


def heartbeat(root: str, worker: str) -> str:
    return f"{root}:heartbeat:{worker}"  # STRING, msgpack for people, expires with the lease


def inbox(root: str, worker: str) -> str:
    return f"{root}:inbox:{worker}"  # STREAM of hand-offs and orders


def lost(root: str) -> str:
    return f"{root}:lost"  # SET of dead workers whose runs are not all taken back


def orphans(root: str) -> str:
    return f"{root}:orphans"  # ZSET runs that wait to be adopted -> until when, ms


def watch(root: str) -> str:
    return f"{root}:watch"  # HASH: the dispatchers' last tick, in ms, and more


def audit(root: str) -> str:
    return f"{root}:audit"  # HASH: who has the turn, and the checkpoint


def test_clock(root: str) -> str:
    return f"{root}:test-clock"  # STRING; only tests have it


def due(root: str) -> str:
    return f"{root}:due"  # ZSET r<run id> | x<run id> -> ms


def bell(root: str) -> str:
    return f"{root}:bell"  # STREAM of one entry: something is due earlier than known


def finished(root: str) -> str:
    return f"{root}:finished"  # STREAM state -> run id, oldest first


def dead(root: str) -> str:
    return f"{root}:dead"  # ZSET dead letters: run id -> ended at, ms


def log(root: str, run_id: str) -> str:
    return f"{root}:log:{run_id}"  # STREAM of chunks of lines


def reply(root: str, client: str) -> str:
    return f"{root}:reply:{client}"  # STREAM of ends this client waits for


def events(root: str) -> str:
    return f"{root}:events"  # STREAM, capped


def publish(root: str) -> str:
    return f"{root}:publish"  # STREAM of runs to be, written by any Redis client


def own_publish(root: str, publisher: str) -> str:
    return f"{root}:publish:{publisher}"  # STREAM, the same for one publisher


def publishers(root: str) -> str:
    return f"{root}:publishers"  # SET of publishers with a stream of their own


def rejected(root: str) -> str:
    return f"{root}:rejected"  # STREAM of entries that are no runs, capped


def deployments(root: str) -> str:
    return f"{root}:deployments"  # ZSET of slugs, by name


def deployment(root: str, slug: str) -> str:
    return f"{root}:deployment:{slug}"  # HASH


def schedules(root: str) -> str:
    return f"{root}:schedules"  # ZSET slug/id -> due, ms; those that have a next instant


def schedule(root: str, member: str) -> str:
    return f"{root}:schedule:{member}"  # HASH
