-- due: runs for later, deadlines, and the bell that wakes the schedulers.
-- include: backlog queue record

-- `r` and an id is a run that becomes due, `x` and an id a deadline to start; `p` and an id a run that may be prepared
-- from then on, `a` and an id one that waits among those and becomes due.
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
  if has(record.flags, AHEAD) then call('ZREM', root .. ':due', 'p' .. record.id) end
  change('later', parse_bucket(record.bucket).queue, -1)
  return true
end

-- Into the backlog as if published now.
local function enter(record)
  local bucket = parse_bucket(record.bucket)
  ensure_queue(bucket.queue)
  write_entry(record, append(bucket, record.id))
end
