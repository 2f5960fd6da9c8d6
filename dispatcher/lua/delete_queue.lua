-- delete_queue: remove a work queue that holds nothing, or empty it first.
--
-- KEYS     root      the pool
-- ARGV     now_ms    int   0: the server's clock
--          name      str   the queue
--          cancel    int   1: cancel what it holds, 64 runs a call, and refuse new runs meanwhile
--          cursor    int   place in `due` where the search for its scheduled runs goes on
-- RETURNS  {'deleted' | 'holds' | 'more' | 'no_queue' | 'default', queued, scheduled, running, cursor}
--
-- `holds`: nothing changed but what was cancelled; the caller says so, or waits for running ones to end.
-- include: state clock events bucket config cancelling settle
local CHUNK = 64
if name == 'default' then return {'default'} end
local queue = read_queue(name)
if not queue.priority then return {'no_queue'} end

local function some_bucket()
  local class = call('ZRANGE', root .. ':classes:' .. name, 0, 0)[1]
  local found = class and call('ZRANGE', root .. ':awake:' .. class, 0, 0)[1]
    or call('ZRANGEBYLEX', root .. ':parked', '[' .. name .. '|', '(' .. name .. '}', 'LIMIT', 0, 1)[1]
  return found and parse_bucket(found)
end

local function cancel_queued()
  local left = CHUNK
  while left > 0 do
    local bucket = some_bucket()
    if not bucket then return end
    local ids = take(bucket, left)
    for _, id in ipairs(ids) do
      local record = read_record(id)
      terminate(record, has(record.flags, HAS_FACTS) and read_facts(id) or nil, 'cancelled', 'queue_deleted', '')
    end
    left = left - math.max(1, #ids)
    if is_empty(bucket) then leave(bucket) end
  end
end

local function cancel_scheduled()
  local members = call('ZRANGE', root .. ':due', cursor, cursor + 255)
  for _, member in ipairs(members) do
    local record = string.sub(member, 1, 1) == 'r' and read_record(string.sub(member, 2))
    if record and parse_bucket(record.bucket).queue == name then
      cancel_run(record.id, 'queue_deleted')
    else
      cursor = cursor + 1
    end
  end
  if #members == 0 then cursor = 0 end
end

local function cancel_running()
  for _, set in ipairs({':slots:queue:', ':suspended:queue:'}) do
    local held_by = root .. set .. name
    for _, id in ipairs(call('ZRANGE', held_by, 0, CHUNK - 1)) do cancel_run(id, 'queue_deleted') end
  end
end

local function held()
  return tonumber(call('HGET', root .. ':depth', name) or '0'), tonumber(call('HGET', root .. ':later', name) or '0'),
    call('ZCARD', root .. ':slots:queue:' .. name) + call('ZCARD', root .. ':suspended:queue:' .. name)
end

if cancel == 1 then
  call('HSET', root .. ':queue:' .. name, 'deleting', 1)
  cancel_queued()
  cancel_scheduled()
  cancel_running()
end
settle(nil)
local queued, scheduled, running = held()
if queued + scheduled + running > 0 then
  write_events()
  return {cancel == 1 and queued + scheduled > 0 and 'more' or 'holds', queued, scheduled, running, cursor}
end
call('DEL', root .. ':queue:' .. name, root .. ':counts:' .. name)
call('ZREM', root .. ':queues', name)
if call('ZCOUNT', root .. ':queues', queue.priority, queue.priority) == 0 then
  call('ZREM', root .. ':priorities', queue.priority)
end
call('HDEL', root .. ':sweeps', 'queue ' .. name)
event('queue', 'deleted', name)
write_events()
return {'deleted', 0, 0, 0, 0}
