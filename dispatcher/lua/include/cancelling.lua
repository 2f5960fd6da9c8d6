-- cancelling: a run that waits ends at once; one that a worker holds keeps its slots until the worker says it is over.
-- include: due taking runs orders
local function remove_waiting(record)
  if record.ms == 0 then return unschedule(record) end
  return remove(parse_bucket(record.bucket), record)
end

local function cancel_children(id)
  if call('EXISTS', root .. ':children:' .. id) == 1 then call('HSETNX', root .. ':sweeps', 'tree ' .. id, '') end
end

local function cancel_run(id, reason)
  local record = read_record(id)
  if not record then return 'missing' end
  if record.facts then return 'already' end
  local facts = read_facts(id)
  -- A held run's entry id may be that of a younger run by now: the stream of an emptied bucket starts anew.
  local waits = not facts or facts.state == 'queued' or facts.state == 'scheduled'
  if waits and remove_waiting(record) then
    terminate(record, facts, 'cancelled', reason, '')
    return 'cancelled'
  end
  if facts.state ~= 'cancelling' then
    call('HSET', root .. ':run:' .. id, 'state', 'cancelling', 'reason', reason)
    event('cancelling', facts.worker == '' and '-' or facts.worker, id)
  end
  if facts.worker ~= '' then order_cancel(facts.worker, id, facts.token) end -- an orphan's: by who adopts it
  return 'cancelling'
end
