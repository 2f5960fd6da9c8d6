-- leave: a worker goes in good order; what it holds is handed back, uncharged, and what lives on is left for adoption.
--
-- KEYS     root      the pool
-- ARGV     now_ms    int   0: the server's clock
--          name      str   the worker's id
-- RETURNS  {'ok' | 'gone', now, more}
--
-- Repeatable. While `more`, call again: 64 runs a call.
-- include: state clock events bucket config ending losing orphans settle
local worker = read_worker(name)
if not worker.lane then return {'gone', now, 0} end
if is_live(worker) then retire(worker) end
local site = call('HGET', root .. ':worker:' .. name, 'site')
local ids = call('ZRANGE', worker.held, 0, 63)
for _, id in ipairs(ids) do
  local record, facts = read_record(id), read_facts(id)
  if may_be_adopted(site, facts) then
    orphan(worker, id, site)
  else
    release(id, parse_bucket(record.bucket), worker.held, facts)
    if facts.state == 'cancelling' then
      end_cancelling(record, facts, 'asked')
    else
      requeue(record, facts, false)
    end
  end
end
flush_released()
local more = call('EXISTS', worker.held) == 1
if not more then forget(worker) end
more = settle(nil) or more
write_events()
return {'ok', now, more and 1 or 0}
