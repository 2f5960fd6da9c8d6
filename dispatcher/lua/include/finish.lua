-- finish: a worker ends its claim on a run. Fenced: only the worker and token that hold it change anything.
local ENDS = {completed = true, failed = true, cancelled = true, crashed = true}

-- `already` when this very claim did it before; `stale` when it is not the holder's to say.
local function refusal(worker, record, facts, token)
  if not record then return 'stale' end
  local last, by = facts and facts.token, facts and facts.worker
  if record.facts then
    local ended = cmsgpack.unpack(record.facts)
    last, by = string.format('%.0f', ended[5]), ended[6] ~= worker.name and ended[6] or ''
  end
  return last == token and by == '' and 'already' or 'stale'
end

local function finish_again(record, facts, delay, result)
  local id = record.id
  call('HSET', root .. ':run:' .. id, 'state', delay > 0 and 'scheduled' or 'queued', 'worker', '',
    'attempt', tonumber(facts.attempt) + 1, 'error', result)
  write_flags(record, HAS_FACTS)
  if delay > 0 then
    write_entry(record, '0-0')
    schedule(record, now + delay)
  else
    enter(record)
    event('retried', 'now', id)
  end
end

local function finish(worker, id, token, outcome, argument, result)
  local record = read_record(id)
  local facts = record and not record.facts and read_facts(id)
  if not facts or facts.worker ~= worker.name or facts.token ~= token then return refusal(worker, record, facts, token) end
  if facts.state == 'cancelling' then call('HDEL', root .. ':orders:' .. worker.name, id) end
  if outcome == 'lost' then
    take_back(record, facts, worker.name)
    return nil
  end
  release(id, parse_bucket(record.bucket), worker.held)
  if facts.state == 'cancelling' then
    if not ENDS[outcome] then outcome, argument = 'cancelled', 'asked' end
  end
  if ENDS[outcome] then
    terminate(record, facts, outcome, argument, result)
  elseif outcome == 'retry' then
    finish_again(record, facts, tonumber(argument), result)
  else
    requeue(record, facts, false)
  end
  return nil
end
