-- promote: runs whose time has come enter the backlog; runs whose deadline passed unstarted expire.
--
-- KEYS     root      the pool
-- ARGV     now_ms    int   0: the server's clock
--          most      int   members of `due` a call, 64 at most
-- RETURNS  {promoted, expired, now, next due ms or 0, more, lateness of the first ms}
--
-- Any number of schedulers may call it: each member leaves `due` in the call that acts on it. Never early.
-- include: state clock events bucket config cancelling settle
local promoted, gone, lateness = 0, 0, 0

-- How a new run ends as its time comes: state, reason, result; nil when it waits.
local function foregone(record)
  if has(record.flags, CACHES) then
    -- here: caching
    local key = string.match(call('GET', root .. ':caching:' .. record.id) or '', '^%d+ (.*)$')
    local result = key and cached_result(key)
    if result then
      call('DEL', root .. ':caching:' .. record.id)
      return 'completed', 'cached', result
    end
  end
  if not read_pool().full then return nil end
  -- here: entering
  if not may_enter(parse_bucket(record.bucket), record.id) then return 'cancelled', 'skipped', '' end
end

local function promote(record)
  if not unschedule(record) then return end
  local bucket = parse_bucket(record.bucket)
  if read_queue(bucket.queue).deleting then
    terminate(record, has(record.flags, HAS_FACTS) and read_facts(record.id) or nil, 'cancelled', 'queue_deleted', '')
    return
  end
  if not has(record.flags, HAS_FACTS) then
    local state, reason, result = foregone(record)
    if state then return terminate(record, nil, state, reason, result) end
  end
  enter(record)
  if has(record.flags, HAS_FACTS) then call('HSET', root .. ':run:' .. record.id, 'state', 'queued') end
  event('promoted', 'queued', record.id)
  promoted = promoted + 1
end

-- A worker may prepare it from now on: it waits among those that are early. When nobody does, it waits for its time.
local function prefetch(record)
  call('ZREM', root .. ':due', 'p' .. record.id)
  local at = call('ZSCORE', root .. ':due', 'r' .. record.id)
  if not at or tonumber(at) <= now or has(record.flags, HAS_FACTS) or not read_pool().ahead then return end
  if read_queue(parse_bucket(record.bucket).queue).deleting then return end
  -- here: early
  if not may_be_early(parse_bucket(record.bucket), '') then return end -- its key may say so since it was published
  unschedule(record)
  call('ZADD', root .. ':due', at, 'a' .. record.id)
  write_bucket(record, early_name(record.bucket))
  enter(record)
  event('promoted', 'early', record.id)
end

-- The time of a run that was early: where it waits, it waits among those that are due from now on.
local function become_due(record)
  call('ZREM', root .. ':due', 'a' .. record.id)
  -- here: early
  if not is_early(record.bucket) then return end
  local facts = read_facts(record.id)
  local waits = record.ms > 0 and (not facts or facts.worker == '')
  if waits then remove(parse_bucket(record.bucket), record) end
  write_bucket(record, due_name(record.bucket))
  if not waits then return end
  enter(record)
  event('promoted', 'queued', record.id)
  promoted = promoted + 1
end

local function expire(record)
  call('ZREM', root .. ':due', 'x' .. record.id)
  if not remove_waiting(record) then return end
  terminate(record, has(record.flags, HAS_FACTS) and read_facts(record.id) or nil, 'expired', 'deadline', '')
  gone = gone + 1
end

local ACTS = {r = promote, x = expire, p = prefetch, a = become_due}
local due = call('ZRANGEBYSCORE', root .. ':due', '-inf', now, 'WITHSCORES', 'LIMIT', 0, most)
if #due > 0 then lateness = now - tonumber(due[2]) end
for i = 1, #due, 2 do
  local record = read_record(string.sub(due[i], 2))
  if not record or record.facts then -- over: by one that came before it in this call, too
    call('ZREM', root .. ':due', due[i])
  else
    ACTS[string.sub(due[i], 1, 1)](record)
  end
end
local more = settle(nil)
write_events()
local next_due = call('ZRANGE', root .. ':due', 0, 0, 'WITHSCORES')[2] or 0
return {promoted, gone, now, tonumber(next_due), (more or #due == 2 * most) and 1 or 0, lateness}
