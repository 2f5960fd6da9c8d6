-- losing: runs that leave a worker without an end.
-- include: taking slots runs counting

-- Out of a worker's hands, back to the front of its bucket. After a loss a new token fences who may still hold it.
local function requeue(record, facts, crashed)
  local crashes = (tonumber(facts.crashes) or 0) + (crashed and 1 or 0)
  call('HSET', root .. ':run:' .. record.id, 'state', 'queued', 'worker', '', 'crashes', crashes, 'entered', now_text,
    'token', tonumber(facts.token) + (crashed and 1 or 0))
  write_flags(record, HAS_FACTS)
  put_front(parse_bucket(record.bucket), record)
  event('requeued', crashed and 'worker_lost' or 'handed_back', record.id)
end

-- A run that was asked to end and whose worker goes: as the worker foresaw (see stuck), else cancelled.
local function end_cancelling(record, facts, reason)
  local verdict = call('HGET', root .. ':run:' .. record.id, 'verdict')
  local outcome, argument, result = 'cancelled', reason, ''
  if verdict then outcome, argument, result = unpack(cmsgpack.unpack(verdict)) end
  if outcome == 'retry' then
    -- here: retrying
    finish_again(record, facts, tonumber(argument), result)
  elseif outcome == 'return' then
    requeue(record, facts, false)
  else
    terminate(record, facts, outcome, argument, result)
  end
end

-- A run that nobody executes any more: charged one crash, and ended when its budget is spent.
local function charge(record, facts)
  add(tally_of(tallies, parse_bucket(record.bucket).queue), 'reclaimed', 1)
  local crashes = tonumber(facts.crashes) or 0
  if facts.state == 'cancelling' then
    end_cancelling(record, facts, 'worker_lost')
  elseif crashes + 1 >= read_pool().crashes then
    facts.crashes = crashes + 1
    terminate(record, facts, 'crashed', 'worker_lost', '')
  else
    requeue(record, facts, true)
  end
end

-- A run whose worker is lost.
local function take_back(record, facts, worker)
  release(record.id, parse_bucket(record.bucket), root .. ':slots:worker:' .. worker, facts)
  if facts.state == 'cancelling' then call('HDEL', root .. ':orders:' .. worker, record.id) end
  charge(record, facts)
end
