-- publish: write runs into the backlog of their buckets, or into `due` when they are for later.
--
-- KEYS     root      the pool
-- ARGV     now_ms    int   0: the server's clock
-- REST     per run: id, bucket, extra, spec
--          extra is '' or msgpack [at ms, deadline ms, idempotency key, its time to live ms, reply client]
-- RETURNS  {'ok', now, more, index, status, ...} only for runs that were not new: 'exists' (this id is there already)
--          or 'same <id>' (its idempotency key belongs to that run); or {'no_pool'}, {'deleting', queue}
-- FLAGS    deny-oom
--
-- All or nothing but for runs that exist. Repeatable: an id that is known is never written again.
-- include: state clock events bucket config record queue backlog settle
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

local NOTHING = {}
local function publish(id, name, extra, spec)
  if call('EXISTS', root .. ':r:' .. id) == 1 then return 'exists' end
  local options = extra ~= '' and cmsgpack.unpack(extra) or NOTHING
  local at, deadline, key, client = options[1] or 0, options[2] or 0, options[3] or '', options[5] or ''
  if key ~= '' then
    local known = call('GET', root .. ':idem:' .. key)
    if known then return 'same ' .. known end
  end
  local bucket = parse_bucket(name)
  ensure_queue(bucket.queue)
  local flags = (deadline > 0 and HAS_EXPIRY or 0) + (client ~= '' and HAS_LISTENERS or 0)
  local ms, seq = 0, 0
  if at <= now then
    ms, seq = string.match(append(bucket, id), '^(%d+)-(%d+)$')
    event('published', 'queued', id)
  end
  call('SET', root .. ':r:' .. id, struct.pack(HEADER, 1, flags, tonumber(ms), tonumber(seq), #name) .. name .. spec)
  if at > now or deadline > 0 then
    -- here: due
    if at > now then schedule({id = id, bucket = name}, at) end
    if deadline > 0 then add_due('x', id, deadline) end
  end
  if key ~= '' then call('SET', root .. ':idem:' .. key, id, 'PX', options[4]) end
  if client ~= '' then call('SADD', root .. ':listeners:' .. id, client) end
  return nil
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
