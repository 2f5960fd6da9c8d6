-- runs: transitions of one run, shared by the scripts that cause them.
local function read_facts(id)
  local row = call('HMGET', root .. ':run:' .. id,
    'state', 'attempt', 'crashes', 'token', 'worker', 'admitted', 'started', 'infrastructure')
  if not row[1] then return nil end
  return {
    state = row[1], attempt = row[2] or '', crashes = row[3] or '', token = row[4] or '', worker = row[5] or '',
    admitted = row[6] or '', started = row[7] or '', infrastructure = row[8] or '',
  }
end

local function tell_listeners(record, state, packed)
  if not has(record.flags, HAS_LISTENERS) then return end
  local listeners = root .. ':listeners:' .. record.id
  local body = #packed <= 16384 and packed or ''
  for _, client in ipairs(call('SMEMBERS', listeners)) do
    local reply = root .. ':reply:' .. client
    call('XADD', reply, 'MAXLEN', '~', 10000, '*', 'run', record.id, 'state', state, 'facts', body)
    call('PEXPIRE', reply, 600000)
  end
  call('DEL', listeners)
end

local function is_dead_letter(state, reason)
  return state == 'crashed' or reason == 'retries_spent'
end

-- The end of a run. Its facts move into the record; nothing else of it stays but its line in `finished`.
-- An `admitted` of 0 is the token's time, a `started` of 0 that of `admitted`: what most runs have, in a byte.
local function terminate(record, facts, state, reason, result)
  local packed
  if facts then
    local same = facts.admitted == facts.token
    packed = cmsgpack.pack({
      state, reason, tonumber(facts.attempt) or 0, tonumber(facts.crashes) or 0, tonumber(facts.token) or 0,
      facts.worker, facts.infrastructure, same and 0 or tonumber(facts.admitted) or 0, tonumber(facts.started) or 0,
      now, result,
    })
  else
    packed = cmsgpack.pack({state, reason, 0, 0, 0, '', '', 0, 0, now, result})
  end
  call('SET', root .. ':r:' .. record.id, final_record(record, packed))
  call('DEL', root .. ':run:' .. record.id)
  call('XADD', root .. ':finished', '*', state, record.id)
  if has(record.flags, HAS_EXPIRY) then call('ZREM', root .. ':due', 'x' .. record.id) end
  if is_dead_letter(state, reason) then call('ZADD', root .. ':dead', now, record.id) end
  event('finished', state, record.id)
  tell_listeners(record, state, packed)
end

-- `r` and an id is a run that becomes due, `x` and an id a deadline to start.
-- A member at the head of `due` is earlier than what the schedulers wait for: ring.
local function add_due(kind, id, at)
  local member = kind .. id
  call('ZADD', root .. ':due', at, member)
  if call('ZRANGE', root .. ':due', 0, 0)[1] == member then
    call('XADD', root .. ':bell', 'MAXLEN', 1, '*', 'at', at)
  end
end

local function schedule(record, at)
  add_due('r', record.id, at)
  change('later', parse_bucket(record.bucket).queue, 1)
  event('scheduled', at, record.id)
end

local function unschedule(record)
  if call('ZREM', root .. ':due', 'r' .. record.id) == 0 then return false end
  change('later', parse_bucket(record.bucket).queue, -1)
  return true
end

-- Into the backlog as if published now.
local function enter(record)
  local bucket = parse_bucket(record.bucket)
  ensure_queue(bucket.queue)
  write_entry(record, append(bucket, record.id))
end

-- Out of a worker's hands, back to the front of its bucket. After a loss a new token fences who may still hold it.
local function requeue(record, facts, crashed)
  local crashes = (tonumber(facts.crashes) or 0) + (crashed and 1 or 0)
  call('HSET', root .. ':run:' .. record.id, 'state', 'queued', 'worker', '', 'crashes', crashes,
    'token', tonumber(facts.token) + (crashed and 1 or 0))
  write_flags(record, HAS_FACTS)
  put_front(parse_bucket(record.bucket), record)
  event('requeued', crashed and 'worker_lost' or 'handed_back', record.id)
end

-- A run whose worker is lost: charged one crash, and ended when its budget is spent.
local function take_back(record, facts, worker)
  release(record.id, parse_bucket(record.bucket), root .. ':slots:worker:' .. worker)
  local crashes = tonumber(facts.crashes) or 0
  if facts.state == 'cancelling' then
    call('HDEL', root .. ':orders:' .. worker, record.id)
    terminate(record, facts, 'cancelled', 'worker_lost', '')
  elseif crashes + 1 >= read_pool().crashes then
    facts.crashes = crashes + 1
    terminate(record, facts, 'crashed', 'worker_lost', '')
  else
    requeue(record, facts, true)
  end
end
