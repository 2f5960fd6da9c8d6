-- stuck: a run that cannot be killed goes on although it was asked to end: what becomes of it when its worker goes.
--
-- KEYS     root      the pool
-- ARGV     now_ms    int   0: the server's clock
--          name      str   the worker's id
--          id        str   the run
--          token     str   its claim
--          outcome   str   as in turn: cancelled | failed | retry | return
--          argument  str   reason, or delay in ms
--          result    str   msgpack of an error
-- RETURNS  'stuck', 'stale' or 'gone'
--
-- Fenced by worker and token; repeatable. The run is cancelling and keeps its slots until its worker ends it, leaves or
-- is lost; in the last two cases it ends with this outcome.
-- include: state clock events bucket config runs workers
local worker = read_worker(name)
if not is_live(worker) then return 'gone' end
renew(worker)
local facts = read_facts(id)
if not facts or facts.worker ~= name or facts.token ~= token then return 'stale' end
if call('HGET', root .. ':run:' .. id, 'verdict') then return 'stuck' end
call('HSET', root .. ':run:' .. id, 'state', 'cancelling', 'reason', 'stuck',
  'verdict', cmsgpack.pack({outcome, argument, result}))
event('stuck', name, id)
write_events()
return 'stuck'
