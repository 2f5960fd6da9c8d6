-- resume: a suspended run wants its slots again; it gets them before any run that is queued.
--
-- KEYS     root      the pool
-- ARGV     now_ms    int   0: the server's clock
--          name      str   the worker's id
--          id        str   the run
--          token     str   its claim
-- RETURNS  'resumed', 'waiting' (a letter `resume` will tell; ask again when none comes), 'cancelling', 'stale' or
--          'gone'
--
-- Fenced by worker and token; repeatable: asking again keeps its place in the line.
-- include: state clock events bucket config runs workers suspending settle
local worker = read_worker(name)
if not is_live(worker) then return 'gone' end
renew(worker)
local facts = read_facts(id)
if not facts or facts.worker ~= name or facts.token ~= token then return 'stale' end
if facts.state == 'cancelling' then return 'cancelling' end
if not facts.suspended then return 'resumed' end
if call('ZADD', root .. ':resuming', 'NX', next_rank(), id) == 1 then call('HSET', root, 'resuming', 1) end
pool = nil
settle(nil)
write_events()
return call('ZSCORE', root .. ':resuming', id) and 'waiting' or 'resumed'
