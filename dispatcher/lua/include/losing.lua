-- losing: runs that leave a worker without an end.
-- include: taking slots runs counting

-- The next number, as text, worked out once a call: most runs of a worker have the same token. See now_text.
local following = {}
local function one_more(text)
  local found = following[text]
  if not found then
    found = string.format('%d', (tonumber(text) or 0) + 1)
    following[text] = found
  end
  return found
end

-- Out of a worker's hands, back to the front of its bucket. After a loss a new token fences who may still hold it.
local function requeue(record, facts, crashed)
  local crashes, token = facts.crashes, facts.token
  if crashed then crashes, token = one_more(crashes), one_more(token) end
  call('HSET', facts.key, 'state', 'queued', 'worker', '',
    'crashes', crashes == '' and '0' or crashes, 'entered', now_text, 'token', token)
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

-- A run that nobody executes any more: charged one crash, and ended when its budget is spent. `facts` may be a claim.
local function charge(record, facts)
  add(tally_of(tallies, parse_bucket(record.bucket).queue), 'reclaimed', 1)
  local crashes = tonumber(facts.crashes) or 0
  if facts.state == 'cancelling' then
    end_cancelling(record, read_facts(record.id), 'worker_lost')
  elseif crashes + 1 >= read_pool().crashes then
    facts = read_facts(record.id)
    facts.crashes = crashes + 1
    terminate(record, facts, 'crashed', 'worker_lost', '')
  else
    requeue(record, facts, true)
  end
end

-- A run whose worker is lost.
local function take_back(record, facts, worker)
  release(record.id, parse_bucket(record.bucket), worker.held, facts)
  if facts.state == 'cancelling' then call('HDEL', root .. ':orders:' .. worker.name, record.id) end
  charge(record, facts)
end
