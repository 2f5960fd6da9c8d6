-- queue: create or change a work queue. Effective at once for all that is admitted after it.
--
-- KEYS     root      the pool
-- ARGV     now_ms    int   0: the server's clock
--          mode      str   create | update
--          name      str   the queue
-- REST     field, value, ...: priority, limit ('' none), paused (0 | 1), description
-- RETURNS  {'ok', more}, {'exists'}, {'no_queue'} or {'no_pool'}
--
-- Absolute: an update sent twice sets the same again; a second create answers `exists` and changes nothing.
-- include: state clock events bucket config creating parking sweep settle
if not read_pool().type then return {'no_pool'} end
local queue = read_queue(name)
if queue.priority and mode == 'create' then return {'exists'} end
if not queue.priority and mode == 'update' then return {'no_queue'} end

local function set_priority(priority)
  local old = queue.priority
  call('ZADD', root .. ':queues', priority, name)
  if call('ZCOUNT', root .. ':queues', old, old) == 0 then call('ZREM', root .. ':priorities', old) end
  call('ZADD', root .. ':priorities', priority, priority)
end

local fields = {}
for i = 1, #rest, 2 do fields[rest[i]] = rest[i + 1] end
if not queue.priority then create_queue(name, tonumber(fields.priority or '')) end
if fields.priority then set_priority(tonumber(fields.priority)) end
for i = 1, #rest, 2 do
  call('HSET', root .. ':queue:' .. name, rest[i], rest[i + 1])
  if rest[i] ~= 'description' then event('queue', name .. ' ' .. rest[i], rest[i + 1] == '' and '-' or rest[i + 1]) end
end
queues = {}
queue = read_queue(name)
if not queue.out or queue_room(queue) > 0 then ready_queue(queue) end
local more = sweep(256)
more = settle(nil) or more
write_events()
return {'ok', more and 1 or 0}
