-- runs: the facts of a run in hand, and its end.
-- include: record counting

-- runs: transitions of one run, shared by the scripts that cause them.
local function read_facts(id)
  local key = root .. ':run:' .. id
  local row = call('HMGET', key, 'state', 'attempt', 'crashes', 'token', 'worker', 'admitted', 'started',
    'infrastructure', 'suspended')
  if not row[1] then return nil end
  return {
    key = key, state = row[1], attempt = row[2] or '', crashes = row[3] or '', token = row[4] or '',
    worker = row[5] or '', admitted = row[6] or '', started = row[7] or '', infrastructure = row[8] or '',
    suspended = row[9] == '1',
  }
end

-- What taking it back asks for: half as dear, and thousands are taken back at once.
local function read_claim(id)
  local key = root .. ':run:' .. id
  local row = call('HMGET', key, 'state', 'token', 'crashes', 'infrastructure', 'suspended')
  if not row[1] or row[5] then return read_facts(id) end
  return {
    key = key, state = row[1], token = row[2] or '', crashes = row[3] or '', infrastructure = row[4] or '',
    suspended = false,
  }
end

local function final_record(record, facts)
  local flags = TERMINAL + (has(record.flags, HAS_LISTENERS) and HAS_LISTENERS or 0)
  local head = 14 + #record.bucket
  return table.concat({
    string.sub(record.raw, 1, 1), string.char(flags), string.sub(record.raw, 3, head), struct.pack('>I4', #facts),
    facts, string.sub(record.raw, head + 1),
  })
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
  call('SET', record.key, final_record(record, packed))
  call('DEL', root .. ':run:' .. record.id)
  call('XADD', root .. ':finished', '*', state, record.id)
  if has(record.flags, HAS_EXPIRY) then call('ZREM', root .. ':due', 'x' .. record.id) end
  if has(record.flags, AHEAD) then call('ZREM', root .. ':due', 'p' .. record.id, 'a' .. record.id) end
  local queue = parse_bucket(record.bucket).queue
  local tally = tally_of(tallies, queue)
  tally[state] = (tally[state] or 0) + 1
  -- One that waits held no slot, whatever became of it before.
  if facts and facts.state ~= 'queued' and facts.state ~= 'scheduled' then
    local held, since = tally_of(claims, queue), facts.admitted
    held[since] = (held[since] or 0) + 1
  end
  if state == 'crashed' or reason == 'retries_spent' then
    call('ZADD', root .. ':dead', now, record.id)
    add(tally, 'dead', 1)
  end
  if read_pool().full then
    -- here: presence
    leave_presence(record)
  end
  if has(record.flags, CACHES) then
    -- here: caching
    cache_result(record.id, state)
  end
  event('finished', state, record.id)
  if has(record.flags, HAS_LISTENERS) then
    -- here: telling
    tell_listeners(record, state, packed)
  end
end
