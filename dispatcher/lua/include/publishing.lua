-- publishing: a run is written: its entry or its due time, then its record.
-- include: record queue backlog counting

-- `extra` is '' or msgpack [at ms, deadline ms, idempotency key, its time to live ms, reply client, parent,
-- parent's claim token, retry of, cache key, its time to live ms]. With a token the parent must hold that claim and
-- not be asked to end.
local NOTHING = {}

-- How a run ends as it is published: state, reason, result; nil when it waits.
local function foregone(bucket, id, cache)
  if cache ~= '' then
    -- here: caching
    local result = cached_result(cache)
    if result then return 'completed', 'cached', result end
  end
  if not read_pool().full then return nil end
  -- here: entering
  if not may_enter(bucket, id) then return 'cancelled', 'skipped', '' end
end

local function end_at_once(id, state, reason, result)
  -- here: runs
  event('published', state, id)
  terminate(read_record(id), nil, state, reason, result)
end

local function publish(id, name, extra, spec)
  if call('EXISTS', root .. ':r:' .. id) == 1 then return 'exists' end
  local options = extra ~= '' and cmsgpack.unpack(extra) or NOTHING
  local at, deadline, key, client = options[1] or 0, options[2] or 0, options[3] or '', options[5] or ''
  if key ~= '' then
    local known = call('GET', root .. ':idem:' .. key)
    if known then return 'same ' .. known end
  end
  local parent, retry_of = options[6] or '', options[8] or ''
  if parent ~= '' then
    -- here: kin
    if is_fenced(parent, options[7] or '') then return 'fenced' end
    adopt_child(parent, id)
  end
  local bucket = parse_bucket(name)
  ensure_queue(bucket.queue)
  local cache = options[9] or ''
  local state, reason, result
  if at <= now and (cache ~= '' or read_pool().full) then state, reason, result = foregone(bucket, id, cache) end
  if state then deadline, cache = 0, '' end
  local flags = (deadline > 0 and HAS_EXPIRY or 0) + (client ~= '' and HAS_LISTENERS or 0)
  if cache ~= '' then flags = flags + CACHES end
  local early = false
  if at > now and read_pool().ahead then
    -- here: early
    early = may_be_early(bucket, cache)
  end
  if early then flags = flags + AHEAD end
  local ms, seq = 0, 0
  if at <= now and not state then
    ms, seq = string.match(append(bucket, id), '^(%d+)-(%d+)$')
    event('published', 'queued', id)
  end
  local tally = tally_of(tallies, bucket.queue)
  tally.published = (tally.published or 0) + 1
  call('SET', root .. ':r:' .. id, struct.pack(HEADER, 1, flags, tonumber(ms), tonumber(seq), #name) .. name .. spec)
  if at > now or deadline > 0 then
    -- here: due
    if at > now then schedule({id = id, bucket = name}, at) end
    if early then add_due('p', id, math.max(now, at - read_pool().ahead)) end
    if deadline > 0 then add_due('x', id, deadline) end
  end
  if key ~= '' then call('SET', root .. ':idem:' .. key, id, 'PX', options[4]) end
  if client ~= '' then call('SADD', root .. ':listeners:' .. id, client) end
  -- A retry that is skipped tries nothing: the dead letter stays.
  if retry_of ~= '' and state ~= 'cancelled' then call('ZREM', root .. ':dead', retry_of) end
  if cache ~= '' then
    -- here: caching
    note_cache(id, cache, options[10])
  end
  if state then end_at_once(id, state, reason, result) end
  return nil
end
