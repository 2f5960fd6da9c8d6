-- suspend: a run waits for others and gives its slots back meanwhile; it stays in its worker's hands.
--
-- KEYS     root      the pool
-- ARGV     now_ms    int   0: the server's clock
--          name      str   the worker's id
--          id        str   the run
--          token     str   its claim
-- RETURNS  'suspended', 'cancelling' (it is asked to end: nothing changed), 'stale' or 'gone'
--
-- Fenced by worker and token; repeatable. Its slots in pool, queue and keys and its place in the worker's capacity are
-- free at once; `resume` asks for them again.
-- include: state clock events bucket config runs workers slots suspending settle
local worker = read_worker(name)
if not is_live(worker) then return 'gone' end
renew(worker)
local record = read_record(id)
local facts = record and not record.facts and read_facts(id)
if not facts or facts.worker ~= name or facts.token ~= token then return 'stale' end
if facts.state ~= 'running' then return facts.state == 'cancelling' and 'cancelling' or 'stale' end
if facts.suspended then return 'suspended' end
local bucket = parse_bucket(record.bucket)
release_scopes(id, bucket)
mark_suspended(worker, id, bucket)
worker.suspended = true
event('suspended', name, id)
flush_released()
settle(nil)
write_events()
return 'suspended'
