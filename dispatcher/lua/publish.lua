-- publish: write runs into the backlog of their buckets, or into `due` when they are for later.
--
-- KEYS     root      the pool
-- ARGV     now_ms    int   0: the server's clock
-- REST     per run: id, bucket, extra, spec
--          extra is '' or msgpack [at ms, deadline ms, idempotency key, its time to live ms, reply client, parent,
--          parent's claim token, retry of]
-- RETURNS  {'ok', now, more, index, status, ...} only for runs that were not new: 'exists' (this id is there already),
--          'same <id>' (its idempotency key belongs to that run) or 'fenced' (its parent does not hold that claim any
--          more); or {'no_pool'}, {'deleting', queue}
-- FLAGS    deny-oom
--
-- All or nothing but for runs that exist. Repeatable: an id that is known is never written again.
-- include: state clock events bucket config publishing settle
local RUN = 4
if not read_pool().type then return {'no_pool'} end
for i = 1, #rest, RUN do
  local name = rest[i + 1]
  if #rest[i] > 64 or #rest[i + 3] > 1048576 or not string.match(name, '^[^|]+|[^|]*') then
    return redis.error_reply('SLUICE publish: run ' .. rest[i] .. ' has a bad id, bucket or size')
  end
  local queue = read_queue(parse_bucket(name).queue)
  if queue.deleting then return {'deleting', queue.name} end
end

local reply = {'ok', now, 0}
for i = 1, #rest, RUN do
  local status = publish(rest[i], rest[i + 1], rest[i + 2], rest[i + 3])
  if status then
    reply[#reply + 1] = (i - 1) / RUN
    reply[#reply + 1] = status
  end
end
reply[3] = settle(nil) and 1 or 0
write_events()
return reply
